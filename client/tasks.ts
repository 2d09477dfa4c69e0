import { isStorageError } from '../aggregation/exit.ts';
import { poolOf, taskId } from '../aggregation/plan.ts';
import { ProtocolBroken } from '../aggregation/secure-sum.ts';
import { answerDigest, type FromCoordinator } from '../aggregation/wire.ts';
import { WireRefused } from '../aggregation/wire-check.ts';
import { admit, datasetOf, readPlan } from './admission.ts';
import type { Connection, Speak } from './connection.ts';
import type { Ask } from './conversation.ts';
import { Declined } from './declined.ts';
import type { ClientEvent, ClientWorld } from './participant.ts';
import type { PoolName } from './spending.ts';
import { checkFinished } from './task-ledger.ts';
import type { Keyed, Opened, TaskSession } from './task-session.ts';
import { type Upload, upload } from './upload.ts';

/**
 * The tasks this tenant takes part in, each from its plan to its end.
 *
 *   plan ──admitted?──▶ accept ──▶ ask, keyed, opened: its session ──▶ over
 *             │                       │
 *             └───────────────────────┴──▶ decline: for good, and with a reason
 */
export class Tasks {
  readonly #world: ClientWorld;
  readonly #tell: (event: ClientEvent) => void;
  readonly #state: State;
  readonly #sessions = new Map<string, TaskSession>();
  /** of each task, the answer given last */
  readonly #uploads = new Map<string, Upload>();

  constructor(world: ClientWorld, state: State) {
    this.#world = world;
    this.#tell = world.onEvent ?? (() => {});
    this.#state = state;
  }

  /**
   * Accepts a plan, or declines it. One that was declined before gets no answer.
   * @throws WireRefused when it is not a plan of the coordinator
   */
  async consider(connection: Connection, message: Proposal): Promise<void> {
    const { store } = this.#world;
    const { speak, coordinatorKey } = connection;
    const plan = readPlan(message, coordinatorKey);
    const task = taskId(plan);
    if (store.pinned(`declined/${task}`) !== undefined) return;
    try {
      const session = this.#sessions.get(task) ?? (await admit(this.#world, plan, message.parameters, coordinatorKey));
      this.#sessions.set(task, session);
      this.#state(connection, task, poolOf(plan));
      const round = session.lastRoundTaken;
      this.#answer(speak, { type: 'accept', task, round, dataset: datasetOf(store, task) });
      this.#tell({ type: 'accepted', task, plan });
    } catch (error) {
      this.#decline(speak, task, error);
    }
  }

  /** What belongs to a conversation of a task. Tasks that this tenant has no part in are passed over. */
  async hear(speak: Speak, message: Ask | Keyed | Opened): Promise<void> {
    const session = this.#sessions.get(message.task);
    if (session === undefined) return;
    try {
      if (message.type === 'keyed') await session.keyed(message);
      else if (message.type === 'opened') this.#opened(session, message);
      else await this.#say(speak, session, message);
    } catch (error) {
      if (error instanceof ProtocolBroken && message.type !== 'opened') this.#cannot(speak, message, error);
      else this.#decline(speak, message.task, error);
    }
  }

  /** How much of an answer has arrived. */
  have(message: Extract<FromCoordinator, { type: 'have' }>): void {
    this.#uploads.get(message.task)?.heard(message);
  }

  /** @throws LedgerBroken when a result is handed out that too few have cosigned */
  async over({ task, outcome, reason }: Extract<FromCoordinator, { type: 'over' }>): Promise<void> {
    const { store } = this.#world;
    const session = this.#sessions.get(task);
    if (session !== undefined && outcome === 'finished') {
      checkFinished(store, task, session.model);
      const finished = { type: 'finished', task, plan: session.plan, parameters: session.result } as const;
      // before the end is noted: once it is, no coordinator says it again
      await this.#world.keep?.(finished);
      this.#tell(finished);
    } else if (outcome === 'stopped') this.#tell({ type: 'stopped', task, reason });
    if (store.accepted(task) !== undefined) store.pin(`over/${task}`, outcome);
    this.#end(task);
  }

  /** Forgets what the sessions keep in memory; the store keeps what was answered. */
  forget(): void {
    for (const session of this.#sessions.values()) session.forget();
    this.#sessions.clear();
  }

  async #say(speak: Speak, session: TaskSession, ask: Ask): Promise<void> {
    const said = await session.answer(ask);
    const { task, epoch, round, have } = ask;
    if (said === 'cannot') return speak({ type: 'cannot', task, epoch, round });
    this.#uploads.set(task, upload(speak, said, have));
  }

  #opened(session: TaskSession, message: Opened): void {
    session.takeIn(message);
    const { task, round, contributions } = message;
    this.#tell({ type: 'round-opened', task, round, contributions });
  }

  /** What the peers said does not hold together: this conversation is over for us, the task is not. */
  #cannot(speak: Speak, message: Ask | Keyed, error: ProtocolBroken): void {
    const { task, epoch } = message;
    this.#tell({ type: 'refused', about: 'round', reason: error.message });
    const round = message.type === 'ask' ? message.round : 0;
    speak({ type: 'cannot', task, epoch, round });
  }

  /** Fails closed: whatever went wrong, this tenant takes no further part in the task. */
  #decline(speak: Speak, task: string, error: unknown): void {
    if (isStorageError(error)) throw error;
    const because = error instanceof Declined ? error.because : 'broken-promise';
    // what a bug has to say may hold more than a coordinator should hear
    const isMeant = error instanceof Declined || error instanceof WireRefused;
    const reason = isMeant ? error.message.slice(0, 500) : 'the client met an error';
    this.#world.store.pin(`declined/${task}`, because); // a restart does not change its mind
    this.#end(task);
    this.#answer(speak, { type: 'decline', task, cause: because, reason });
    this.#tell({ type: 'declined', task, because, reason: isMeant ? reason : String(error) });
  }

  #answer(speak: Speak, answer: Parameters<typeof answerDigest>[1]): void {
    const { identity, policy } = this.#world;
    speak({ ...answer, signature: identity.sign(answerDigest(policy.tenant, answer)) });
  }

  #end(task: string): void {
    this.#sessions.get(task)?.forget();
    this.#sessions.delete(task);
    this.#uploads.delete(task);
  }
}

type Proposal = Extract<FromCoordinator, { type: 'plan' }>;

/** Says where a pool's budget stands, before more of it is promised. */
type State = (connection: Connection, task: string, pool: PoolName) => void;
