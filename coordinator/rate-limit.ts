/**
 * Token buckets, one for each key: `burst` at once, `perSecond` again. Of more than `keys` keys the one used longest ago is
 * forgotten, and begins with a full bucket: who may choose keys (addresses) must not choose how much memory is used.
 */
export class RateLimit {
  readonly #rate: Rate;
  readonly #clock: () => number;
  readonly #keys: number;
  /** in order of use, the oldest first */
  readonly #buckets = new Map<string, { left: number; at: number }>();

  /** @param clock - Unix milliseconds; may jump: back gives nothing, and takes nothing */
  constructor(rate: Rate, clock: () => number, keys = 10_000) {
    this.#rate = rate;
    this.#clock = clock;
    this.#keys = keys;
  }

  /** @returns whether `key` may have `cost` more; then it has */
  take(key: string, cost = 1): boolean {
    const { burst, perSecond } = this.#rate;
    const now = this.#clock();
    const { left, at } = this.#buckets.get(key) ?? { left: burst, at: now };
    const refilled = Math.min(burst, left + (Math.max(0, now - at) / 1000) * perSecond);
    const allowed = refilled >= cost;
    this.#buckets.delete(key);
    this.#buckets.set(key, { left: allowed ? refilled - cost : refilled, at: now });
    if (this.#buckets.size > this.#keys) this.#buckets.delete(this.#buckets.keys().next().value!);
    return allowed;
  }

  /** Keys remembered. */
  get size(): number {
    return this.#buckets.size;
  }
}

export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}
