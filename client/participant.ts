import { Unverified } from '../aggregation/channel.ts';
import type { Identity } from '../aggregation/identity.ts';
import type { AgreementKey } from '../aggregation/key-agreement.ts';
import type { Link } from '../aggregation/link.ts';
import { hex, type Plan, planSchema } from '../aggregation/plan.ts';
import { type FromCoordinator, type LedgerNews, PROTOCOL, standingDigest } from '../aggregation/wire.ts';
import { WireRefused } from '../aggregation/wire-check.ts';
import { cosigned } from '../aggregation/witness.ts';
import type { Backend } from '../models/backend.ts';
import { NO_TASK } from '../privacy/ledger.ts';
import type { NoiseSupply } from '../privacy/noise-supply.ts';
import type { RandomSource } from '../privacy/random.ts';
import type { ClientStore } from './client-store.ts';
import { Connection } from './connection.ts';
import type { DeclineCause } from './declined.ts';
import { LedgerBroken, takeInLedger, takeInWitnessed } from './ledger-view.ts';
import { checkOwnEntries, noteLimit } from './own-word.ts';
import type { Policy } from './policy.ts';
import type { Snapshot } from './rows.ts';
import { followLedger, type PoolName, statedOf } from './spending.ts';
import { Tasks } from './tasks.ts';

/**
 * A tenant's program: it takes part in what its policy allows, and in nothing else.
 *
 *   frame ─▶ the pinned coordinator's? made for this connection and this place? (`connection.ts`, `greeting.ts`)
 *   news  ─▶ the same ledger, only longer? nothing in my name that I never said? ─▶ kept, and cosigned
 *   plan  ─▶ signed? derived as stated? within the policy and the budget? fits the data? ─▶ accept, or decline with a reason
 *            (`tasks.ts`, `admission.ts`)
 *   ask, opened, over ─▶ the task's session (`task-session.ts`)
 *
 * Every message of the coordinator is signed, and every ledger entry it mentions is verified against the head this
 * tenant saw last, before anything is done. One message at a time, in order.
 */
export interface ClientWorld {
  readonly identity: Identity;
  readonly policy: Policy;
  readonly store: ClientStore;
  readonly backend: Backend;
  /** who is in a batch, and where; must be `secure` */
  readonly random: RandomSource;
  /** drawn ahead of the batch it hides; must be `secure`. Whoever opened it closes it. */
  readonly noise: NoiseSupply;
  /** Unix milliseconds */
  readonly clock: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** The tenant's customers, checked against the policy's data contract (`data-contract.ts`). */
  readonly snapshot: () => Promise<Snapshot>;
  readonly version: string;
  /** Told what happens, for logs and progress lines; never holds a row, a key or a vector. */
  readonly onEvent?: (event: ClientEvent) => void;
  /** Puts the result of a finished task where its owner looks for it. Nobody is told of the end before, and it is told again after a crash. */
  readonly keep?: (result: Finished) => Promise<void>;
}

export type ClientEvent =
  | { readonly type: 'connected'; readonly coordinator: string }
  | { readonly type: 'accepted'; readonly task: string; readonly plan: Plan }
  | { readonly type: 'declined'; readonly task: string; readonly because: DeclineCause; readonly reason: string }
  | { readonly type: 'round-opened'; readonly task: string; readonly round: number; readonly contributions: number }
  | Finished
  | { readonly type: 'stopped'; readonly task: string; readonly reason: string }
  | { readonly type: 'refused'; readonly about: string; readonly reason: string }
  /** the connection ends, because of what arrived on it and nobody answers for; it will be taken up again */
  | { readonly type: 'interrupted'; readonly reason: string }
  | { readonly type: 'left'; readonly reason: string };

/** The model as this tenant computed it itself. */
export interface Finished {
  readonly type: 'finished';
  readonly task: string;
  readonly plan: Plan;
  readonly parameters: Float64Array;
}

export interface Participant {
  /**
   * Takes part over this connection until it closes.
   *
   * @param welcomed - called when the coordinator has let this tenant in
   * @returns why it will not be taken up again, which only what the coordinator itself has said on this connection can
   *   cause; undefined when it may be
   * @throws what broke on this side: storage, above all
   */
  take(link: Link, welcomed?: () => void, agreement?: AgreementKey): Promise<string | undefined>;
  /** When everything received so far has been dealt with. */
  idle(): Promise<void>;
  forget(): void;
}

const POOLS: readonly PoolName[] = ['training', 'held-out'];

/** @throws Error when noise or batches could be replayed */
export function createParticipant(world: ClientWorld): Participant {
  if (world.random.kind !== 'secure' || world.noise.kind !== 'secure')
    throw new Error('a participant needs secure randomness: replayed noise protects nobody');
  const { policy, store } = world;
  const tasks = new Tasks(world, state);
  const plans = new Map<string, Plan>();
  const tell = world.onEvent ?? (() => {});
  let queue: Promise<void> = Promise.resolve();

  const planOf = (task: string): Plan | undefined => {
    const stored = plans.has(task) ? undefined : store.accepted(task);
    if (stored !== undefined) plans.set(task, planSchema.parse(JSON.parse(stored.plan)));
    return plans.get(task);
  };

  async function handle(connection: Connection, message: FromCoordinator, welcomed: () => void): Promise<void> {
    if ('ledger' in message) news(message.ledger, connection.coordinatorKey);
    switch (message.type) {
      case 'hello':
        return;
      case 'welcome':
        welcome(connection, message);
        return welcomed();
      case 'plan':
        return tasks.consider(connection, message);
      case 'witness':
        return cosign(connection, message.ledger);
      case 'witnessed':
        return witnessed(connection, message);
      case 'over':
        return tasks.over(message);
      case 'have':
        return tasks.have(message);
      case 'refused':
        return refused(connection, message);
      default:
        return tasks.hear(connection.speak, message);
    }
  }

  function welcome(connection: Connection, { version }: Extract<FromCoordinator, { type: 'welcome' }>): void {
    if (connection.protocol !== PROTOCOL)
      throw new WireRefused(
        `the coordinator (${version}) speaks protocol ${connection.protocol}, this client (${world.version}) ${PROTOCOL}: install the same version`,
      );
    connection.welcomed = version;
    for (const pool of POOLS) state(connection, NO_TASK, pool);
    tell({ type: 'connected', coordinator: [policy.coordinator.url].flat().join(', ') });
  }

  function news(ledger: LedgerNews, key: Uint8Array): void {
    // together: a client killed between the two would have seen a task end, and never got its unused openings back
    store.commit(() => {
      const isFirst = store.ledgerHead().size === 0;
      const entries = takeInLedger(store, ledger, key);
      const own = { tenant: policy.tenant, key: hex(world.identity.publicKey) };
      checkOwnEntries(store, own, entries, isFirst);
      followLedger(store, policy, entries, planOf);
    });
  }

  /** Where a pool's budget stands, by this tenant's own count: the one that counts. It depends on plans, never on data. */
  function state({ speak, exchange }: Connection, task: string, pool: PoolName): void {
    const stated = statedOf(store, policy, pool, world.clock());
    if (!Number.isFinite(stated.epsilon)) return; // no number; whatever asks for more is declined
    noteLimit(store, pool, { epsilon: stated.limit, delta: stated.delta });
    const message = { type: 'standing', task, ledger: store.ledgerHead().size, ...stated } as const;
    const signature = world.identity.sign(standingDigest(policy.tenant, exchange, message));
    speak({ ...message, signature });
  }

  // ---- this tenant as a witness

  /** The news were verified when they came in: this tree continues every one that this tenant saw before. */
  function cosign({ speak }: Connection, { note }: LedgerNews): void {
    const { size } = store.ledgerHead();
    const line = cosigned(note, policy.tenant, world.identity, world.clock());
    speak({ type: 'cosign', size, line });
  }

  function witnessed(
    { coordinatorKey }: Connection,
    { task, note }: Extract<FromCoordinator, { type: 'witnessed' }>,
  ): void {
    const plan = planOf(task);
    if (plan !== undefined) takeInWitnessed(world, plan, note, coordinatorKey);
  }

  function refused({ welcomed }: Connection, { about, reason }: Extract<FromCoordinator, { type: 'refused' }>): void {
    if (welcomed === undefined) throw new WireRefused(`the coordinator refuses this client: ${reason}`);
    tell({ type: 'refused', about, reason });
  }

  return {
    take: (link, welcomed = () => {}, agreement) =>
      new Promise((resolve, reject) => {
        const connection = new Connection(world, link, agreement);
        let left = false;
        const leave = (error: unknown): void => {
          left = true;
          const reason = error instanceof Error ? error.message : String(error);
          tell({ type: error instanceof Unverified ? 'interrupted' : 'left', reason });
          link.close();
          if (error instanceof Unverified) resolve(undefined);
          else if (error instanceof WireRefused || error instanceof LedgerBroken) resolve(reason);
          else reject(error); // a full disk, a bug: nothing more is done until a person has looked
        };
        link.onClose(() => resolve(undefined));
        link.onFrame((frame) => {
          queue = queue
            .then(() => (left ? undefined : handle(connection, connection.hear(frame), welcomed)))
            .catch(leave);
        });
      }),
    idle: () => queue,
    forget: () => tasks.forget(),
  };
}
