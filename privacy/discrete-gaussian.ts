/**
 * Samples the discrete Gaussian D_Z(0, σ²): P[x] ∝ exp(−x² / 2σ²) over all integers x.
 *
 * Promise: given uniform words the distribution is exact. Floating point only decides what it can decide for
 * certain; the one attempt in some hundred million that it cannot is settled with as many further random bits
 * as the comparison needs.
 *
 * The line is cut into strips of width σ (Karney 2016, arXiv:1303.6257, Algorithm D). With |x| = kσ + j, 0 ≤ j < σ,
 * t = j/σ, the exponent separates, x²/2σ² = k²/2 + t(2k + t)/2, so an attempt is
 *
 *   strip k     with probability ∝ exp(−k²/2)        word 1 against a table
 *   offset j    uniform below σ, and a sign          word 2, masked; again if j ≥ σ
 *   accepted    with probability exp(−t(2k + t)/2)   word 3 against the float value, ± a margin
 *   −0          is refused, or zero would count twice
 *
 * Timing: an attempt always takes three words, the strip comes from a branch-free sum of comparisons and no table
 * is indexed by a secret; how many attempts failed is independent of the value that succeeded.
 */
import type { RandomSource } from './random.ts';

/** Largest standard deviation: an offset has to fit the 31 bits that the sign leaves of its word. */
export const MAX_STD_DEV: number = 2 ** 31;

/**
 * Fills `into` with independent samples of D_Z(0, stdDev²).
 *
 * @param stdDev - σ in grid units, an integer from 1 to 2^31
 * @throws RangeError when stdDev is not such an integer
 */
export function discreteGaussian(stdDev: number, into: Float64Array, random: RandomSource): void {
  checkStdDev(stdDev);
  const words = new Uint32Array(3 * Math.min(4096, 2 * into.length + 16));
  try {
    for (let done = 0; done < into.length; ) {
      random.fill(words);
      done = attempt(stdDev, into, done, words, random);
    }
  } finally {
    words.fill(0);
  }
}

/** @throws RangeError when stdDev is not an integer from 1 to 2^31 */
export function checkStdDev(stdDev: number): void {
  if (!(Number.isInteger(stdDev) && stdDev >= 1 && stdDev <= MAX_STD_DEV)) {
    throw new RangeError(`stdDev must be an integer from 1 to 2^31, got ${stdDev}`);
  }
}

/** One attempt for every three words, until `into` is full. @returns how much of `into` is filled */
function attempt(stdDev: number, into: Float64Array, from: number, words: Uint32Array, random: RandomSource): number {
  const mask = stdDev === 1 ? 0 : 0xffffffff >>> Math.clz32(stdDev - 1);
  let done = from;
  for (let i = 0; i < words.length && done < into.length; i += 3) {
    const strip = stripOf(words[i]!, random);
    const offset = (words[i + 1]! >>> 1) & mask;
    if (offset >= stdDev || !accepted(words[i + 2]!, strip, offset, stdDev, random)) continue;
    const sign = 1 - 2 * (words[i + 1]! & 1);
    const size = strip * stdDev + offset;
    if (size === 0 && sign < 0) continue;
    into[done++] = sign * size;
  }
  return done;
}

/** ⌊2^31 · P[strip ≤ k]⌋ for k = 0…6. Strips above are rarer than 2^-36; the words that may mean them tie with the last. */
const STRIPS: Int32Array = Int32Array.from({ length: 7 }, (_, k) => Number(stripAtMost(k, 128) >> 97n));

/** Strip number of one uniform word: how many cumulative probabilities lie below it. */
function stripOf(word: number, random: RandomSource): number {
  const r = word >>> 1; // 31 bits, so that a difference keeps its sign bit in 32
  let above = 0;
  let below = 0;
  for (let k = 0; k < 7; k++) {
    above += (STRIPS[k]! - r) >>> 31;
    below += (r - STRIPS[k]!) >>> 31;
  }
  if (above + below === 7) return above;

  const u = lazyUniform(word, random);
  let strip = above; // every bound before this one is below the word for certain
  while (!isBelow(u, (bits) => stripAtMost(strip, bits))) strip++;
  return strip;
}

/** Is a uniform number, known so far by its first word, below exp(−t(2k + t)/2)? */
function accepted(word: number, strip: number, offset: number, stdDev: number, random: RandomSource): boolean {
  const t = offset / stdDev;
  const bound = Math.exp(-t * (strip + 0.5 * t)) * 2 ** 32;
  // The margin of a whole word forgives Math.exp a relative error of 2^-33; it has 2^-52.
  if (word + 1 <= bound - 1) return true;
  if (word >= bound + 1) return false;
  if (offset === 0) return true; // the bound is exactly 1
  const [j, k, sigma] = [BigInt(offset), BigInt(strip), BigInt(stdDev)];
  return isBelow(lazyUniform(word, random), (bits) => expNegative(j * (2n * k * sigma + j), 2n * sigma * sigma, bits));
}

/** A uniform number in [0, 1) whose bits are drawn when somebody needs them. `bits` is a multiple of 32. */
type LazyUniform = (bits: number) => bigint;

function lazyUniform(first: number, random: RandomSource): LazyUniform {
  let known = BigInt(first);
  let length = 32;
  const word = new Uint32Array(1);
  return (bits) => {
    for (; length < bits; length += 32) {
      random.fill(word);
      known = (known << 32n) | BigInt(word[0]!);
    }
    word[0] = 0;
    return known >> BigInt(length - bits);
  };
}

/**
 * Compares a lazy uniform with a real number, exactly.
 *
 * @param bound - bits ↦ an integer closer than 2 to the real number times 2^bits
 */
function isBelow(u: LazyUniform, bound: (bits: number) => bigint): boolean {
  for (let bits = 64; ; bits *= 2) {
    const difference = u(bits) - bound(bits);
    if (difference <= -3n) return true;
    if (difference >= 2n) return false;
  }
}

/** P[strip ≤ k] · 2^bits, closer than 2 to the real value. */
function stripAtMost(k: number, bits: number): bigint {
  const fine = bits + 32;
  let [upToK, all] = [0n, 0n];
  for (let i = 0, term = 1n; term > 0n; i++) {
    term = expNegative(BigInt(i * i), 2n, fine);
    all += term;
    if (i <= k) upToK += term;
  }
  return (upToK << BigInt(bits)) / all;
}

/**
 * exp(−numerator/denominator) · 2^bits, closer than 2 to the real value.
 *
 * Taylor series of exp(x / 2^h) with x / 2^h ≤ 2^-8 (positive terms, each one truncation), h squarings, one division.
 * Each of the fewer than 2^8 truncations costs 2^-precision and the squarings multiply that by 2^h ≤ 2^24 for the
 * exponents that occur (≤ 2^15), so 64 guard bits leave an error below 2^-31 of the last bit.
 */
function expNegative(numerator: bigint, denominator: bigint, bits: number): bigint {
  const precision = BigInt(bits + 64);
  let halvings = 8n;
  while (numerator >> (halvings - 8n) > denominator) halvings++;
  const x = (numerator << precision) / (denominator << halvings);
  let sum = 0n;
  for (let i = 1n, term = 1n << precision; term > 0n; i++) {
    sum += term;
    term = ((term * x) >> precision) / i;
  }
  for (let h = 0n; h < halvings; h++) sum = (sum * sum) >> precision;
  return (1n << (precision + BigInt(bits))) / sum;
}
