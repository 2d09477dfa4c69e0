import { setImmediate } from 'node:timers/promises';
import type { WordBits, WordKernels } from '../kernels/kernels.ts';
import { keyStream } from '../key-stream.ts';
import type { StoredVector } from '../secure-sum.ts';
import { stretches } from '../stored-vector.ts';
import type { MaskKey } from './cover.ts';

/*
 * Vectors over Z_2^32, Z_2^48 or Z_2^64, as bytes, each word in exactly its bits, little-endian: what is masked, added and
 * unmasked. The event loop turns after every few milliseconds of it, so that connections answer their heartbeat.
 */

/** Largest |coordinate| that is told apart from all others: two-sided, and exact in a double. */
export const laneOf = (bits: WordBits): number => (bits === 64 ? Number.MAX_SAFE_INTEGER : 2 ** (bits - 1) - 1);

/** The narrowest ring that sums up to ±`maxMagnitude` fit; undefined when none does. */
export const ringFor = (maxMagnitude: number): WordBits | undefined =>
  ([32, 48, 64] as const).find((bits) => maxMagnitude <= laneOf(bits));

/** Bytes of a vector. */
export const ringBytes = (bits: WordBits, dimension: number): number => (bits / 8) * dimension;

/**
 * vector ± PRG(key) for every mask, in place. The PRG is AES-128 in counter mode: all its outputs are words, so nothing is
 * rejected. Keys are overwritten, also when reading the masks throws.
 */
export async function maskAll(
  words: WordKernels,
  bits: WordBits,
  vector: Uint8Array,
  masks: Iterable<MaskKey>,
): Promise<void> {
  for (const some of batches(masks)) {
    const streams = some.map(({ key, sign }) => ({ stream: keyStream(key), adds: sign === 1 }));
    for (const { key } of some) key.fill(0);
    for (const { from, to } of stretches(vector.length, STRETCH)) {
      words.mask(bits, vector.subarray(from, to), streams);
      await setImmediate();
    }
  }
}

/**
 * The sum of the first `length` bytes of each. Holds a stretch of one of them at a time.
 *
 * @param length - whole words
 */
export async function addAll(
  words: WordKernels,
  bits: WordBits,
  vectors: Iterable<StoredVector>,
  length: number,
): Promise<Uint8Array> {
  const sum = new Uint8Array(length);
  for (const vector of vectors)
    for (const { from, to } of stretches(length, STRETCH)) {
      words.add(bits, sum.subarray(from, to), vector.read(from, to));
      await setImmediate();
    }
  return sum;
}

/** Three quarters of a MiB: whole words of every width. */
const STRETCH = 3 * 2 ** 18;

/** Masks at once: each stretch of the vector is copied in and out once for all of them. */
const BATCH = 32;

function* batches(masks: Iterable<MaskKey>): Iterable<MaskKey[]> {
  let batch: MaskKey[] = [];
  try {
    for (const mask of masks) {
      batch.push(mask);
      if (batch.length < BATCH) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  } finally {
    for (const { key } of batch) key.fill(0);
  }
}
