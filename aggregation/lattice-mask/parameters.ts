import { type LatticeLaneBits, largestInLane, valuesPerPolynomial } from '../kernels/lanes.ts';
import { DEGREE, MASK_RING, packedBytes } from '../kernels/rings.ts';

/**
 * The one parameter set of `lattice-mask`.
 *
 *   ring         Z_q[X]/(X^4096 + 1), q of four primes, 105.997 bits (`kernels/rings.ts`)
 *   plaintext    below t = 2^92: four lanes of 23 bits a coefficient, or two of 46
 *   key, errors  centred binomial, σ = √21 ≈ 4.58
 *
 * 106 bits are what ePrint 2024/463, table 5.2, gives degree 4096 for 128-bit security. σ is above the 4.5 of Willow's
 * secrets (ePrint 2024/936), because an opening shows sums of keys and of errors: what is left of one of them has
 * σ/√2 ≥ 3.24, the deviation those tables are made for (SECURITY.md, "What an opening shows").
 */

/** The narrowest lanes that sums up to ±`maxMagnitude` fit; undefined when none does. */
export const lanesFor = (maxMagnitude: number): LatticeLaneBits | undefined =>
  ([23, 46] as const).find((bits) => maxMagnitude <= largestInLane(bits));

/** Polynomials that a vector of `dimension` values takes. */
export const polynomials = (bits: LatticeLaneBits, dimension: number): number =>
  Math.ceil(dimension / valuesPerPolynomial(bits));

/** Bytes of one polynomial on the wire. */
export const POLYNOMIAL_BYTES: number = packedBytes(MASK_RING);

/** A key, and a sum of keys, is a vector of 4096 words modulo 2^32. */
export const KEY_BITS = 32;
export const KEY_BYTES: number = (DEGREE * KEY_BITS) / 8;

/** Largest |coefficient| of a key: a difference of two counts among 42 bits. */
export const LARGEST_IN_KEY = 42;
