import { setTimeout as sleep } from 'node:timers/promises';
import { Channel } from '../../aggregation/channel.ts';
import { enrolmentDigest, enrolmentProof, invitationHash } from '../../aggregation/enrolment.ts';
import { createIdentity, fingerprint, type Identity } from '../../aggregation/identity.ts';
import { ephemeralKey } from '../../aggregation/key-agreement.ts';
import type { Frame } from '../../aggregation/link.ts';
import { hex } from '../../aggregation/plan.ts';
import { SECURE_SUMS, type TenantId } from '../../aggregation/secure-sum.ts';
import type { Settings } from '../../aggregation/settings.ts';
import {
  decodeFromClient,
  decodeFromCoordinator,
  encode,
  type FromClient,
  type FromCoordinator,
  type LedgerNews,
} from '../../aggregation/wire.ts';
import { signedHead } from '../../aggregation/witness.ts';
import { type ClientStore, openClientStore } from '../../client/client-store.ts';
import { type ClientEvent, type ClientWorld, createParticipant, type Participant } from '../../client/participant.ts';
import type { Policy } from '../../client/policy.ts';
import type { Conductor } from '../../coordinator/conductor.ts';
import { type Coordinator, openCoordinator } from '../../coordinator/coordinator.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import type { Backend } from '../../models/backend.ts';
import type { Table } from '../../models/encode.ts';
import {
  appendEntry,
  entryText,
  type LedgerBody,
  type LedgerContext,
  type LedgerEntry,
  type LedgerHead,
  verifyChain,
} from '../../privacy/ledger.ts';
import { inlineNoise } from '../../privacy/noise-supply.ts';
import { secureRandom } from '../../privacy/random.ts';
import { memoryLinks } from '../../simulation/memory-link.ts';
import { toyFeatures, toyTable } from './toy-task.ts';

/**
 * A coordinator that lies, made of an honest one and somebody who sits on its wires with its key:
 *
 *   real coordinator ──▶ lies, signed again ──▶ real participant
 *                    ◀── everything it sends, kept ──
 *
 * What a tenant was told, what it said and what it noted is all there afterwards.
 */
export interface LyingCoordinator {
  readonly coordinator: Coordinator;
  readonly identity: Identity;
  tenant(name: TenantId): Victim;
  run(settings: Settings): Conductor;
  /** @throws Error when it does not become true in time, four seconds if not said otherwise */
  until(condition: () => boolean, what?: string, timeoutMs?: number): Promise<void>;
  over(conductor: Conductor): Promise<void>;
  close(): void;
}

export interface Victim {
  readonly name: TenantId;
  readonly identity: Identity;
  readonly store: ClientStore;
  readonly participant: Participant;
  readonly world: ClientWorld;
  /** what it was told, after the lies */
  readonly told: FromCoordinator[];
  /** what it said */
  readonly said: FromClient[];
  readonly events: ClientEvent[];
  disconnect(): void;
  connect(): void;
  /** Ends this tenant's process, so to speak, and starts it again on the same disk. */
  restart(world?: (world: ClientWorld) => ClientWorld): Victim;
  /** Tells it one thing more, as the coordinator would. */
  tell(message: FromCoordinator): void;
  /** Delivers a frame as it stands: for one that is no frame of this coordinator. */
  deliver(frame: Frame): void;
}

/** What the tenant is told instead; an empty list swallows the message. */
export type Lie = (to: Victim, message: FromCoordinator) => readonly FromCoordinator[] | undefined;

export interface LyingOptions {
  readonly backend: Backend;
  readonly tenants?: readonly TenantId[];
  readonly lie?: Lie;
  readonly policy?: (policy: Policy) => Policy;
  readonly world?: (world: ClientWorld, tenant: TenantId) => ClientWorld;
  /** file of a tenant's store; in memory when left out */
  readonly storeFile?: (tenant: TenantId) => string;
  readonly table?: (tenant: TenantId) => Table;
}

export async function startLying(options: LyingOptions): Promise<LyingCoordinator> {
  const names = options.tenants ?? ['ada', 'bob', 'cleo', 'dan'];
  const identity = createIdentity();
  const coordinator = await openCoordinator({
    store: openSqliteStore(':memory:'),
    identity,
    clock: Date.now,
    version: 'test',
  });
  const identities = new Map(names.map((name) => [name, createIdentity()]));
  for (const [tenant, own] of identities) {
    const key = hex(own.publicKey);
    const proof = enrolmentProof(invitationHash(coordinator.enrolment.invite(tenant)), { tenant, key });
    coordinator.enrolment.enrol({ tenant, key, proof, signature: own.sign(enrolmentDigest({ tenant, key, proof })) });
  }
  const policyOf = (tenant: TenantId): Policy => {
    const policy = toyPolicy(tenant, identities, fingerprint(identity.publicKey));
    return options.policy?.(policy) ?? policy;
  };
  const victims = new Map<TenantId, Victim>();
  for (const [name, own] of identities) {
    const world: ClientWorld = {
      identity: own,
      policy: policyOf(name),
      store: openClientStore(options.storeFile?.(name) ?? ':memory:'),
      backend: options.backend,
      random: secureRandom(),
      noise: inlineNoise(secureRandom()),
      clock: Date.now,
      sleep: (ms) => sleep(ms),
      snapshot: async () => ({ table: options.table?.(name) ?? toyTable(name), hash: 'f'.repeat(64) }),
      version: 'test',
    };
    victims.set(
      name,
      victim(options.world?.(world, name) ?? world, name, coordinator, identity, options.lie, (again) =>
        victims.set(name, again),
      ),
    );
  }
  for (const one of victims.values()) one.connect();
  const ticking = setInterval(() => void coordinator.tick(), 10);

  const until = async (condition: () => boolean, what = 'it', timeoutMs = 20_000): Promise<void> => {
    for (const end = performance.now() + timeoutMs; !condition(); await sleep(2))
      if (performance.now() > end) throw new Error(`${what} did not happen`);
  };
  return {
    coordinator,
    identity,
    tenant: (name) => victims.get(name)!,
    run: (settings) => coordinator.propose(settings),
    until,
    over: async (conductor) => {
      await until(() => conductor.isOver, 'the end of the task');
      await sleep(20);
      await Promise.all([...victims.values()].map(({ participant }) => participant.idle()));
    },
    close() {
      clearInterval(ticking);
      for (const one of victims.values()) {
        one.disconnect();
        one.participant.forget();
      }
      coordinator.close();
    },
  };
}

function victim(
  given: ClientWorld,
  name: TenantId,
  coordinator: Coordinator,
  identity: Identity,
  lie: Lie | undefined,
  restarted: (victim: Victim) => void,
): Victim {
  const told: FromCoordinator[] = [];
  const said: FromClient[] = [];
  const events: ClientEvent[] = [];
  const world: ClientWorld = {
    ...given,
    onEvent: (event) => {
      events.push(event);
      given.onEvent?.(event);
    },
  };
  const participant = createParticipant(world);
  let disconnect = (): void => {};
  let deliver: Victim['deliver'] = () => {};
  let tell: Victim['tell'] = () => {};
  const self: Victim = {
    name,
    identity: world.identity,
    store: world.store,
    participant,
    world,
    told,
    said,
    events,
    disconnect: () => disconnect(),
    tell: (message) => tell(message),
    deliver: (frame) => deliver(frame),
    connect() {
      const [atTenant, nearTenant] = memoryLinks();
      const [nearCoordinator, atCoordinator] = memoryLinks();
      const agreement = ephemeralKey();
      const channel = new Channel('coordinator', agreement);
      deliver = (frame) => nearTenant.send(frame);
      tell = (message) => nearTenant.send(channel.seal(encode(message), identity));
      nearTenant.onFrame((frame) => {
        channel.takes(frame, undefined);
        const message = decodeFromClient(frame.body);
        if (message.type === 'identify') channel.agree(message.exchange);
        said.push(message);
        nearCoordinator.send(frame);
      });
      nearCoordinator.onFrame((frame) => {
        const message = decodeFromCoordinator(frame.body);
        const lies = lie?.(self, message);
        if (lies === undefined) {
          told.push(message);
          return tell(message);
        }
        for (const one of lies) {
          told.push(one);
          tell(one);
        }
      });
      nearTenant.onClose(() => nearCoordinator.close());
      nearCoordinator.onClose(() => nearTenant.close());
      participant.take(atTenant).catch(() => {}); // its event tells
      coordinator.connect(atCoordinator, agreement);
      disconnect = () => atTenant.close();
    },
    restart(changed = (same) => same) {
      disconnect();
      participant.forget();
      const again = victim(changed(given), name, coordinator, identity, lie, restarted);
      restarted(again);
      return again;
    },
  };
  return self;
}

/** A tenant that pins its peers, accepts every kind of task and has a generous budget. */
export function toyPolicy(tenant: TenantId, identities: ReadonlyMap<TenantId, Identity>, coordinator: string): Policy {
  const others = [...identities].filter(([name]) => name !== tenant);
  return {
    tenant,
    coordinator: { url: 'http://test.invalid', fingerprint: coordinator },
    data: 'in memory',
    schema: toyFeatures,
    maxCustomers: 100,
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
    budget: { training: { epsilon: 20, delta: 1e-5 }, 'held-out': { epsilon: 20, delta: 1e-5 } },
  };
}

/** News of a ledger that goes on from `head` with these entries, signed by the coordinator. */
export function forgedNews(
  head: LedgerHead,
  bodies: readonly (LedgerBody & Partial<LedgerContext>)[],
  context: LedgerContext,
  identity: Identity,
): LedgerNews {
  let at = head;
  const entries = bodies.map((body) => {
    const { entry, head: next } = appendEntry(at, body, context);
    at = next;
    return entryText(entry);
  });
  return signedNews(entries, at, identity);
}

/** These entries, with this head, signed whether or not it is theirs. */
export function signedNews(entries: readonly string[], head: LedgerHead, identity: Identity): LedgerNews {
  return { entries: [...entries], note: signedHead(head, identity) };
}

/** Where a ledger that stood at `head` stands after news. */
export function headAfter(head: LedgerHead, { entries }: LedgerNews): LedgerHead {
  const verdict = verifyChain(entries, head);
  if (!verdict.intact) throw new Error(verdict.problem);
  return verdict.head;
}

/** The bodies of entries, without what ties them to their place. */
export function bodiesOf(news: LedgerNews): LedgerBody[] {
  return news.entries.map((text) => {
    const { v, seq, previous, time, federation, task, ...body } = JSON.parse(text) as LedgerEntry;
    void [v, seq, previous, time, federation, task];
    return body as LedgerBody;
  });
}
