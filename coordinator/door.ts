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

  /** @param clock - Unix milliseconds */
  constructor(clock: () => number) {
    this.#knocks = new RateLimit(ADDRESS.knocks, clock, ADDRESS.remembered);
  }

  /** A socket. @returns what to call once when it has closed; undefined when there are too many of its address */
  opened(address: string): (() => void) | undefined {
    if ((this.#open.get(address) ?? 0) >= ADDRESS.open) return undefined;
    return counted(this.#open, address);
  }

  /** A connection to the federation. @returns what to call once when it is no stranger's any more; or why it is turned away */
  knocked(address: string): (() => void) | 'too-often' | 'full' {
    if (!this.#knocks.take(address)) return 'too-often';
    if (this.#allStrangers >= STRANGERS.most || (this.#strangers.get(address) ?? 0) >= ADDRESS.strangers) return 'full';
    this.#allStrangers += 1;
    const leave = counted(this.#strangers, address);
    return () => {
      this.#allStrangers -= 1;
      leave();
    };
  }
}

/** One more of `key` until what is returned is called. Keys that have none are not kept. */
function counted(counts: Map<string, number>, key: string): () => void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
  return () => {
    const left = counts.get(key)! - 1;
    if (left > 0) counts.set(key, left);
    else counts.delete(key);
  };
}
