import { ADDRESS, STRANGERS } from './limits.ts';
import { RateLimit } from './rate-limit.ts';

/**
 * Who may come in, by address: so many sockets, so many connections to the federation in a while, so many strangers at one
 * time. Counts and nothing else; asked before anything is done for a connection.
 */
export class Door {
  readonly #open = new Map<string, number>();
  readonly #strangers = new Map<string, number>();
  readonly #knocks: RateLimit;
  #allStrangers = 0;
  readonly #turnedAway: (reason: TurnedAway) => void;

  /** @param clock - Unix milliseconds @param turnedAway - told of each that may not come in */
  constructor(clock: () => number, turnedAway: (reason: TurnedAway) => void = () => {}) {
    this.#turnedAway = turnedAway;
    this.#knocks = new RateLimit(ADDRESS.knocks, clock, ADDRESS.remembered);
  }

  /** A socket. @returns what to call once when it has closed; undefined when there are too many of its address */
  opened(address: string): (() => void) | undefined {
    if ((this.#open.get(address) ?? 0) >= ADDRESS.open) {
      this.#turnedAway('sockets');
      return undefined;
    }
    return counted(this.#open, address);
  }

  /** A connection to the federation. @returns what to call once when it is no stranger's any more; or why it is turned away */
  knocked(address: string): (() => void) | 'too-often' | 'full' {
    if (!this.#knocks.take(address)) return this.#away('too-often');
    if (this.#allStrangers >= STRANGERS.most || (this.#strangers.get(address) ?? 0) >= ADDRESS.strangers)
      return this.#away('full');
    this.#allStrangers += 1;
    const leave = counted(this.#strangers, address);
    return () => {
      this.#allStrangers -= 1;
      leave();
    };
  }

  #away<R extends TurnedAway>(reason: R): R {
    this.#turnedAway(reason);
    return reason;
  }
}

/** Too many sockets of an address, too many connections in a while, too many strangers. */
export type TurnedAway = 'sockets' | 'too-often' | 'full';

/** One more of `key` until what is returned is called. Keys that have none are not kept. */
function counted(counts: Map<string, number>, key: string): () => void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
  return () => {
    const left = counts.get(key)! - 1;
    if (left > 0) counts.set(key, left);
    else counts.delete(key);
  };
}
