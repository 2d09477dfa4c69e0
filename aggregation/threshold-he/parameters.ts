/**
 * The one parameter set of `threshold-he`.
 *
 *   ring        Z_q[X]/(X^4096 + 1), q = q₀·q₁ of 47 + 58 = 105 bits, ternary secrets, error σ ≈ 3.24 (SEAL)
 *   plaintext   4096 lanes of Z_t, t = 2^48 − 16383 (prime, ≡ 1 mod 8192: one integer a slot)
 *
 * 105 bits at degree 4096 is below both the Homomorphic Encryption Standard (2018, table 1: 109 bits for
 * 128-bit classical security, ternary secret) and the tighter ePrint 2024/463, table 5.2 (106 bits).
 * q₀ is smaller than t on purpose: SEAL then finds no valid second level, keeps no special prime, and both
 * primes carry data. `seal.ts` refuses to start when SEAL disagrees with a constant below.
 */
export const DEGREE = 4096;

/** Both primes of q as 2^bits − gap: so close below a power of two that reduction is a shift and an add. */
export interface Prime {
  readonly bits: number;
  readonly gap: number;
  readonly value: bigint;
}

export const PRIMES: readonly [Prime, Prime] = [
  { bits: 47, gap: 81_919, value: 140_737_488_273_409n },
  { bits: 58, gap: 581_631, value: 288_230_376_151_130_113n },
];

/** t: what a slot counts in. Exact in a double, and so is the sum of two residues. */
export const PLAIN_MODULUS = 281_474_976_694_273;

/** Largest |coordinate| of an opened sum: two-sided values are centred modulo t. */
export const LANE = (PLAIN_MODULUS - 1) / 2;

/** Shamir's x-coordinates are the positions 1…64; `shamir.ts` relies on their size. */
export const MOST_MEMBERS = 64;

/** Bytes of one polynomial on the wire: every residue in exactly the bits of its prime. */
export const PACKED_BYTES = (DEGREE * (47 + 58)) / 8;

/** Polynomials a vector of `dimension` coordinates takes. */
export const polynomials = (dimension: number): number => Math.ceil(dimension / DEGREE);

/**
 * Coefficients one key may open in an epoch. The flooding noise (`smudge.ts`) hides the honest errors of each to
 * 2^−87 bits of divergence, so 2^40 of them keep 2^−47 (SECURITY.md, "What an opening gives away").
 */
export const MOST_OPENED: number = 2 ** 40;
