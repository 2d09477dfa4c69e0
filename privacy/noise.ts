/**
 * A tenant's share of the noise.
 *
 * Promise: a share is drawn before the batch it hides is known, so that neither its values nor the time it took can
 * depend on data; it is added once, and overwritten. A retried round draws a new one.
 */
import { checkStdDev, discreteGaussian } from './discrete-gaussian.ts';
import type { RandomSource } from './random.ts';
import type { Noised, Quantized } from './steps.ts';

/** Smallest standard deviation of a share, in grid steps: below it a sum of shares is no longer one discrete Gaussian. */
export const MIN_SHARE_STD_DEV = 6; // DISCRETE-GAUSSIAN.md, part 3

/** Noise that has been drawn and not yet used. Its values can be had only through `addNoise`. */
export interface NoiseShare {
  /** σ of each coordinate, in grid steps */
  readonly stdDev: number;
  /** coordinates */
  readonly length: number;
}

/** Values of the shares that were drawn and are neither used nor dropped. */
const unused = new WeakMap<NoiseShare, Float64Array>();

/**
 * Draws a share: `length` independent samples of D_Z(0, stdDev²). Call it before the batch is drawn.
 *
 * @param stdDev - in grid steps, an integer from 6 to 2^31
 * @throws RangeError when stdDev or length is out of range
 */
export function drawNoise(stdDev: number, length: number, random: RandomSource): NoiseShare {
  const values = roomForNoise(stdDev, length);
  discreteGaussian(stdDev, values, random);
  return shareOf(stdDev, values);
}

/**
 * Adds the share to the sum, in place, so that no copy without noise remains; then overwrites the share.
 *
 * @returns the same array, now noised
 * @throws RangeError when the share's length is not that of the sum
 * @throws Error when the share was used or dropped before, or was not drawn
 */
export function addNoise(values: Quantized, share: NoiseShare): Noised {
  const noise = unused.get(share);
  if (noise === undefined)
    throw new Error('a noise share is used once: this one was used or dropped before, or never drawn');
  if (noise.length !== values.length) {
    throw new RangeError(`a share of ${noise.length} values cannot hide a sum of ${values.length}`);
  }
  unused.delete(share);
  for (let i = 0; i < values.length; i++) values[i]! += noise[i]!;
  noise.fill(0);
  return values as Float64Array as Noised;
}

/** Overwrites a share that will not be used. One that was used or dropped before is left as it is. */
export function dropNoise(share: NoiseShare): void {
  unused.get(share)?.fill(0);
  unused.delete(share);
}

/** May this share still be added? */
export const isUnused = (share: NoiseShare): boolean => unused.has(share);

/**
 * An array for a share to be drawn into.
 *
 * @throws RangeError when stdDev or length is out of range, or there is no memory for it
 */
export function roomForNoise(stdDev: number, length: number): Float64Array<ArrayBuffer> {
  if (!(stdDev >= MIN_SHARE_STD_DEV)) {
    throw new RangeError(
      `a noise share needs stdDev ≥ ${MIN_SHARE_STD_DEV} grid steps, got ${stdDev}: use a finer grid`,
    );
  }
  checkStdDev(stdDev);
  if (!(Number.isSafeInteger(length) && length >= 0))
    throw new RangeError(`a noise share has a whole number of coordinates, got ${length}`);
  return new Float64Array(length);
}

/** Makes a share of samples of D_Z(0, stdDev²). Only for who has drawn them: here, and for `noise-supply.ts` its thread. */
export function shareOf(stdDev: number, samples: Float64Array): NoiseShare {
  const share: NoiseShare = Object.freeze({ stdDev, length: samples.length });
  unused.set(share, samples);
  return share;
}
