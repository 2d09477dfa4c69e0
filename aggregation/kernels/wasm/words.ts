import { checkPair, checkWords, noIntegers } from '../checks.ts';
import type { WordBits, WordKernels } from '../kernels.ts';
import type { Arena } from './arena.ts';
import type { Exports } from './exports.ts';

/** Words at a time: a chunk and the key stream for it stay in the cache, whole groups in every width. */
const CHUNK = 6144;

export function wordsOn(wasm: Exports, arena: Arena): WordKernels {
  const { bytes } = arena;
  const plus = { 32: wasm.add32, 48: wasm.add48, 64: wasm.add64 };
  const minus = { 32: wasm.subtract32, 48: wasm.subtract48, 64: wasm.subtract64 };

  /** sum ± what `read` writes for each chunk of it. */
  const combine = (bits: WordBits, sum: Uint8Array, terms: readonly Term[]): void => {
    const size = Math.min((CHUNK * bits) / 8, sum.length);
    arena.use(2 * room(size), (at) => {
      const term = at + room(size);
      for (let from = 0; from < sum.length; from += size) {
        const part = sum.subarray(from, from + size);
        bytes.set(part, at);
        for (const { read, adds } of terms) {
          read(bytes.subarray(term, term + part.length), from);
          (adds ? plus : minus)[bits](at, term, part.length);
        }
        part.set(bytes.subarray(at, at + part.length));
      }
    });
  };

  const combineOne = (bits: WordBits, sum: Uint8Array, term: Uint8Array, adds: boolean): void => {
    checkPair(bits, sum, term);
    combine(bits, sum, [{ read: (into, from) => into.set(term.subarray(from, from + into.length)), adds }]);
  };

  /** `values` in chunks, as addresses of doubles and of their words. */
  const convert = (
    bits: WordBits,
    values: Float64Array,
    words: Uint8Array,
    work: (doubles: Uint8Array, packed: Uint8Array, at: number, to: number, count: number) => void,
  ): void => {
    checkWords(bits, words, values.length);
    const width = bits / 8;
    const size = Math.min(CHUNK, values.length);
    arena.use(16 * (size + 1), (at) => {
      const to = at + 8 * (size + 1); // an odd vector's last value has a zero beside it, or one of the chunk before
      for (let from = 0; from < values.length; from += size) {
        const count = Math.min(size, values.length - from);
        const doubles = new Uint8Array(values.buffer, values.byteOffset + 8 * from, 8 * count);
        work(doubles, words.subarray(from * width, (from + count) * width), at, to, count);
      }
    });
  };

  return {
    encode: (bits, values, into) =>
      convert(bits, values, into, (doubles, packed, at, to, count) => {
        bytes.set(doubles, at);
        if (!wasm.encodeWords(at, to, count, bits / 8)) noIntegers();
        packed.set(bytes.subarray(to, to + packed.length));
      }),
    decode: (bits, words, into) =>
      convert(bits, into, words, (doubles, packed, at, to, count) => {
        bytes.set(packed, to);
        wasm.decodeWords(to, at, count, bits / 8);
        doubles.set(bytes.subarray(at, at + doubles.length));
      }),
    add: (bits, sum, term) => combineOne(bits, sum, term, true),
    subtract: (bits, sum, term) => combineOne(bits, sum, term, false),
    mask(bits, sum, masks) {
      checkPair(bits, sum, sum);
      combine(
        bits,
        sum,
        masks.map(({ stream, adds }) => ({ read: (into) => stream.fill(into), adds })),
      );
    },
  };
}

interface Term {
  readonly read: (into: Uint8Array, from: number) => void;
  readonly adds: boolean;
}

/** The kernels work on whole groups of 48 bytes: what they touch behind a part of one is scratch. */
const room = (length: number): number => Math.ceil(length / 48 + 1) * 48;
