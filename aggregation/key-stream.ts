import { createCipheriv } from 'node:crypto';
import type { ByteSource } from './kernels/kernels.ts';

/** Small enough that the stream's memory is used again before it leaves the cache. */
const CHUNK = 2 ** 14;
const ZEROS = new Uint8Array(CHUNK);

/**
 * AES in counter mode (NIST SP 800-38A §6.5): AES-128 for a key of 16 bytes, AES-256 for one of 32.
 *
 * @param start - the first counter block, 16 bytes; zero when left out. Streams of one key must not overlap.
 */
export function keyStream(key: Uint8Array, start: Uint8Array = ZEROS.subarray(0, 16)): ByteSource {
  const cipher = createCipheriv(`aes-${8 * key.length}-ctr`, key, start);
  return {
    fill(bytes) {
      for (let at = 0; at < bytes.length; at += CHUNK) {
        const stream = cipher.update(ZEROS.subarray(0, Math.min(CHUNK, bytes.length - at)));
        bytes.set(stream, at);
        stream.fill(0);
      }
    },
  };
}
