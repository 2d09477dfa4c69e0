/**
 * How much noise a plan needs.
 *
 * Promise: the answer keeps ε at or below the target, and a multiplier smaller by one part in ten thousand would not.
 */
import type { PrivacyEvent } from './event.ts';
import { epsilonSpent } from './rdp.ts';

const TOLERANCE = 1e-4;
const [SMALLEST, LARGEST] = [2 ** -6, 2 ** 20];

export interface CalibrationTarget {
  /** > 0 */
  readonly epsilon: number;
  /** in (0, 1) */
  readonly delta: number;
  /** Everything the plan would release with this noise multiplier. More noise must not cost more. */
  readonly eventFor: (noiseMultiplier: number) => PrivacyEvent;
}

/**
 * The smallest noise multiplier z, up to a relative 1e-4, whose events stay within (ε, δ).
 *
 * A plan is best calibrated on the events it will really have, shares rounded up to the grid included:
 * `eventFor: (z) => planEvent({ …, shareStdDev: noiseShare({ …, noiseMultiplier: z }) })`.
 *
 * @throws RangeError when no multiplier up to 2^20 is enough
 */
export function calibrateNoiseMultiplier({ epsilon, delta, eventFor }: CalibrationTarget): number {
  if (!(epsilon > 0)) throw new RangeError(`epsilon must be positive, got ${epsilon}`);
  const enough = (z: number) => epsilonSpent([eventFor(z)], delta).epsilon <= epsilon;

  let high = 1;
  while (!enough(high)) {
    if (high >= LARGEST) throw new RangeError(`no noise multiplier up to ${LARGEST} reaches epsilon ${epsilon}`);
    high *= 2;
  }
  let low = high / 2;
  while (low >= SMALLEST && enough(low)) {
    high = low;
    low /= 2;
  }
  while (high > low * (1 + TOLERANCE)) {
    const middle = Math.sqrt(low * high);
    if (enough(middle)) high = middle;
    else low = middle;
  }
  return high;
}
