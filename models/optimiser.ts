/**
 * From an opened sum of gradients to the next parameters, the same bits on every machine: only + − × ÷ on doubles,
 * coordinate by coordinate, in the order written. Tenants recompute it and compare `parameterHash`.
 */
export interface StepSize {
  /** > 0 */
  readonly learningRate: number;
  /** the plan's constant divisor, customers: sampling rate × customers expected, never the number that took part */
  readonly expectedBatch: number;
}

/**
 * parameters − learningRate × (gradientSum ÷ expectedBatch)
 *
 * @param gradientSum - the opened sum in real units, noise included
 * @throws RangeError when lengths differ, a step size is not positive and finite, or a result is not finite
 */
export function step(parameters: Float64Array, gradientSum: Float64Array, size: StepSize): Float64Array {
  checkPositive('learningRate', size.learningRate);
  checkPositive('expectedBatch', size.expectedBatch);
  checkLength(gradientSum, parameters.length);
  return parameters.map((value, i) => {
    const next = value - size.learningRate * (gradientSum[i]! / size.expectedBatch);
    if (!Number.isFinite(next)) throw new RangeError(`parameter ${i} is no longer finite: lower the learning rate`);
    return next;
  });
}

/** The mean of the iterates taken in so far; of none, an empty vector. */
export interface TailAverage {
  readonly count: number;
  readonly mean: Float64Array;
}

/** Before the first iterate. */
export const emptyAverage: TailAverage = { count: 0, mean: new Float64Array(0) };

/**
 * Takes one more iterate into the mean: mean + (iterate − mean) ÷ count. Start it K rounds before the end for the
 * average of the last K iterates, which is what is released: noise averages out, at no cost in privacy.
 *
 * @see Rakhlin et al. 2012 (arXiv:1109.5647), α-suffix averaging
 */
export function tailAverage(average: TailAverage, iterate: Float64Array): TailAverage {
  if (average.count === 0) return { count: 1, mean: iterate };
  checkLength(iterate, average.mean.length);
  const count = average.count + 1;
  return { count, mean: average.mean.map((mean, i) => mean + (iterate[i]! - mean) / count) };
}

function checkPositive(name: string, value: number): void {
  if (!(value > 0 && value < Number.POSITIVE_INFINITY)) throw new RangeError(`${name} must be positive, got ${value}`);
}

function checkLength(vector: Float64Array, length: number): void {
  if (vector.length !== length) throw new RangeError(`${length} coordinates needed, got ${vector.length}`);
}
