import { checkPair, checkWords, noIntegers } from '../checks.ts';
import type { ByteSource, WordBits, WordKernels } from '../kernels.ts';

/** Key stream read at once: whole words of every width, small enough to stay in the cache. */
const CHUNK_BYTES = 49_152;
const TWO_32 = 2 ** 32;

/** Every word as its low 32 bits and the 0, 16 or 32 above them; `DataView`, because nobody promised alignment. */
export const words: WordKernels = {
  encode(bits, values, into) {
    checkWords(bits, into, values.length);
    const view = viewOf(into);
    for (let i = 0, at = 0; i < values.length; i++, at += bits / 8) {
      const value = values[i]!;
      if (!Number.isSafeInteger(value)) noIntegers();
      view.setUint32(at, value, true); // modulo 2^32 by its definition (ECMA-262, ToUint32)
      const high = Math.floor(value / TWO_32);
      if (bits === 48) view.setUint16(at + 4, high, true);
      if (bits === 64) view.setInt32(at + 4, high, true);
    }
  },
  decode(bits, bytes, into) {
    checkWords(bits, bytes, into.length);
    const view = viewOf(bytes);
    for (let i = 0, at = 0; i < into.length; i++, at += bits / 8) {
      if (bits === 32) into[i] = view.getInt32(at, true);
      else {
        const high = bits === 48 ? view.getInt16(at + 4, true) : view.getInt32(at + 4, true);
        into[i] = high * TWO_32 + view.getUint32(at, true);
      }
    }
  },
  add(bits, sum, term) {
    checkPair(bits, sum, term);
    combine(bits, viewOf(sum), viewOf(term), sum.length, 1);
  },
  subtract(bits, sum, term) {
    checkPair(bits, sum, term);
    combine(bits, viewOf(sum), viewOf(term), sum.length, -1);
  },
  mask(bits, sum, masks) {
    checkPair(bits, sum, sum);
    for (const { stream, adds } of masks) {
      inChunks(sum.length, stream, (bytes, at) =>
        combine(bits, viewOf(sum.subarray(at)), viewOf(bytes), bytes.length, adds ? 1 : -1),
      );
    }
  },
};

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function combine(bits: WordBits, sum: DataView, term: DataView, length: number, sign: 1 | -1): void {
  for (let at = 0; at < length; at += bits / 8) {
    const low = sum.getUint32(at, true) + sign * term.getUint32(at, true);
    sum.setUint32(at, low, true);
    if (bits === 32) continue;
    const carry = Math.floor(low / TWO_32); // −1, 0 or 1, without a branch
    if (bits === 48)
      sum.setUint16(at + 4, sum.getUint16(at + 4, true) + sign * term.getUint16(at + 4, true) + carry, true);
    else sum.setUint32(at + 4, sum.getUint32(at + 4, true) + sign * term.getUint32(at + 4, true) + carry, true);
  }
}

function inChunks(length: number, stream: ByteSource, work: (bytes: Uint8Array, at: number) => void): void {
  const chunk = new Uint8Array(Math.min(CHUNK_BYTES, length));
  try {
    for (let at = 0; at < length; at += chunk.length) {
      const bytes = chunk.subarray(0, length - at);
      stream.fill(bytes);
      work(bytes, at);
    }
  } finally {
    chunk.fill(0);
  }
}
