import { createCipheriv, createHash } from 'node:crypto';
import type { RandomSource } from '../../privacy/random.ts';

/** A random source that gives the same words for the same seed: the key stream of AES-256-CTR. Tests only. */
export function replayRandom(seed: string): RandomSource {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  return {
    kind: 'replay',
    fill(words) {
      const bytes = cipher.update(Buffer.alloc(words.byteLength));
      for (let i = 0; i < words.length; i++) words[i] = bytes.readUInt32LE(4 * i);
    },
  };
}

/** A random source that says exactly these words, then fails. */
export function scriptedRandom(script: readonly number[]): RandomSource {
  let next = 0;
  return {
    kind: 'replay',
    fill(words) {
      for (let i = 0; i < words.length; i++) {
        if (next >= script.length) throw new Error(`the script has only ${script.length} words`);
        words[i] = script[next++]!;
      }
    },
  };
}
