import { setImmediate } from 'node:timers/promises';
import type { TenantId } from '../aggregation/secure-sum.ts';
import type { Hearing } from './hearing.ts';
import { silentOf } from './round.ts';
import type { TaskRules, TaskState } from './task.ts';
import type { Telling } from './telling.ts';

/** Tenants that are told the same before anybody else has a turn. */
const AT_ONCE = 8;
/** Bytes of letters that are on their way, and in memory. */
const MOST_LETTERS = 32 * 2 ** 20;
/** Part of a stage's time for which who reads slowly keeps others waiting: all of a committee are told by about the half of it. */
const PATIENCE = 1 / 40;
/** The same, where stages have hours: milliseconds. */
const MOST_PATIENCE_MS = 30_000;

/**
 * Tells those who are asked what they are asked, and what was said before.
 *
 * What everybody is shown is one message. What is sealed to one of them, its letters, is long where keys are dealt: among two hundred
 * tenants eleven megabytes to each that holds shares. So a few of those are told at a time, and the next when one of them has left.
 *
 *   asked ──▶ untold ──caught up? room?──▶ told, with its letters ──▶ left, or too slow: room for another
 */
export class Asking {
  readonly #hearing: Hearing;
  readonly #telling: Telling;
  readonly #clock: () => number;
  readonly #patienceMs: number;
  readonly #mostLetters: number;
  readonly #again: () => void;
  /** and how many bytes of letters each will be sent, once that has been counted */
  readonly #untold = new Map<TenantId, number | undefined>();
  readonly #leaving = new Map<TenantId, Leaving>();

  /** @param again - called when there is room: `tell` in the task's turn */
  constructor({ hearing, telling, clock, rules, mostLetters = MOST_LETTERS }: AskingWorld, again: () => void) {
    this.#hearing = hearing;
    this.#telling = telling;
    this.#clock = clock;
    this.#patienceMs = Math.min(rules.stageTimeoutMs * PATIENCE, MOST_PATIENCE_MS);
    this.#mostLetters = mostLetters;
    this.#again = again;
  }

  /** A stage is asked of these; who has not been told of the one before is told of it no more. */
  begin(tenants: readonly TenantId[]): void {
    this.#untold.clear();
    for (const tenant of tenants) this.add(tenant);
  }

  /** One more, that has caught up since the others were asked. */
  add(tenant: TenantId): void {
    this.#untold.set(tenant, undefined);
  }

  /** Tells as many as there is room for. Call it again and again while a stage is asked. */
  async tell(state: TaskState): Promise<void> {
    if (this.#untold.size === 0 || state.phase !== 'running' || state.conversation?.phase !== 'asking') return;
    const { conversation } = state;
    const silent = silentOf(conversation);
    const question = this.#telling.question(state, conversation);
    this.#giveUpLate();
    let told = 0;
    for (const [tenant, counted] of [...this.#untold]) {
      const bytes = counted ?? this.#hearing.letterBytes(state, conversation.stage, tenant);
      this.#untold.set(tenant, bytes);
      if (bytes > 0 && !this.#hasRoom(bytes)) continue;
      this.#untold.delete(tenant);
      // what two hundred are shown of each other takes seconds to write: meanwhile pings are answered, and others heard
      if (++told % AT_ONCE === 0 || bytes > 0) await setImmediate();
      // who has come back meanwhile is asked when it has caught up: before, it knows neither model nor keys of this round
      if (!silent.includes(tenant) || !this.#telling.caughtUp.has(tenant)) continue;
      if (bytes === 0) this.#telling.ask(tenant, question);
      else {
        const letters = this.#hearing.letters(state, conversation.stage, tenant);
        this.#telling.ask(tenant, question, letters, this.#sent(tenant, bytes));
      }
    }
  }

  /** Who has gone, or reads too slowly, is not waited for. */
  #giveUpLate(): void {
    const late = this.#clock() - this.#patienceMs;
    const present = this.#telling.present();
    for (const [tenant, { since, connection }] of this.#leaving) {
      const isHere = present.has(tenant) && this.#telling.connectionOf(tenant) === connection;
      if (!isHere || since <= late) this.#leaving.delete(tenant);
    }
  }

  #hasRoom(bytes: number): boolean {
    const leaving = [...this.#leaving.values()].reduce((sum, each) => sum + each.bytes, 0);
    return leaving === 0 || leaving + bytes <= this.#mostLetters;
  }

  /** @returns what to call when it has left */
  #sent(tenant: TenantId, bytes: number): () => void {
    const leaving = { bytes, since: this.#clock(), connection: this.#telling.connectionOf(tenant) };
    this.#leaving.set(tenant, leaving);
    return () => {
      if (this.#leaving.get(tenant) !== leaving) return;
      this.#leaving.delete(tenant);
      if (this.#untold.size > 0) this.#again();
    };
  }
}

interface Leaving {
  readonly bytes: number;
  /** Unix milliseconds */
  readonly since: number;
  readonly connection: symbol | undefined;
}

/** What tenants are asked with. */
export interface AskingWorld {
  readonly hearing: Hearing;
  readonly telling: Telling;
  /** Unix milliseconds */
  readonly clock: () => number;
  readonly rules: Pick<TaskRules, 'stageTimeoutMs'>;
  /** bytes; one that is longer goes alone */
  readonly mostLetters?: number;
}
