import { setImmediate } from 'node:timers/promises';
import type { Kernels } from '../kernels/kernels.ts';
import { type LatticeLaneBits, valuesPerPolynomial } from '../kernels/lanes.ts';
import { DEGREE } from '../kernels/rings.ts';
import { commonPolynomials } from './common-polynomials.ts';
import type { OneTimeKey } from './one-time-key.ts';
import { POLYNOMIAL_BYTES, polynomials } from './parameters.ts';

/** What hides a vector, and how its values lie in it. */
export interface Encryption {
  readonly bits: LatticeLaneBits;
  /** 32 bytes, the same for all whose vectors are added */
  readonly occasion: Uint8Array;
  /** used for these values and nothing else */
  readonly key: OneTimeKey;
}

/**
 * Writes b_j = a_j·s + t·e_j + m_j for each polynomial m_j of the values, packed, into `into`. Ciphertexts of one
 * occasion add up to one of the sum of the values under the sum of the keys.
 *
 * @param into - `POLYNOMIAL_BYTES` for each polynomial
 * @throws RangeError when a value is no integer within its lane
 */
export async function encrypt(
  { lattice, maskRing }: Kernels,
  values: Float64Array,
  { bits, occasion, key }: Encryption,
  into: Uint8Array,
): Promise<void> {
  const common = commonPolynomials(maskRing, occasion);
  const each = valuesPerPolynomial(bits);
  const errors = new Int8Array(DEGREE);
  try {
    for (let index = 0; index < polynomials(bits, values.length); index++) {
      if (index > 0 && index % AT_ONCE === 0) await setImmediate();
      key.drawErrors(errors);
      const polynomial = lattice.encode(values.subarray(index * each, (index + 1) * each), bits, errors);
      maskRing.toNtt(polynomial);
      maskRing.multiplyAdd(polynomial, common(index), key.transformed);
      maskRing.pack(polynomial, into, index * POLYNOMIAL_BYTES);
    }
  } finally {
    errors.fill(0);
  }
}

/** 1 MiB of ciphertext, a few milliseconds: then connections may answer their heartbeat. */
export const AT_ONCE: number = Math.floor(2 ** 20 / POLYNOMIAL_BYTES);
