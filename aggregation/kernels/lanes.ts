import { DEGREE, LIMB_BITS, LIMBS, MASK_RING, SLOTS_48, type SlotModulus } from './rings.ts';

/**
 * Signed numbers side by side in a larger one: value l counts 2^(bits·l), and the lanes of a sum are read as balanced
 * digits, each in [−2^(bits−1), 2^(bits−1)), from the lowest up. A value has no offset and nothing saturates, so noise
 * in a lane stays what was drawn as long as the *sum* keeps to `largestInLane`.
 */
export type LaneBits = SlotLaneBits | LatticeLaneBits;

/** One value in a slot modulo a t of 48 bits, or two; the same for 46 bits. */
export type SlotLaneBits = 24 | 48 | 23 | 46;

/** Four values in a coefficient of the lattice mask, or two. */
export type LatticeLaneBits = 23 | 46;

/**
 * Largest |Σ| that a lane decodes exactly, whatever the lanes beside it hold within theirs; no one value may be
 * larger either. It is half the lane less one, and no more than a slot holds, ±(t − 1)/2: that binds where a lane is all of
 * it, since two lanes of 24 come to (2^23 − 1)(2^24 + 1) < (t − 1)/2 at most, but 2^23 in the upper one to more. (Of 23, to
 * 2^45 − 2^22 − 1, where (t − 1)/2 = 2^45 − 253952.)
 *
 * @param modulus - of the slot; coefficients of the lattice mask have room for every lane
 */
export const largestInLane = (bits: LaneBits, { value }: SlotModulus = SLOTS_48): number =>
  Math.min(2 ** (bits - 1), (value + 1) / 2) - 1;

/**
 * Largest |Σ errors| above full lanes that the lattice mask decodes exactly: 8171. Opening tells coefficients apart
 * within (q₃ − 1)/2·q₀q₁q₂, a little less than q/2, and the lanes take less than 2^91 of that.
 *
 * 194 tenants with errors of ±42 cannot exceed it. 200 would with a chance below 2^−11000 a coefficient: their errors
 * are made of 16,800 fair bits, each shifting the sum by one (Hoeffding 1963, theorem 2: 2·exp(−2·8171²/16800)).
 */
export const LARGEST_ERROR_SUM: number = (() => {
  const [q0, q1, q2, q3] = MASK_RING.primes.map(({ value }) => value) as [bigint, bigint, bigint, bigint];
  const modulus = 1n << BigInt(LIMBS * LIMB_BITS);
  return Number((((q3 - 1n) / 2n) * q0 * q1 * q2 - modulus / 2n) / modulus);
})();

/** Values that fit into a polynomial of the lattice mask: 16,384 or 8,192. */
export const valuesPerPolynomial = (bits: LatticeLaneBits): number => (DEGREE * LIMBS * LIMB_BITS) / bits;
