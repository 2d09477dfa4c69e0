import { setTimeout as sleep } from 'node:timers/promises';
import { type EnrolmentRequest, enrolmentDigest, enrolmentProof, invitationHash } from '../../aggregation/enrolment.ts';
import { createIdentity, fingerprint, type Identity } from '../../aggregation/identity.ts';
import { hex } from '../../aggregation/plan.ts';
import { SECURE_SUMS, type TenantId } from '../../aggregation/secure-sum.ts';
import { type ClientStore, openClientStore } from '../../client/client-store.ts';
import { type ClientEvent, createParticipant, type Participant } from '../../client/participant.ts';
import type { Policy } from '../../client/policy.ts';
import { type Coordinator, openCoordinator } from '../../coordinator/coordinator.ts';
import type { CoordinatorEvent } from '../../coordinator/coordinator-event.ts';
import type { Enrolment } from '../../coordinator/enrolment.ts';
import type { EventStore } from '../../coordinator/store/event-store.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import type { Backend } from '../../models/backend.ts';
import { inlineNoise } from '../../privacy/noise-supply.ts';
import { secureRandom } from '../../privacy/random.ts';
import { memoryLinks } from '../../simulation/memory-link.ts';
import { smallTables, smallTask } from './small-task.ts';

/** Real participants that outlive the coordinator they talk to. */
export interface Tenants {
  readonly names: readonly TenantId[];
  readonly identities: ReadonlyMap<TenantId, Identity>;
  readonly participants: ReadonlyMap<TenantId, Participant>;
  readonly stores: ReadonlyMap<TenantId, ClientStore>;
  /** everything the participants told, in order */
  readonly events: (ClientEvent & { readonly tenant: TenantId })[];
  forget(): void;
}

/** @param coordinator - the key that their policies pin */
export function tenantsFor(coordinator: Uint8Array, backend: Backend, names: readonly TenantId[]): Tenants {
  const identities = new Map(names.map((name) => [name, createIdentity()]));
  const tables = smallTables(names);
  const events: Tenants['events'] = [];
  const stores = names.map(() => openClientStore(':memory:'));
  const participants = names.map((name, i): [TenantId, Participant] => [
    name,
    createParticipant({
      identity: identities.get(name)!,
      policy: generous(name, identities, fingerprint(coordinator)),
      store: stores[i]!,
      backend,
      random: secureRandom(),
      noise: inlineNoise(secureRandom()),
      clock: Date.now,
      sleep: (ms) => sleep(ms),
      snapshot: async () => ({ table: tables.get(name)!, hash: 'in memory' }),
      version: 'test',
      onEvent: (event) => events.push({ ...event, tenant: name }),
    }),
  ]);
  return {
    names,
    identities,
    participants: new Map(participants),
    stores: new Map(names.map((name, i) => [name, stores[i]!])),
    events,
    forget() {
      for (const [, participant] of participants) participant.forget();
      for (const store of stores) store.close();
    },
  };
}

function generous(tenant: TenantId, identities: ReadonlyMap<TenantId, Identity>, coordinator: string): Policy {
  const others = [...identities].filter(([name]) => name !== tenant);
  return {
    tenant,
    coordinator: { url: 'http://test.invalid', fingerprint: coordinator },
    data: 'in memory',
    schema: smallTask().features,
    maxCustomers: 20,
    peers: Object.fromEntries(others.map(([name, { publicKey }]) => [name, fingerprint(publicKey)])),
    accept: {
      work: ['train', 'segment', 'evaluate'],
      secureSum: [...SECURE_SUMS],
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

/** What a tenant sends to join with a code. */
export function enrolmentRequest(tenant: TenantId, code: string, identity: Identity): EnrolmentRequest {
  const key = hex(identity.publicKey);
  const request = { tenant, key, proof: enrolmentProof(invitationHash(code), { tenant, key }) };
  return { ...request, signature: identity.sign(enrolmentDigest(request)) };
}

export function enrol(enrolment: Enrolment, tenant: TenantId, identity: Identity): void {
  enrolment.enrol(enrolmentRequest(tenant, enrolment.invite(tenant), identity));
}

/** A coordinator on a file, for as long as its process would live. */
export interface Life {
  readonly coordinator: Coordinator;
  connect(tenants: Tenants, names?: readonly TenantId[]): void;
  disconnect(tenant: TenantId): void;
  /** Resolves when `isTrue` is; looks after every change. @throws Error after `timeoutMs` */
  until(isTrue: () => boolean, timeoutMs?: number): Promise<void>;
  /** The process ends here: no frame leaves any more, nothing more is written. */
  crash(): void;
}

export async function startLife(
  file: string,
  identity: Identity,
  onEvent: (event: CoordinatorEvent, life: Pick<Life, 'crash'> & { readonly store: EventStore }) => void = () => {},
): Promise<Life> {
  const store = openSqliteStore(file);
  const links = new Map<TenantId, { close(): void }>();
  let lives = true;
  let ticking: NodeJS.Timeout | undefined;
  const crash = (): void => {
    if (!lives) return;
    lives = false;
    clearInterval(ticking);
    for (const link of links.values()) link.close();
    store.close();
  };
  const coordinator = await openCoordinator({
    store,
    identity,
    clock: Date.now,
    version: 'test',
    onEvent: (event) => {
      if (lives) onEvent(event, { store, crash });
    },
  });
  if (lives) ticking = setInterval(() => void coordinator.tick(), 10);
  return {
    coordinator,
    connect(tenants, names = tenants.names) {
      for (const name of names) {
        const [here, there] = memoryLinks();
        links.set(name, here);
        void tenants.participants.get(name)!.take(here);
        coordinator.connect(there);
      }
    },
    disconnect: (tenant) => links.get(tenant)?.close(),
    async until(isTrue, timeoutMs = 40_000) {
      for (const end = Date.now() + timeoutMs; !isTrue(); await sleep(5))
        if (Date.now() > end) throw new Error('waited in vain');
    },
    crash,
  };
}
