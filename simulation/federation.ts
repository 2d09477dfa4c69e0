import { setTimeout as sleep } from 'node:timers/promises';
import { enrolmentDigest, enrolmentProof, invitationHash } from '../aggregation/enrolment.ts';
import { createIdentity, fingerprint, type Identity } from '../aggregation/identity.ts';
import { hex } from '../aggregation/plan.ts';
import { PROTECTING_SUMS, type SecureSumName, type TenantId } from '../aggregation/secure-sum.ts';
import type { Settings } from '../aggregation/settings.ts';
import { openClientStore } from '../client/client-store.ts';
import { type ClientEvent, type ClientWorld, createParticipant, type Participant } from '../client/participant.ts';
import type { Policy } from '../client/policy.ts';
import type { Conductor } from '../coordinator/conductor.ts';
import { type Coordinator, openCoordinator } from '../coordinator/coordinator.ts';
import type { CoordinatorEvent } from '../coordinator/coordinator-event.ts';
import { openSqliteStore } from '../coordinator/store/sqlite.ts';
import type { Backend } from '../models/backend.ts';
import type { Table } from '../models/encode.ts';
import type { FeatureSchema } from '../models/schema.ts';
import { threadedNoise } from '../privacy/noise-supply.ts';
import { secureRandom } from '../privacy/random.ts';
import { memoryLinks } from './memory-link.ts';

/**
 * A whole federation in one process: the coordinator and the clients that run in production, with
 * queues where the sockets are and memory where the disks are. Nothing of a round is written twice.
 *
 *   tenants' tables ──▶ enrol, pin each other ──▶ connect over memory links ──▶ run a task to its end
 */
export interface Federation {
  readonly coordinator: Coordinator;
  readonly tenants: readonly SimulatedTenant[];
  /** Proposes a task and waits for its end. @throws PlanRefused */
  run(settings: Settings): Promise<Conductor>;
  close(): void;
}

export interface SimulatedTenant {
  readonly name: TenantId;
  readonly participant: Participant;
  readonly world: ClientWorld;
  /** Cuts the tenant's connection. */
  disconnect(): void;
  connect(): void;
}

export interface FederationOptions {
  readonly tables: ReadonlyMap<TenantId, Table>;
  /** the data contract of every tenant: tasks may use part of it */
  readonly schema: FeatureSchema;
  readonly backend: Backend;
  readonly secureSum?: readonly SecureSumName[];
  /** changes a tenant's policy before it starts */
  readonly policy?: (policy: Policy) => Policy;
  /** changes the world a tenant lives in: clock, randomness, storage */
  readonly world?: (world: ClientWorld) => ClientWorld;
  readonly onCoordinatorEvent?: (event: CoordinatorEvent) => void;
  readonly onClientEvent?: (tenant: TenantId, event: ClientEvent) => void;
  /** a client that broke: its store, or a bug */
  readonly onClientFailure?: (tenant: TenantId, error: unknown) => void;
  readonly coordinatorStore?: string;
}

/** How often time is let pass, milliseconds. */
const TICK_MS = 20;

/** Tenants that connect at one time: a coordinator turns strangers away when too many stand at its door. */
const AT_ONCE = 32;

export async function createFederation(options: FederationOptions): Promise<Federation> {
  const names = [...options.tables.keys()];
  const identities = new Map(names.map((name) => [name, createIdentity()]));
  const identity = createIdentity();
  const listeners = new Set<(event: CoordinatorEvent) => void>();
  const coordinator = await openCoordinator({
    store: openSqliteStore(options.coordinatorStore ?? ':memory:'),
    identity,
    clock: Date.now,
    version: 'simulation',
    onEvent: (event) => {
      options.onCoordinatorEvent?.(event);
      for (const listener of listeners) listener(event);
    },
  });
  for (const [name, own] of identities) enrol(coordinator, name, own);
  const chance = { random: secureRandom(), noise: threadedNoise() };
  const tenants = names.map((name) => simulatedTenant(name, identities, identity, coordinator, chance, options));
  for (let from = 0; from < tenants.length; from += AT_ONCE) {
    const some = tenants.slice(from, from + AT_ONCE);
    for (const tenant of some) tenant.connect();
    await settled(some);
  }
  const ticking = setInterval(() => void coordinator.tick(), TICK_MS);

  return {
    coordinator,
    tenants,
    async run(settings) {
      const conductor = coordinator.propose(settings);
      await new Promise<void>((resolve) => {
        const look = (): void => {
          if (!conductor.isOver) return;
          listeners.delete(look);
          resolve();
        };
        listeners.add(look);
        look();
      });
      await settled(tenants);
      return conductor;
    },
    close() {
      clearInterval(ticking);
      for (const tenant of tenants) {
        tenant.disconnect();
        tenant.participant.forget();
        tenant.world.store.close();
      }
      coordinator.close();
      void chance.noise.close();
    },
  };
}

/** Lets the last frames arrive and be dealt with. */
async function settled(tenants: readonly SimulatedTenant[]): Promise<void> {
  for (let turns = 0; turns < 3; turns++) {
    await sleep(1);
    await Promise.all(tenants.map((tenant) => tenant.participant.idle()));
  }
}

function enrol(coordinator: Coordinator, tenant: TenantId, identity: Identity): void {
  const key = hex(identity.publicKey);
  const proof = enrolmentProof(invitationHash(coordinator.enrolment.invite(tenant)), { tenant, key });
  coordinator.enrolment.enrol({
    tenant,
    key,
    proof,
    signature: identity.sign(enrolmentDigest({ tenant, key, proof })),
  });
}

function simulatedTenant(
  name: TenantId,
  identities: ReadonlyMap<TenantId, Identity>,
  coordinatorIdentity: Identity,
  coordinator: Coordinator,
  chance: Pick<ClientWorld, 'random' | 'noise'>,
  options: FederationOptions,
): SimulatedTenant {
  const table = options.tables.get(name)!;
  const policy = policyFor(name, identities, fingerprint(coordinatorIdentity.publicKey), options);
  const plain: ClientWorld = {
    identity: identities.get(name)!,
    policy: options.policy?.(policy) ?? policy,
    store: openClientStore(':memory:'),
    backend: options.backend,
    ...chance,
    clock: Date.now,
    sleep: (ms) => sleep(ms),
    snapshot: async () => ({ table, hash: 'in memory' }),
    version: 'simulation',
    onEvent: (event) => options.onClientEvent?.(name, event),
  };
  const world = options.world?.(plain) ?? plain;
  const participant = createParticipant(world);
  let disconnect = (): void => {};
  return {
    name,
    participant,
    world,
    disconnect: () => disconnect(),
    connect: () => {
      const [here, there] = memoryLinks();
      participant.take(here).catch((error: unknown) => options.onClientFailure?.(name, error));
      coordinator.connect(there);
      disconnect = () => here.close();
    },
  };
}

/** A tenant that knows its peers, accepts every kind of task and has a generous budget. */
function policyFor(
  tenant: TenantId,
  identities: ReadonlyMap<TenantId, Identity>,
  coordinator: string,
  { schema, secureSum = PROTECTING_SUMS }: FederationOptions,
): Policy {
  const others = [...identities].filter(([name]) => name !== tenant);
  return {
    tenant,
    coordinator: { url: 'http://simulation.invalid', fingerprint: coordinator },
    data: 'in memory',
    schema,
    maxCustomers: 1,
    peers: Object.fromEntries(others.map(([name, { publicKey }]) => [name, fingerprint(publicKey)])),
    accept: {
      work: ['train', 'segment', 'evaluate'],
      secureSum: [...secureSum],
      mode: ['record-distributed', 'record-local'],
      maxEpsilon: 8,
      maxDelta: 1e-3,
      minCohort: 1,
      minColluders: 0,
      minUploadEveryMs: 1,
    },
    budget: { training: { epsilon: 100, delta: 1e-3 }, 'held-out': { epsilon: 100, delta: 1e-3 } },
  };
}
