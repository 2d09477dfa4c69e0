import { createCipheriv } from 'node:crypto';
import type { ByteSource } from './kernels/kernels.ts';

/** As much as a kernel asks for at once; what it is copied from is still in the cache. */
const CHUNK = 2 ** 16;
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
        const stream: Buffer<ArrayBuffer> = cipher.update(ZEROS.subarray(0, Math.min(CHUNK, bytes.length - at)));
        bytes.set(stream, at);
        stream.fill(0);
        release(stream);
      }
    },
  };
}

/** Its memory is used again at once: to collect it as garbage takes as long as to encrypt. Unless it is a part of a pool. */
function release({ buffer, length }: Buffer<ArrayBuffer>): void {
  if (buffer.byteLength === length) buffer.transfer(0);
}
