import {
  HE_RING,
  HE_RING_101,
  packedBytes,
  type Ring,
  SLOTS_46,
  SLOTS_48,
  type SlotModulus,
} from '../kernels/rings.ts';
import { keyAgreementOf } from '../pair-key.ts';
import type { SumShape } from '../secure-sum.ts';

/**
 * The two parameter sets of `threshold-he`. How tenants agree on secrets chooses one: against a quantum computer the masks
 * under the encryption need ML-KEM, and the encryption a smaller q.
 *
 *   ring        Z_q[X]/(X^4096 + 1), q = q₀·q₁, ternary secrets, error σ ≈ 3.24 (SEAL)
 *   plaintext   4096 slots of Z_t, t prime and ≡ 1 mod 8192
 *
 * q₀ is smaller than t on purpose: SEAL then finds no valid second level, keeps no special prime, and both
 * primes carry data. `seal.ts` refuses to start when SEAL disagrees.
 *
 * One set is the other with q and t divided by 2^4 and 2^2: with σ divided by 2^2 as well, every margin is the same.
 */
export interface Profile {
  readonly ring: Ring;
  readonly slots: SlotModulus;
  /** log2 of σ of an opener's flooding, `smudge.ts` */
  readonly floodingBits: 48 | 46;
  /**
   * Coefficients one tenant helps to open under one key. Openings are hidden to 2^−87.7 (2^−83.7) of squared Hellinger
   * distance a coefficient, all of an epoch to 2^−48 (SECURITY.md, "What an opening gives away").
   */
  readonly mostOpened: number;
}

/**
 * q of 47 + 58 = 105 bits, t = 2^48 − 16383. Below both the Homomorphic Encryption Standard (2018, table 1: 109 bits for
 * 128-bit classical security, ternary secret) and the tighter ePrint 2024/463, table 5.2 (106 bits).
 */
export const CLASSICAL: Profile = { ring: HE_RING, slots: SLOTS_48, floodingBits: 48, mostOpened: 2 ** 34 };

/** q of 45 + 56 = 101 bits, t = 2^46 − 507903: what SEAL's table has for 128-bit quantum security (`hestdparms.h`). */
export const QUANTUM: Profile = { ring: HE_RING_101, slots: SLOTS_46, floodingBits: 46, mostOpened: 2 ** 30 };

export const profileOf = (shape: Pick<SumShape, 'keyAgreement'>): Profile =>
  keyAgreementOf(shape) === 'x25519' ? CLASSICAL : QUANTUM;

/** Bytes of one polynomial on the wire, in the larger of the two: every residue in exactly the bits of its prime. */
export const PACKED_BYTES: number = packedBytes(CLASSICAL.ring);

/** Shamir's x-coordinates are positions among the members, from 1. */
export const MOST_MEMBERS = 200;

/** Polynomials handled at a time: 1 MiB on the wire, a few milliseconds. Then connections may answer their heartbeat. */
export const AT_ONCE: number = Math.floor(2 ** 20 / PACKED_BYTES);
