import { HE_RING, packedBytes } from '../kernels/rings.ts';

/**
 * The one parameter set of `threshold-he`; ring and slots are those of `kernels/rings.ts`.
 *
 *   ring        Z_q[X]/(X^4096 + 1), q = q₀·q₁ of 47 + 58 = 105 bits, ternary secrets, error σ ≈ 3.24 (SEAL)
 *   plaintext   4096 slots of Z_t, t = 2^48 − 16383 (prime, ≡ 1 mod 8192)
 *
 * 105 bits at degree 4096 is below both the Homomorphic Encryption Standard (2018, table 1: 109 bits for
 * 128-bit classical security, ternary secret) and the tighter ePrint 2024/463, table 5.2 (106 bits).
 * q₀ is smaller than t on purpose: SEAL then finds no valid second level, keeps no special prime, and both
 * primes carry data. `seal.ts` refuses to start when SEAL disagrees.
 */

/** Bytes of one polynomial on the wire: every residue in exactly the bits of its prime. */
export const PACKED_BYTES: number = packedBytes(HE_RING);

/** Shamir's x-coordinates are positions among the members, from 1. */
export const MOST_MEMBERS = 200;

/** Polynomials handled at a time: 1 MiB on the wire, a few milliseconds. Then connections may answer their heartbeat. */
export const AT_ONCE: number = Math.floor(2 ** 20 / PACKED_BYTES);

/**
 * Coefficients one key may open in an epoch. The flooding noise (`smudge.ts`) hides the honest errors of each to
 * 2^−89 of squared Hellinger distance, so 2^40 of them keep 2^−49 (SECURITY.md, "What an opening gives away").
 */
export const MOST_OPENED: number = 2 ** 40;
