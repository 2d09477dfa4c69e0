import { ADDRESS, STRANGERS } from './limits.ts';
import { RateLimit } from './rate-limit.ts';

/**
 * Who may come in, by address: so many sockets, so many connections to the federation in a while, so many strangers at one
 * time. Asked before anything is done for a connection.
 *
 * When strangers of many addresses have taken all places, the one that has said nothing for longest makes room: a tenant says who it
 * is at once, and who only sits there keeps nobody out.
 */
export class Door {
  readonly #open = new Map<string, number>();
  readonly #strangers = new Map<string, number>();
  /** of strangers, the longest there first; called, one shows its stranger out */
  readonly #places = new Set<() => void>();
  readonly #knocks: RateLimit;
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

  /**
   * A connection to the federation.
   * @param showOut - ends it
   * @returns what to call when it is no stranger's any more; or why it is turned away
   */
  knocked(address: string, showOut: () => void): (() => void) | 'too-often' | 'full' {
    if (!this.#knocks.take(address)) return this.#away('too-often');
    if ((this.#strangers.get(address) ?? 0) >= ADDRESS.strangers) return this.#away('full');
    if (this.#places.size >= STRANGERS.most) this.#makeRoom();
    const uncount = counted(this.#strangers, address);
    const leave = (): void => {
      if (this.#places.delete(place)) uncount();
    };
    const place = (): void => {
      leave();
      showOut();
    };
    this.#places.add(place);
    return leave;
  }

  #makeRoom(): void {
    const [longest] = this.#places;
    longest!();
    this.#turnedAway('full');
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
