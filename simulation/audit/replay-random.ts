import { createCipheriv } from 'node:crypto';
import type { RandomSource } from '../../privacy/random.ts';

/** A random source that says the same words to everyone who has the key, and counts them. */
export interface Replay extends RandomSource {
  readonly kind: 'replay';
  /** words handed out */
  readonly used: number;
}

/**
 * The key stream of AES-256-CTR, as often as it is asked for: one recording of good randomness, replayed.
 *
 * @param key - 32 secret random bytes
 * @param but.heads - the word at this place is 0: as a coin of Poisson sampling it falls heads at any rate
 * @param but.without - the word at this place is left out, those after it move up
 */
export function replayed(key: Uint8Array, but: { heads?: number; without?: number } = {}): Replay {
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  const next = (count: number): Uint32Array => {
    const bytes = cipher.update(Buffer.alloc(4 * count));
    return Uint32Array.from({ length: count }, (_, i) => bytes.readUInt32LE(4 * i));
  };
  let used = 0;
  return {
    kind: 'replay',
    get used() {
      return used;
    },
    fill(words) {
      const from = used;
      used += words.length;
      const omitted = but.without !== undefined && from <= but.without && but.without < used;
      const said = omitted ? next(words.length + 1).filter((_, i) => from + i !== but.without) : next(words.length);
      words.set(said);
      if (but.heads !== undefined && from <= but.heads && but.heads < used) words[but.heads - from] = 0;
    },
  };
}
