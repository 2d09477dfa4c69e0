/**
 * What `discreteGaussian` must make of its random words, by interval arithmetic on integers: no floating point, and no line
 * in common with it. A real number is [low, high], in units of 2^-SCALE.
 *
 *   word 1   U₁ ∈ [w, w+1)/2^32 chooses the strip: the least k with U₁ < Σ_{i≤k} e^(−i²/2) / Σ_i e^(−i²/2)
 *   word 2   sign in the lowest bit, offset in the bits above that σ − 1 needs; no sample if offset ≥ σ
 *   word 3   U₃ ∈ [w, w+1)/2^32 accepts when U₃ < exp(−(k·j/σ + j²/2σ²)); −0 is no sample
 */
type Interval = readonly [low: bigint, high: bigint];

const SCALE = 320n;
const ONE = 1n << SCALE;

const floorDiv = (a: bigint, b: bigint): bigint => a / b; // both are positive everywhere here
const ceilDiv = (a: bigint, b: bigint): bigint => (a + b - 1n) / b;

/** e^(−p/q) for p ≥ 0, q > 0: one over the series of e^(p/q), whose terms are all positive. */
export function expMinus(p: bigint, q: bigint): Interval {
  if (p === 0n) return [ONE, ONE];
  let [low, high] = [0n, 0n];
  for (let n = 1n, term: Interval = [ONE, ONE]; ; n++) {
    low += term[0];
    high += term[1];
    term = [floorDiv(term[0] * p, n * q), ceilDiv(term[1] * p, n * q)];
    // from here on every term is less than half of the one before
    if (n * q > 2n * p && term[1] <= 1n) break;
  }
  high += 2n;
  return [floorDiv(ONE * ONE, high), ceilDiv(ONE * ONE, low)];
}

const STRIPS = Array.from({ length: 32 }, (_, i) => expMinus(BigInt(i * i), 2n)); // those left out weigh less than 2^-700
const total = (from: readonly Interval[]): Interval => [
  from.reduce((sum, [low]) => sum + low, 0n),
  from.reduce((sum, [, high]) => sum + high, 0n),
];
const ALL = total(STRIPS);

/** P[strip ≤ k] */
export function stripAtMost(k: number): Interval {
  const [low, high] = total(STRIPS.slice(0, k + 1));
  return [floorDiv(low * ONE, ALL[1] + 1n), ceilDiv(high * ONE, ALL[0])];
}

/** P[an attempt at this strip and offset is accepted] */
export function acceptance(stdDev: number, strip: number, offset: number): Interval {
  const [s, k, j] = [BigInt(stdDev), BigInt(strip), BigInt(offset)];
  return expMinus(2n * k * s * j + j * j, 2n * s * s);
}

/** Is the uniform number whose binary digits begin with these words below a real number? @throws Error when they do not tell */
export function isBelow(words: readonly number[], [low, high]: Interval): boolean {
  const unit = SCALE - 32n * BigInt(words.length);
  const digits = words.reduce((number, word) => (number << 32n) | BigInt(word), 0n);
  if ((digits + 1n) << unit <= low) return true;
  if (digits << unit >= high) return false;
  throw new Error(`${words.length} words do not tell on which side of the bound the number lies`);
}

/** The sample that one attempt gives; undefined when it gives none. Each uniform number is given by its words. */
export function attemptOf(
  stdDev: number,
  [forStrip, word, forAcceptance]: readonly [readonly number[], number, readonly number[]],
): number | undefined {
  let strip = 0;
  while (!isBelow(forStrip, stripAtMost(strip))) strip++;
  const offset = (word >>> 1) % 2 ** bitsOf(stdDev - 1);
  const isNegative = word % 2 === 1;
  const size = strip * stdDev + offset;
  if (offset >= stdDev || (size === 0 && isNegative)) return undefined;
  if (!isBelow(forAcceptance, acceptance(stdDev, strip, offset))) return undefined;
  return isNegative ? -size : size;
}

const bitsOf = (number: number): number => (number === 0 ? 0 : number.toString(2).length);

/** The first `length` samples of a stream of words. */
export function exactSamples(stdDev: number, words: readonly number[], length: number): number[] {
  const samples: number[] = [];
  for (let i = 0; samples.length < length; i += 3) {
    const sample = attemptOf(stdDev, [[words[i]!], words[i + 1]!, [words[i + 2]!]]);
    if (sample !== undefined) samples.push(sample);
  }
  return samples;
}
