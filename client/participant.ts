import { randomBytes } from 'node:crypto';
import { isStorageError } from '../aggregation/exit.ts';
import { fingerprint, type Identity, isSignedBy } from '../aggregation/identity.ts';
import type { Link } from '../aggregation/link.ts';
import { checkPlan, hex, type Plan, planDigest, planSchema, planText, poolOf, taskId } from '../aggregation/plan.ts';
import { startParameters } from '../aggregation/progress.ts';
import { ProtocolBroken } from '../aggregation/secure-sum.ts';
import { digest } from '../aggregation/transcript.ts';
import {
  answerDigest,
  decodeFromCoordinator,
  encodeFromClient,
  type FromCoordinator,
  identifyDigest,
  type LedgerNews,
  PROTOCOL,
  standingDigest,
  vectorFrom,
} from '../aggregation/wire.ts';
import { WireRefused } from '../aggregation/wire-check.ts';
import { cosigned } from '../aggregation/witness.ts';
import type { Backend } from '../models/backend.ts';
import { encode } from '../models/encode.ts';
import { heldOutCustomers, trainingCustomers } from '../models/encoded.ts';
import { parameterHash } from '../models/model.ts';
import { NO_TASK } from '../privacy/ledger.ts';
import type { NoiseSupply } from '../privacy/noise-supply.ts';
import type { RandomSource } from '../privacy/random.ts';
import type { ClientStore } from './client-store.ts';
import type { Customers } from './contribution.ts';
import { type DeclineCause, Declined } from './declined.ts';
import { isPinnedData, type Kept, withoutErased } from './erased.ts';
import { LedgerBroken, takeInLedger, takeInWitnessed, witnessedSize } from './ledger-view.ts';
import { checkOwnEntries, noteKey, noteLimit } from './own-word.ts';
import { contractOf, objection, type Policy } from './policy.ts';
import type { Snapshot } from './rows.ts';
import { beyond, followLedger, type PoolName, setAside, statedOf, wouldPay } from './spending.ts';
import { TaskSession } from './task-session.ts';
import { type Upload, upload } from './upload.ts';

/**
 * A tenant's program: it takes part in what its policy allows, and in nothing else.
 *
 *   hello ─▶ is this the pinned coordinator? ─▶ identify
 *   plan  ─▶ signed? derived as stated? within the policy and the budget? fits the data? ─▶ accept, or decline with a reason
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

export function createParticipant(world: ClientWorld): Participant {
  if (world.random.kind !== 'secure' || world.noise.kind !== 'secure')
    throw new Error('a participant needs secure randomness: replayed noise protects nobody');
  const { policy, store } = world;
  const sessions = new Map<string, TaskSession>();
  const plans = new Map<string, Plan>();
  /** of each task, the answer given last */
  const uploads = new Map<string, Upload>();
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
        return identify(link, message);
      case 'welcome':
        welcome = true;
        for (const pool of POOLS) state(link, NO_TASK, pool);
        return tell({ type: 'connected', coordinator: policy.coordinator.url });
      case 'plan':
        return consider(link, message);
      case 'witness':
        return cosign(link, message.ledger);
      case 'witnessed':
        return witnessed(message);
      case 'over':
        return over(message);
      case 'have':
        return uploads.get(message.task)?.heard(message);
      case 'refused':
        return refused(message);
      default:
        return inSession(link, message);
    }
  }

  /** @throws WireRefused when this is not the coordinator whose fingerprint the policy pins */
  function identify(link: Link, hello: Extract<FromCoordinator, { type: 'hello' }>): void {
    if (fingerprint(hello.key) !== policy.coordinator.fingerprint)
      throw new WireRefused(
        `the coordinator's key has fingerprint ${fingerprint(hello.key)}, the policy pins ${policy.coordinator.fingerprint}`,
      );
    if (hello.federation !== hex(digest('parley/federation/v1', hello.key)))
      throw new WireRefused('the federation is not named after its key');
    if (hello.protocol !== PROTOCOL)
      throw new WireRefused(
        `the coordinator (${hello.version}) speaks protocol ${hello.protocol}, this client (${world.version}) ${PROTOCOL}: install the same version`,
      );
    coordinatorKey = hello.key;
    nonce = Uint8Array.from(hello.nonce);
    welcome = false;
    noteKey(store, hex(world.identity.publicKey));
    const signature = world.identity.sign(identifyDigest(hello, policy.tenant));
    const ledger = store.ledgerHead().size;
    link.send(
      encodeFromClient({
        type: 'identify',
        protocol: PROTOCOL,
        version: world.version,
        tenant: policy.tenant,
        ledger,
        open: openTasks(),
        signature,
      }),
    );
  }

  /** Accepted, and not over for this tenant: the coordinator sends what is missing. */
  const openTasks = (): string[] =>
    store
      .acceptedTasks()
      .filter((task) => store.pinned(`over/${task}`) === undefined && store.pinned(`declined/${task}`) === undefined)
      .slice(0, 50);

  function news(ledger: LedgerNews): void {
    if (coordinatorKey === undefined) throw new WireRefused('news before a greeting');
    const key = coordinatorKey;
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
    if (plan !== undefined && coordinatorKey !== undefined) takeInWitnessed(world, plan, note, coordinatorKey);
  }

  // ---- a new task

  async function consider(link: Link, message: Extract<FromCoordinator, { type: 'plan' }>): Promise<void> {
    const plan = readPlan(message);
    const task = taskId(plan);
    if (store.pinned(`declined/${task}`) !== undefined) return;
    try {
      if (!sessions.has(task)) sessions.set(task, await admit(plan, task, message.parameters));
      const round = sessions.get(task)!.lastRoundTaken;
      state(link, task, poolOf(plan));
      const accept = { type: 'accept', task, round, dataset: datasetOf(task) } as const;
      link.send(encodeFromClient({ ...accept, signature: world.identity.sign(answerDigest(policy.tenant, accept)) }));
      tell({ type: 'accepted', task, plan });
    } catch (error) {
      decline(link, task, error);
    }
  }

  /** @throws WireRefused when it is not a plan, or not the coordinator's */
  function readPlan({ plan: text, signature }: { plan: string; signature: Uint8Array }): Plan {
    if (coordinatorKey === undefined || !isSignedBy(coordinatorKey, planDigest(text), signature))
      throw new WireRefused('a plan without the signature of the coordinator');
    const parsed = planSchema.safeParse(parseJson(text));
    if (!parsed.success)
      throw new WireRefused(`not a plan this version understands: ${parsed.error.issues[0]?.path.join('.')}`);
    if (planText(parsed.data) !== text) throw new WireRefused('a plan that is not canonical JSON');
    return parsed.data;
  }

  /** Which data it takes part with, so that only this tenant can show it: a hash with a salt that stays here. */
  function datasetOf(task: string): string {
    const salt = store.pinned('salt') ?? randomBytes(32).toString('hex');
    store.pin('salt', salt);
    return hex(digest('parley/dataset/v1', salt, task, store.accepted(task)!.data));
  }

  /** Everything that must hold before this tenant takes part. @throws Declined */
  async function admit(plan: Plan, task: string, parameters: Uint8Array): Promise<TaskSession> {
    checkIdentity(plan);
    const before = store.accepted(task);
    // a task that was accepted may have ended while this tenant was away: it still takes in what it missed
    if (before === undefined && store.endOf(task) !== undefined)
      throw new Declined('broken-promise', 'the ledger has ended this task');
    try {
      checkPlan(plan);
    } catch (error) {
      throw new Declined('policy', (error as Error).message);
    }
    const against = objection(policy, plan);
    if (against !== undefined) throw new Declined('policy', against);
    const start = startOf(plan, parameters);
    if (before === undefined) checkBudget(plan);
    checkContract();
    const { customers, data } = await load(plan);
    checkRows(data);
    if (before !== undefined && !isPinnedData(store, before.data, data))
      throw new Declined('data', 'the data file is not the one this task was accepted with');
    if (before === undefined)
      store.commit(() => {
        store.pin('contract', contractOf(policy));
        if (policy.schema.customer === 'row' && store.pinned('rows') === undefined) store.pin('rows', data.hash);
        store.accept(task, { plan: planText(plan), data: data.hash });
        setAside(store, policy, plan, world.clock());
      });
    plans.set(task, plan);
    return new TaskSession(plan, start, customers, world);
  }

  function checkIdentity(plan: Plan): void {
    const mine = plan.roster.find(({ tenant }) => tenant === policy.tenant);
    if (mine === undefined || mine.key !== hex(world.identity.publicKey))
      throw new Declined('policy', 'the roster does not list this tenant with its key');
    if (coordinatorKey === undefined || plan.federation !== hex(digest('parley/federation/v1', coordinatorKey)))
      throw new Declined('policy', 'the plan belongs to another federation');
  }

  /** Who a customer is, and who is held out, stays what it was: or a customer would pay from two pools and be counted in one. */
  function checkContract(): void {
    const pinned = store.pinned('contract');
    if (pinned !== undefined && pinned !== contractOf(policy))
      throw new Declined('policy', 'customers are told apart, or held out, by another rule than in earlier tasks');
  }

  /**
   * Where a row is a customer, a row that changes is another customer, and may be held out where it was trained on: what it
   * paid could not be followed. So the file stays the one of the first task, less who was erased; a customer column lifts this.
   */
  function checkRows(data: Omit<Kept, 'table'>): void {
    const pinned = store.pinned('rows');
    if (policy.schema.customer === 'row' && pinned !== undefined && !isPinnedData(store, pinned, data))
      throw new Declined('data', 'one row is one customer here, and the rows are not those of earlier tasks');
  }

  function checkBudget(plan: Plan): void {
    const exceeded = wouldPay(store, policy, plan, world.clock()).counts.find(({ allowed }) => !allowed);
    if (exceeded !== undefined) throw new Declined('budget', `with this task ${beyond(exceeded)}`);
  }

  function startOf(plan: Plan, bytes: Uint8Array): Float64Array {
    const { work } = plan.settings;
    if (work.kind !== 'evaluate' && bytes.length > 0)
      throw new Declined('policy', 'parameters were sent with a plan that says itself what it starts from');
    if (work.kind !== 'evaluate') return startParameters(plan.settings);
    const start = vectorFrom(bytes, bytes.length / 8);
    if (parameterHash(start) !== work.parameters)
      throw new Declined('policy', 'the parameters sent are not those of the plan');
    return start;
  }

  /** The data was checked against the contract before this client connected; a plan asks for part of it. */
  async function load(plan: Plan): Promise<{ customers: Customers; data: Kept }> {
    const data = withoutErased(store, policy.schema, await world.snapshot());
    const { table } = data;
    const encoded = encode(plan.settings.features, table);
    const pool = poolOf(plan) === 'held-out' ? heldOutCustomers(encoded) : trainingCustomers(encoded);
    return { customers: { encoded, pool }, data };
  }

  // ---- a running task

  async function inSession(
    link: Link,
    message: Extract<FromCoordinator, { type: 'ask' | 'keyed' | 'opened' }>,
  ): Promise<void> {
    const session = sessions.get(message.task);
    if (session === undefined) return;
    try {
      if (message.type === 'keyed') await session.keyed(message);
      else if (message.type === 'opened') opened(session, message);
      else await answer(link, session, message);
    } catch (error) {
      if (error instanceof ProtocolBroken && message.type !== 'opened') cannot(link, message, error);
      else decline(link, message.task, error);
    }
  }

  async function answer(
    link: Link,
    session: TaskSession,
    ask: Extract<FromCoordinator, { type: 'ask' }>,
  ): Promise<void> {
    const said = await session.answer(ask);
    const { task, epoch, round, have } = ask;
    if (said === undefined) return link.send(encodeFromClient({ type: 'cannot', task, epoch, round }));
    uploads.set(task, upload(link, said, have));
  }

  function opened(session: TaskSession, message: Extract<FromCoordinator, { type: 'opened' }>): void {
    session.takeIn(message);
    tell({ type: 'round-opened', task: message.task, round: message.round, contributions: message.contributions });
  }

  /** What the peers said does not hold together: this conversation is over for us, the task is not. */
  function cannot(
    link: Link,
    { task, epoch, ...rest }: { task: string; epoch: number; round?: number },
    error: ProtocolBroken,
  ): void {
    tell({ type: 'refused', about: 'round', reason: error.message });
    link.send(encodeFromClient({ type: 'cannot', task, epoch, round: rest.round ?? 0 }));
  }

  /** Fails closed: whatever went wrong, this tenant takes no further part in the task. */
  function decline(link: Link, task: string, error: unknown): void {
    if (isStorageError(error)) throw error;
    const because = error instanceof Declined ? error.because : 'broken-promise';
    // what a bug has to say may hold more than a coordinator should hear
    const isMeant = error instanceof Declined || error instanceof WireRefused;
    const reason = isMeant ? error.message.slice(0, 500) : 'the client met an error';
    store.pin(`declined/${task}`, because); // a restart does not change its mind
    end(task);
    const answer = { type: 'decline', task, cause: because, reason } as const;
    link.send(encodeFromClient({ ...answer, signature: world.identity.sign(answerDigest(policy.tenant, answer)) }));
    tell({ type: 'declined', task, because, reason: isMeant ? reason : String(error) });
  }

  /** @throws LedgerBroken when a result is handed out that too few have cosigned */
  function over({ task, outcome, reason }: Extract<FromCoordinator, { type: 'over' }>): void {
    const session = sessions.get(task);
    const last = store.endOf(task);
    if (session !== undefined && outcome === 'finished' && !(last && last.seq < witnessedSize(store, task)))
      throw new LedgerBroken('a task is finished, and the quorum has not cosigned a ledger with its end');
    if (
      session !== undefined &&
      outcome === 'finished' &&
      !(last?.kind === 'finish' && last.modelHash === session.model)
    )
      throw new LedgerBroken(
        `ledger entry ${last?.seq}: the task ends with another model than this tenant has computed`,
      );
    if (session !== undefined && outcome === 'finished')
      tell({ type: 'finished', task, plan: session.plan, parameters: session.result });
    else if (outcome === 'stopped') tell({ type: 'stopped', task, reason });
    if (store.accepted(task) !== undefined) store.pin(`over/${task}`, outcome);
    end(task);
  }

  function end(task: string): void {
    sessions.get(task)?.forget();
    sessions.delete(task);
    uploads.delete(task);
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
    forget: () => {
      for (const session of sessions.values()) session.forget();
      sessions.clear();
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new WireRefused('a plan that is not JSON');
  }
}
