/**
 * From real vectors to integers: the grid has `gridSteps` steps to a clip norm, one step is γ = clipNorm / gridSteps.
 *
 * Promise: adding or removing one customer moves the integer sum by at most `sensitivity(…)` in L2, and integers stay
 * exact from here to the opened sum.
 *
 *   strict   every customer's vector goes to the grid by itself and is checked there, in integers; then they are added
 *   ghost    float32 sums of at most 64 clipped customers each go to the grid; then these are added
 *
 * Strict owes nothing to floating point. Ghost is for models too large to see one customer's gradient at a time, and
 * pays for it with a slightly larger sensitivity.
 */
import type { Clipped, Quantized } from './steps.ts';

/** Largest `gridSteps`: a customer's squared integer norm, before it is checked, stays below 2^53. */
export const MAX_GRID_STEPS: number = 2 ** 25;

/** Most customers in one float32 sum of the ghost path. */
export const CHUNK_CUSTOMERS = 64;

/** How far a customer's effect on a float32 sum may exceed the clip norm, relative to it. */
const GHOST_TOLERANCE = 1e-3;

/** Work, as dimension · batch, up to which the strict path costs less than a round trip. */
const STRICT_WORK = 5e7;

export type GridPath = 'strict' | 'ghost';

/** The path a plan takes: strict wherever dimension · maxBatch ≤ 5·10^7. */
export function pathFor(dimension: number, maxBatch: number): GridPath {
  return dimension * maxBatch <= STRICT_WORK ? 'strict' : 'ghost';
}

/**
 * How far one customer, added or removed, can move the integer sum: L2, in grid steps, an integer.
 *
 * Strict: the customer's own integer norm. Ghost: the customer touches one chunk, by h with |h| ≤ gridSteps · (1 + 1e-3);
 * |round(a + h) − round(a)| ≤ |h| + 1 in each coordinate, hence |h| + √dimension in all.
 *
 * @throws RangeError when gridSteps or dimension is out of range
 */
export function sensitivity(path: GridPath, gridSteps: number, dimension: number): number {
  requireGrid(gridSteps, dimension);
  return path === 'strict' ? gridSteps : Math.ceil(gridSteps * (1 + GHOST_TOLERANCE) + Math.sqrt(dimension));
}

/**
 * The batch's sum on the grid, strict path.
 *
 * @returns length `dimension`, integers below count · gridSteps
 * @throws RangeError when gridSteps is not an integer from 1 to 2^25, or the sum could leave the exact integers
 */
export function quantize(clipped: Clipped, gridSteps: number): Quantized {
  const { count, dimension, clipNorm } = clipped;
  requireGrid(gridSteps, dimension);
  requireExactSum(count, gridSteps);
  const sum = new Float64Array(dimension);
  const row = new Float64Array(dimension);
  for (let customer = 0; customer < count; customer++) {
    clipped.read(customer, row);
    toGrid(row, gridSteps / clipNorm);
    shortenTo(gridSteps, row);
    for (let i = 0; i < dimension; i++) sum[i]! += row[i]!;
  }
  row.fill(0); // the last customer's vector
  return sum as Quantized;
}

/** Float32 sums of clipped customers, a few at a time. Granted by `ghostClipped`. */
export type GhostClipped = ChunkSums & { readonly [chunked]: true };
declare const chunked: unique symbol;

export interface ChunkSums {
  readonly clipNorm: number;
  /** coordinates of each sum */
  readonly dimension: number;
  /** the sums, each of length `dimension`; read once, one after the other */
  readonly chunks: Iterable<Float32Array>;
}

/**
 * Grants the brand of the ghost path. The code cannot check what it means, so the caller promises, for every batch:
 *
 * 1. a chunk sums at most 64 customers' clipped vectors, and each customer is in one chunk;
 * 2. adding or removing one customer moves its chunk's float32 sum by at most clipNorm · (1 + 1e-3) in L2. Adding 64
 *    float32 vectors in any order errs by at most 63·64·2^-24 clip norms with the customer and without: 4.9e-4 of the
 *    1e-3. The rest is for the norms; TF32 and fp16 do not fit;
 * 3. a customer whose gradient is not finite counts as zero, by itself, before the sum;
 * 4. where a customer's row lies does not depend on who else is in the batch: rows are placed by `placeBatch`.
 */
export function ghostClipped(sums: ChunkSums): GhostClipped {
  return sums as GhostClipped;
}

/**
 * The batch's sum on the grid, ghost path.
 *
 * @throws RangeError when a chunk has another length, or is longer than 64 clipped customers can be (a NaN is): then
 *   the promise of `ghostClipped` is broken and nothing may be sent; or when gridSteps is out of range
 */
export function quantizeChunks(clipped: GhostClipped, gridSteps: number): Quantized {
  const { clipNorm, dimension, chunks } = clipped;
  requireGrid(gridSteps, dimension);
  const longest = CHUNK_CUSTOMERS * gridSteps * (1 + 2 * GHOST_TOLERANCE) + Math.sqrt(dimension);
  const sum = new Float64Array(dimension);
  const row = new Float64Array(dimension);
  let customers = 0;
  for (const chunk of chunks) {
    if (chunk.length !== dimension) throw new RangeError(`a chunk must hold ${dimension} values, got ${chunk.length}`);
    customers += CHUNK_CUSTOMERS;
    requireExactSum(customers, 2 * gridSteps);
    row.set(chunk);
    const norm = Math.sqrt(toGrid(row, gridSteps / clipNorm));
    if (!(norm <= longest)) throw new RangeError('a chunk is longer than the customers it may hold: not clipped');
    for (let i = 0; i < dimension; i++) sum[i]! += row[i]!;
  }
  row.fill(0);
  return sum as Quantized;
}

/** An opened sum in the units of the vectors: one step is clipNorm / gridSteps. */
export function dequantize(sum: Float64Array, clipNorm: number, gridSteps: number): Float64Array {
  return sum.map((steps) => (steps * clipNorm) / gridSteps);
}

/** Rounds to the nearest step, in place. @returns the squared norm in steps */
function toGrid(row: Float64Array, stepsPerUnit: number): number {
  let squared = 0;
  for (let i = 0; i < row.length; i++) {
    const steps = Math.round(row[i]! * stepsPerUnit);
    row[i] = steps;
    squared += steps * steps;
  }
  return squared;
}

/**
 * Shortens an integer vector, towards zero, until its norm is at most `most`. Rounding lengthens a vector that was
 * clipped to the full norm, so this happens often and costs at most a step per coordinate.
 *
 * Exact: sums of squares are integers, and doubles hold those up to 2^53. A larger one is rounded, but not below 2^53.
 */
function shortenTo(most: number, row: Float64Array): void {
  for (let squared = squaredNorm(row); squared > most * most; squared = squaredNorm(row)) {
    // Strictly below 1: every pass takes a step off every coordinate that is not zero, so the loop ends.
    const shrink = Math.min(most / Math.sqrt(squared), 1 - 2 ** -40);
    for (let i = 0; i < row.length; i++) row[i] = Math.trunc(row[i]! * shrink);
  }
}

function squaredNorm(row: Float64Array): number {
  let squared = 0;
  for (let i = 0; i < row.length; i++) squared += row[i]! * row[i]!;
  return squared;
}

function requireGrid(gridSteps: number, dimension: number): void {
  if (!(Number.isInteger(gridSteps) && gridSteps >= 1 && gridSteps <= MAX_GRID_STEPS)) {
    throw new RangeError(`gridSteps must be an integer from 1 to 2^25, got ${gridSteps}`);
  }
  if (!(Number.isInteger(dimension) && dimension >= 1)) {
    throw new RangeError(`dimension must be a positive integer, got ${dimension}`);
  }
}

function requireExactSum(count: number, gridSteps: number): void {
  if (count * gridSteps >= 2 ** 52) {
    throw new RangeError(`${count} customers of ${gridSteps} steps do not fit the exact integers`);
  }
}
