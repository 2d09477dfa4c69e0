/**
 * How much noise a plan needs, or how many rounds its noise allows, by the tight accountant.
 *
 * Promise: the answer keeps ε at or below the target, and a multiplier smaller by one part in ten thousand (one round more)
 * would not.
 */
import { eventForCopies } from './copies.ts';
import type { PrivacyEvent } from './event.ts';
import { epsilonAtMost, epsilonPerCount } from './pld-accountant.ts';

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
 * A plan is best calibrated on the events it will really have: `eventFor: (z) => planEvent({ …, shareStdDev: … })`.
 *
 * @throws RangeError when no multiplier up to 2^20 is enough
 */
export function calibrateNoiseMultiplier({ epsilon, delta, eventFor }: CalibrationTarget): number {
  if (!(epsilon > 0)) throw new RangeError(`epsilon must be positive, got ${epsilon}`);
  const excess = (z: number) => Math.log(epsilonAtMost([eventFor(z)], delta) / epsilon);

  let [low, high] = [0, 1]; // too little noise, and enough
  let [atLow, atHigh] = [Infinity, excess(high)];
  while (atHigh > 0) {
    if (high >= LARGEST) throw new RangeError(`no noise multiplier up to ${LARGEST} reaches epsilon ${epsilon}`);
    [low, atLow] = [high, atHigh];
    high *= 2;
    atHigh = excess(high);
  }
  while (low === 0 && high > SMALLEST) {
    const half = excess(high / 2);
    if (half > 0) [low, atLow] = [high / 2, half];
    else [high, atHigh] = [high / 2, half];
  }
  for (let inARow = 0; low > 0 && high > low * (1 + TOLERANCE); ) {
    // An end that does not move in three steps is too far away for a straight line: halve.
    const middle = Math.abs(inARow) > 2 ? Math.sqrt(low * high) : between(low, atLow, high, atHigh);
    const there = excess(middle);
    if (there > 0) {
      [low, atLow] = [middle, there];
      inARow = Math.max(1, inARow + 1);
    } else {
      [high, atHigh] = [middle, there];
      inARow = Math.min(-1, inARow - 1);
    }
  }
  return high;
}

/**
 * Where the straight line through both ends, in logarithms, meets the target, moved inwards by half the tolerance: once one
 * end is there, the next step closes in from the other.
 */
function between(low: number, atLow: number, high: number, atHigh: number): number {
  const width = Math.log(high / low);
  const inner = TOLERANCE / 2 / width;
  const share = Number.isFinite(atLow - atHigh) ? atLow / (atLow - atHigh) + inner / 4 : 0.5;
  return low * Math.exp(width * Math.min(Math.max(share, inner), 1 - inner));
}

/**
 * How often `event` may happen within (ε, δ).
 *
 * @param most - not more than this, however cheap the event is
 * @throws RangeError when delta is outside (0, 1)
 */
export function mostRounds(target: {
  readonly epsilon: number;
  readonly delta: number;
  readonly event: PrivacyEvent;
  readonly most: number;
}): number {
  const epsilonAfter = epsilonPerCount(target);
  let [low, high] = [0, target.most + 1]; // allowed, and not
  for (let guess = 1; high - low > 1; guess = Math.min(2 * low, (low + high) >> 1)) {
    if (epsilonAfter(guess) <= target.epsilon) low = guess;
    else high = guess;
  }
  return low;
}

/**
 * The upper ε of `events` for customers known to one tenant, to two, and so on.
 *
 * @param copies - numbers of tenants, such as [1, 2, 3]
 */
export function epsilonForCopies(
  events: readonly PrivacyEvent[],
  delta: number,
  copies: readonly number[],
): readonly number[] {
  return copies.map((m) =>
    epsilonAtMost(
      events.map((event) => eventForCopies(event, m)),
      delta,
    ),
  );
}
