import type { Identity } from '../aggregation/identity.ts';
import type { Link } from '../aggregation/link.ts';
import { hex, type Plan, planSchema } from '../aggregation/plan.ts';
import {
  decodeFromCoordinator,
  encodeFromClient,
  type FromCoordinator,
  type LedgerNews,
  standingDigest,
} from '../aggregation/wire.ts';
import { WireRefused } from '../aggregation/wire-check.ts';
import { cosigned } from '../aggregation/witness.ts';
import type { Backend } from '../models/backend.ts';
import { NO_TASK } from '../privacy/ledger.ts';
import type { NoiseSupply } from '../privacy/noise-supply.ts';
import type { RandomSource } from '../privacy/random.ts';
import type { ClientStore } from './client-store.ts';
import type { DeclineCause } from './declined.ts';
import { type Hello, identification } from './greeting.ts';
import { LedgerBroken, takeInLedger, takeInWitnessed } from './ledger-view.ts';
import { checkOwnEntries, noteLimit } from './own-word.ts';
import type { Policy } from './policy.ts';
import type { Snapshot } from './rows.ts';
import { followLedger, type PoolName, statedOf } from './spending.ts';
import { Tasks } from './tasks.ts';

/**
 * A tenant's program: it takes part in what its policy allows, and in nothing else.
 *
 *   hello ─▶ is this the pinned coordinator? ─▶ identify (`greeting.ts`)
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
}

export type ClientEvent =
  | { readonly type: 'connected'; readonly coordinator: string }
  | { readonly type: 'accepted'; readonly task: string; readonly plan: Plan }
  | { readonly type: 'declined'; readonly task: string; readonly because: DeclineCause; readonly reason: string }
  | { readonly type: 'round-opened'; readonly task: string; readonly round: number; readonly contributions: number }
  | { readonly type: 'finished'; readonly task: string; readonly plan: Plan; readonly parameters: Float64Array }
  | { readonly type: 'stopped'; readonly task: string; readonly reason: string }
  | { readonly type: 'refused'; readonly about: string; readonly reason: string }
  | { readonly type: 'left'; readonly reason: string };

export interface Participant {
  /**
   * Takes part over this connection until it closes.
   * @returns why it will not be taken up again; undefined when the other side just went away
   * @throws what broke on this side: storage, above all
   */
  take(link: Link): Promise<string | undefined>;
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
  let coordinatorKey: Uint8Array | undefined;
  /** of the greeting */
  let nonce = new Uint8Array();
  let welcome = false;
  let queue: Promise<void> = Promise.resolve();

  const planOf = (task: string): Plan | undefined => {
    const stored = plans.has(task) ? undefined : store.accepted(task);
    if (stored !== undefined) plans.set(task, planSchema.parse(JSON.parse(stored.plan)));
    return plans.get(task);
  };

  async function handle(link: Link, message: FromCoordinator): Promise<void> {
    if ('ledger' in message) news(message.ledger);
    switch (message.type) {
      case 'hello':
        return greet(link, message);
      case 'welcome':
        welcome = true;
        for (const pool of POOLS) state(link, NO_TASK, pool);
        return tell({ type: 'connected', coordinator: policy.coordinator.url });
      case 'plan':
        return tasks.consider(link, message, greeted());
      case 'witness':
        return cosign(link, message.ledger);
      case 'witnessed':
        return witnessed(message);
      case 'over':
        return tasks.over(message);
      case 'have':
        return tasks.have(message);
      case 'refused':
        return refused(message);
      default:
        return tasks.hear(link, message);
    }
  }

  /** @throws WireRefused when this is not the coordinator whose fingerprint the policy pins */
  function greet(link: Link, hello: Hello): void {
    const answer = identification(world, hello);
    coordinatorKey = hello.key;
    nonce = Uint8Array.from(hello.nonce);
    welcome = false;
    link.send(encodeFromClient(answer));
  }

  /** The coordinator's key. */
  function greeted(): Uint8Array {
    if (coordinatorKey === undefined) throw new WireRefused('a message before a greeting');
    return coordinatorKey;
  }

  function news(ledger: LedgerNews): void {
    const key = greeted();
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
  function state(link: Link, task: string, pool: PoolName): void {
    const stated = statedOf(store, policy, pool, world.clock());
    if (!Number.isFinite(stated.epsilon)) return; // no number; whatever asks for more is declined
    noteLimit(store, pool, { epsilon: stated.limit, delta: stated.delta });
    const message = { type: 'standing', task, ledger: store.ledgerHead().size, ...stated } as const;
    const signature = world.identity.sign(standingDigest(policy.tenant, nonce, message));
    link.send(encodeFromClient({ ...message, signature }));
  }

  // ---- this tenant as a witness

  /** The news were verified when they came in: this tree continues every one that this tenant saw before. */
  function cosign(link: Link, { note }: LedgerNews): void {
    const { size } = store.ledgerHead();
    const line = cosigned(note, policy.tenant, world.identity, world.clock());
    link.send(encodeFromClient({ type: 'cosign', size, line }));
  }

  function witnessed({ task, note }: Extract<FromCoordinator, { type: 'witnessed' }>): void {
    const plan = planOf(task);
    if (plan !== undefined) takeInWitnessed(world, plan, note, greeted());
  }

  function refused({ about, reason }: Extract<FromCoordinator, { type: 'refused' }>): void {
    if (!welcome) throw new WireRefused(`the coordinator refuses this client: ${reason}`);
    tell({ type: 'refused', about, reason });
  }

  return {
    take: (link) =>
      new Promise((resolve, reject) => {
        let left = false;
        const leave = (error: unknown): void => {
          left = true;
          const isRefusal = error instanceof WireRefused || error instanceof LedgerBroken;
          tell({ type: 'left', reason: error instanceof Error ? error.message : String(error) });
          link.close();
          if (isRefusal) resolve(error.message);
          else reject(error); // a full disk, a bug: nothing more is done until a person has looked
        };
        link.onClose(() => resolve(undefined));
        link.onFrame((frame) => {
          queue = queue
            .then(() => (left ? undefined : handle(link, decodeFromCoordinator(frame, coordinatorKey))))
            .catch(leave);
        });
      }),
    idle: () => queue,
    forget: () => tasks.forget(),
  };
}
