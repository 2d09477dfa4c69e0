import { setImmediate } from 'node:timers/promises';
import { secureRandom } from '../../privacy/random.ts';
import type { Mask } from '../kernels/kernels.ts';
import { DEGREE, packedBytes } from '../kernels/rings.ts';
import type { Arithmetic } from './arithmetic.ts';
import { commonPolynomial } from './contribution.ts';
import type { OwnKey } from './own-key.ts';
import { AT_ONCE } from './parameters.ts';
import { integer, type Polynomial, zero } from './polynomial.ts';
import { flooding } from './smudge.ts';

/*
 * The two vectors a tenant makes in a round, polynomial by polynomial under the common polynomials a of the occasion.
 * Both are packed, and the event loop turns after every few milliseconds.
 */

/**
 * x + masks − (a·s + t·e): a contribution.
 *
 * @param slots - x modulo t; overwritten
 * @param masks - over the cohort
 */
export async function contributionVector(
  arithmetic: Arithmetic,
  slots: Float64Array,
  { key, occasion, masks }: { readonly key: OwnKey; readonly occasion: Uint8Array; readonly masks: readonly Mask[] },
): Promise<Uint8Array> {
  try {
    return await packedVector(arithmetic, Math.ceil(slots.length / DEGREE), (k) => {
      const block = slots.subarray(k * DEGREE, (k + 1) * DEGREE);
      arithmetic.slots.mask(block, masks);
      return key.encrypt(block, commonPolynomial(arithmetic.ring, occasion, k));
    });
  } finally {
    slots.fill(0);
  }
}

/**
 * a·(share of Σ s) + t·E + masks: a share of opening, E fresh flooding noise.
 *
 * @param share - of the cohort's keys, times λ; overwritten
 * @param masks - over the openers
 */
export async function openingVector(
  arithmetic: Arithmetic,
  polynomials: number,
  {
    share,
    occasion,
    masks,
  }: { readonly share: Polynomial; readonly occasion: Uint8Array; readonly masks: readonly Mask[] },
): Promise<Uint8Array> {
  const { ring, profile } = arithmetic;
  const timesT = integer(BigInt(profile.slots.value), profile.ring);
  const random = secureRandom();
  try {
    return await packedVector(arithmetic, polynomials, (k) => {
      const opening = zero();
      const noise = flooding(random, profile);
      ring.toNtt(noise);
      ring.multiplyAdd(opening, noise, timesT);
      noise.fill(0);
      ring.multiplyAdd(opening, commonPolynomial(ring, occasion, k), share);
      ring.mask(opening, masks);
      return opening;
    });
  } finally {
    share.fill(0);
  }
}

async function packedVector(
  { ring, profile }: Arithmetic,
  polynomials: number,
  make: (index: number) => Polynomial,
): Promise<Uint8Array> {
  const bytes = packedBytes(profile.ring);
  const vector = new Uint8Array(bytes * polynomials);
  for (let k = 0; k < polynomials; k++) {
    ring.pack(make(k), vector, k * bytes);
    if (k % AT_ONCE === AT_ONCE - 1) await setImmediate();
  }
  return vector;
}
