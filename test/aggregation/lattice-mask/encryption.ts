import type { Kernels } from '../../../aggregation/kernels/kernels.ts';
import { type LatticeLaneBits, largestInLane } from '../../../aggregation/kernels/lanes.ts';
import { DEGREE, MASK_RING } from '../../../aggregation/kernels/rings.ts';
import { encrypt } from '../../../aggregation/lattice-mask/encrypt.ts';
import { type OneTimeKey, smallPolynomial } from '../../../aggregation/lattice-mask/one-time-key.ts';
import { POLYNOMIAL_BYTES, polynomials } from '../../../aggregation/lattice-mask/parameters.ts';
import { bytesOf, polynomialOf } from '../kernels/both.ts';

/** What the tests of encryption share: keys and values that are chosen, and what comes out of them. */
export const OCCASION: Uint8Array = bytesOf(32, 'occasion');

/** A key with these coefficients and errors. @param errors - of polynomial `index` */
export function chosenKey(
  kernels: Kernels,
  coefficients: Float64Array,
  errors: (index: number) => Int8Array,
): OneTimeKey {
  let index = 0;
  return {
    coefficients,
    transformed: smallPolynomial(kernels, coefficients),
    drawErrors: (into) => into.set(errors(index++)),
    forget() {},
  };
}

/** Within ±42, both ends often. */
export const smallIntegers = (seed: string): Int8Array =>
  Int8Array.from(bytesOf(DEGREE, seed), (byte) => (byte > 200 ? [42, -42, 0][byte % 3]! : (byte % 85) - 42));

/** Integers within the lane, both ends often. */
export function laneValues(
  bits: LatticeLaneBits,
  length: number,
  seed: string,
  largest = largestInLane(bits),
): Float64Array {
  const view = new DataView(bytesOf(8 * length, seed).buffer);
  return Float64Array.from({ length }, (_, i) => {
    const drawn = Number(view.getBigUint64(8 * i, true) % BigInt(2 * largest + 1)) - largest;
    return [largest, -largest, 0][view.getUint8(8 * i) % 12] ?? drawn;
  });
}

export async function encrypted(
  kernels: Kernels,
  values: Float64Array,
  bits: LatticeLaneBits,
  key: OneTimeKey,
  occasion: Uint8Array = OCCASION,
): Promise<Uint8Array> {
  const into = new Uint8Array(polynomials(bits, values.length) * POLYNOMIAL_BYTES);
  await encrypt(kernels, values, { bits, occasion, key }, into);
  return into;
}

export const unpacked = ({ maskRing }: Kernels, ciphertext: Uint8Array, index: number): Uint32Array =>
  maskRing.unpack(ciphertext.subarray(index * POLYNOMIAL_BYTES, (index + 1) * POLYNOMIAL_BYTES))!;

/** A polynomial whose coefficients are these integers. */
export const ofIntegers = (at: (i: number) => bigint): Uint32Array =>
  polynomialOf(MASK_RING, (prime, i) => {
    const q = MASK_RING.primes[prime]!.value;
    return ((at(i) % q) + q) % q;
  });

/** The coefficients m + t·e of polynomial `index`. */
export function plaintext(values: Float64Array, bits: LatticeLaneBits, errors: Int8Array, index: number): Uint32Array {
  const perCoefficient = 92 / bits;
  return ofIntegers((i) => {
    let sum = BigInt(errors[i]!) << 92n;
    for (let lane = 0; lane < perCoefficient; lane++) {
      const value = values[perCoefficient * (DEGREE * index + i) + lane] ?? 0;
      sum += BigInt(value) << BigInt(bits * lane);
    }
    return sum;
  });
}
