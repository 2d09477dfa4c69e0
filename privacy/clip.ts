/**
 * The bound everything rests on: no customer adds more than `clipNorm` to a sum.
 *
 * Promise: whatever a customer's vector holds, what is read through `clip` is finite and has L2 norm at most
 * clipNorm · (1 + 1e-12). Data never makes it throw or leave a customer out: a vector that holds NaN or an infinity, or
 * whose norm is beyond the largest double, reads as zero and keeps its place.
 */
import type { Clipped, CustomerVectors } from './steps.ts';

/**
 * Scales each customer's vector down to norm `clipNorm` where it is longer; shorter ones pass unchanged.
 * Lazy: a vector is clipped when it is read.
 *
 * @param clipNorm - bound C in the units of the vectors, from 1e-100 to 1e100
 * @throws RangeError when clipNorm lies outside
 * @see Abadi et al. 2016 (arXiv:1607.00133), Algorithm 1
 */
export function clip(vectors: CustomerVectors, clipNorm: number): Clipped {
  if (!(clipNorm >= 1e-100 && clipNorm <= 1e100)) {
    throw new RangeError(`clipNorm must lie in [1e-100, 1e100], got ${clipNorm}`);
  }
  const read = (index: number, into: Float64Array) => {
    vectors.read(index, into);
    clipInPlace(into, clipNorm);
  };
  return { count: vectors.count, dimension: vectors.dimension, clipNorm, read } as Clipped;
}

function clipInPlace(vector: Float64Array, clipNorm: number): void {
  const unit = unitOf(vector);
  const scaledNorm = Math.sqrt(sumOfSquares(vector, unit, 0, vector.length));
  const norm = scaledNorm / unit;
  if (!Number.isFinite(norm)) {
    vector.fill(0);
    return;
  }
  if (norm <= clipNorm) return;
  // Two factors, each near 1: their product could be too small for a double to hold precisely.
  const shrink = clipNorm / scaledNorm;
  for (let i = 0; i < vector.length; i++) vector[i] = vector[i]! * unit * shrink;
}

/** A power of two that brings the largest coordinate near 1, so that no square overflows; NaN if one is not finite. */
function unitOf(vector: Float64Array): number {
  let largest = 0;
  for (let i = 0; i < vector.length; i++) largest = Math.max(largest, Math.abs(vector[i]!)); // max keeps a NaN
  if (largest === 0) return 1;
  return largest < Infinity ? 2 ** -Math.max(-1000, Math.floor(Math.log2(largest))) : NaN;
}

/** Σ (unit · x)² over a range. Halved down to short runs, so that rounding errors do not grow with the dimension. */
function sumOfSquares(vector: Float64Array, unit: number, from: number, to: number): number {
  if (to - from > 256) {
    const middle = (from + to) >>> 1;
    return sumOfSquares(vector, unit, from, middle) + sumOfSquares(vector, unit, middle, to);
  }
  let sum = 0;
  for (let i = from; i < to; i++) sum += (vector[i]! * unit) ** 2;
  return sum;
}
