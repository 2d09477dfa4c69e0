import { largestInLane, type SlotLaneBits } from '../kernels/lanes.ts';
import { DEGREE, packedBytes, type SlotModulus } from '../kernels/rings.ts';
import type { SumShape } from '../secure-sum.ts';
import { profileOf } from './parameters.ts';

/**
 * How a vector lies in polynomials: two coordinates a slot, in lanes of 24 bits (23 in the smaller ring), where the sums the
 * plan allows fit such a lane; else one, in all 48 (46). It follows from the plan alone, so everyone finds the same.
 *
 *   coordinates 2i, 2i + 1 ──▶ slot i        4096 slots ──▶ a polynomial, 53,760 bytes: 6.6 (13.1) a coordinate; or 51,712
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
export function layoutOf(shape: Pick<SumShape, 'maxMagnitude' | 'dimension' | 'keyAgreement'>): Layout {
  const { maxMagnitude, dimension } = shape;
  const profile = profileOf(shape);
  const bits = laneFor(maxMagnitude, profile.slots) ?? profile.slots.bits;
  const each = profile.slots.bits / bits;
  const slots = Math.ceil(dimension / each);
  const polynomials = Math.ceil(slots / DEGREE);
  return { bits, perPolynomial: each * DEGREE, slots, polynomials, bytes: packedBytes(profile.ring) * polynomials };
}

/** The narrowest lane that sums up to ±`maxMagnitude` fit; undefined when none does. */
export const laneFor = (maxMagnitude: number, slots: SlotModulus): SlotLaneBits | undefined =>
  ([23, 24, 46, 48] as const)
    .filter((bits) => bits === slots.bits || bits === slots.bits / 2)
    .find((bits) => maxMagnitude <= largestInLane(bits, slots));
