import { largestInLane, type SlotLaneBits } from '../kernels/lanes.ts';
import { DEGREE } from '../kernels/rings.ts';
import type { SumShape } from '../secure-sum.ts';
import { PACKED_BYTES } from './parameters.ts';

/**
 * How a vector lies in polynomials: two coordinates a slot, in lanes of 24 bits, where the sums the plan allows fit
 * such a lane; else one, in all 48. It follows from `maxMagnitude` alone, so everyone finds the same.
 *
 *   coordinates 2i, 2i + 1 ──▶ slot i        4096 slots ──▶ a polynomial, 53,760 bytes: 6.6 (13.1) a coordinate
 */
export interface Layout {
  readonly bits: SlotLaneBits;
  /** coordinates of one polynomial */
  readonly perPolynomial: number;
  readonly slots: number;
  readonly polynomials: number;
  /** of all of them, packed: a contribution's vector, and an opening share's */
  readonly bytes: number;
}

/** Of a sum that does not fit it is that of the wide lane; `budget` refuses such a sum. */
export function layoutOf({ maxMagnitude, dimension }: Pick<SumShape, 'maxMagnitude' | 'dimension'>): Layout {
  const bits = laneFor(maxMagnitude) ?? 48;
  const each = 48 / bits;
  const slots = Math.ceil(dimension / each);
  const polynomials = Math.ceil(slots / DEGREE);
  return { bits, perPolynomial: each * DEGREE, slots, polynomials, bytes: PACKED_BYTES * polynomials };
}

/** The narrowest lane that sums up to ±`maxMagnitude` fit; undefined when none does. */
export const laneFor = (maxMagnitude: number): SlotLaneBits | undefined =>
  ([24, 48] as const).find((bits) => maxMagnitude <= largestInLane(bits));
