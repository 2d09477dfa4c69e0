/**
 * Who takes part in a round: every customer tosses its own coin (Poisson sampling).
 *
 * Promise: coins are independent and land heads with exactly the accounted probability, because both are the same
 * integer over 2^32. Which customers, and how many, were drawn never leaves the tenant: batches are padded to the
 * plan's `maxBatch`, and nothing here logs or throws on a count.
 */
import type { RandomSource } from './random.ts';

/** Probability of taking part, as an integer numerator over 2^32, from 1 to 2^32; 2^32 means everybody. */
export type SamplingRate = number;

/** The rate at which every customer takes part. */
export const EVERYBODY: SamplingRate = 2 ** 32;

/**
 * The smallest sampling rate that is at least `q`.
 *
 * @param q - probability in (0, 1]
 * @throws RangeError when q lies outside
 */
export function samplingRate(q: number): SamplingRate {
  if (!(q > 0 && q <= 1)) throw new RangeError(`a sampling probability must lie in (0, 1], got ${q}`);
  return Math.ceil(q * EVERYBODY); // the product with a power of two is exact
}

/** @throws RangeError when rate is not an integer from 1 to 2^32 */
export function requireSamplingRate(rate: SamplingRate): void {
  if (!(Number.isInteger(rate) && rate >= 1 && rate <= EVERYBODY)) {
    throw new RangeError(`a sampling rate must be an integer from 1 to 2^32, got ${rate}`);
  }
}

/**
 * Draws a batch: each of the customers 0…count−1 with probability rate / 2^32, independently.
 *
 * @param count - customers, from 0 to 2^31 − 1
 * @returns the drawn customers in ascending order; often of a length nobody outside may learn
 * @throws RangeError when count or rate is out of range
 */
export function samplePoisson(count: number, rate: SamplingRate, random: RandomSource): Int32Array {
  requireSamplingRate(rate);
  if (!(Number.isInteger(count) && count >= 0 && count < 2 ** 31)) {
    throw new RangeError(`count must be an integer from 0 to 2^31 - 1, got ${count}`);
  }
  const drawn = new Int32Array(count + 1); // one spare: the customer after the last drawn is written, then overwritten
  const words = new Uint32Array(Math.min(count, 1 << 14));
  let size = 0;
  for (let from = 0; from < count; from += words.length) {
    random.fill(words);
    const here = Math.min(words.length, count - from);
    for (let i = 0; i < here; i++) {
      drawn[size] = from + i;
      size += words[i]! < rate ? 1 : 0;
    }
  }
  words.fill(0);
  const batch = drawn.slice(0, size);
  drawn.fill(0);
  return batch;
}

/** A row of a padded batch that holds nobody. */
export const PADDING = -1;

/**
 * Places a batch into the `maxBatch` rows of a round, in uniformly random order, with padding in the rows left over.
 * From a batch that is too large a uniformly random part is kept (`guarantee.ts` says what that costs).
 *
 * The order matters wherever rows are summed in groups before they reach the grid: read in random places, the rows
 * of all other customers are distributed alike whether one customer takes part or not, so that customer touches the
 * sum of one group only. In sequence it would push everybody behind it one row on, and touch all of them.
 *
 * @returns length maxBatch: customer numbers, or PADDING
 */
export function placeBatch(batch: Int32Array, maxBatch: number, random: RandomSource): Int32Array {
  const rows = new Int32Array(Math.max(maxBatch, batch.length)).fill(PADDING);
  rows.set(batch);
  const word = new Uint32Array(1);
  for (let i = 0; i < maxBatch; i++) {
    const other = i + uniformBelow(rows.length - i, word, random);
    [rows[i], rows[other]] = [rows[other]!, rows[i]!]; // Fisher and Yates
  }
  word.fill(0);
  const placed = rows.slice(0, maxBatch);
  rows.fill(0);
  return placed;
}

/** A uniform integer in [0, bound), bound ≤ 2^31. */
function uniformBelow(bound: number, word: Uint32Array, random: RandomSource): number {
  const fair = EVERYBODY - (EVERYBODY % bound); // words from here on would favour small numbers
  do random.fill(word);
  while (word[0]! >= fair);
  return word[0]! % bound;
}

/**
 * Upper bound on the probability that more than `maxBatch` of `count` customers are drawn. Zero if that cannot be.
 *
 * P[Bin(n, q) ≥ a] ≤ exp(−n·KL(a/n ‖ q)) for a/n > q (Chernoff 1952; Boucheron, Lugosi, Massart 2013, §2.2), computed in
 * logarithms and rounded up, so the answer is a bound also where it is too small for a double.
 *
 * @throws RangeError when rate is out of range
 */
export function overflowProbability(count: number, rate: SamplingRate, maxBatch: number): number {
  requireSamplingRate(rate);
  if (maxBatch >= count) return 0;
  const q = rate / EVERYBODY;
  const least = Math.max(0, Math.floor(maxBatch) + 1);
  if (least <= count * q) return 1;
  const rest = count - least;
  const drawn = least * Math.log(least / (count * q));
  const others = rest === 0 ? 0 : rest * (Math.log(rest / count) - Math.log1p(-q));
  const rounding = 1e-14 * (Math.abs(drawn) + Math.abs(others) + count);
  return Math.min(1, Math.max(Number.MIN_VALUE, Math.exp(rounding - drawn - others)));
}
