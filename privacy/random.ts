/**
 * Where random words come from: noise and batch membership are drawn from here and nowhere else.
 *
 * Promise: words of a secure source are independent and uniform, are handed out once, and leave no copy behind
 * in the source. Whoever receives them overwrites them after use.
 */
import { randomFillSync } from 'node:crypto';

export interface RandomSource {
  /** `replay` gives the same words again for the same seed: for tests only, a client refuses it */
  readonly kind: 'secure' | 'replay';
  /** Overwrites every element of `words` with the next uniform 32-bit words. */
  fill(words: Uint32Array): void;
}

/** 128 KiB: large enough that the operating system's price per call no longer shows, small enough for the L2 cache. */
const POOL_WORDS = 1 << 15;

/** The operating system's generator, asked for a pool at a time. Each call opens a pool of its own. */
export function secureRandom(): RandomSource {
  const pool = new Uint32Array(POOL_WORDS);
  let used = pool.length;

  const handOut = (words: Uint32Array) => {
    const next = pool.subarray(used, used + words.length);
    words.set(next);
    next.fill(0); // a word that became noise must not be readable afterwards
    used += words.length;
  };

  return {
    kind: 'secure',
    fill(words) {
      for (let from = 0; from < words.length; ) {
        if (used === pool.length) {
          randomFillSync(pool);
          used = 0;
        }
        const to = Math.min(words.length, from + pool.length - used);
        handOut(words.subarray(from, to));
        from = to;
      }
    },
  };
}
