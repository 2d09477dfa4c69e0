import { beforeAll, describe, expect, test } from 'vitest';
import { DEGREE, MASK_RING, POLYNOMIAL_WORDS } from '../../../aggregation/kernels/rings.ts';
import { commonPolynomials } from '../../../aggregation/lattice-mask/common-polynomials.ts';
import { BOTH, bytesOf, polynomialOf, residue } from '../kernels/both.ts';
import {
  chosenKey,
  encrypted,
  laneValues,
  OCCASION,
  ofIntegers,
  plaintext,
  smallIntegers,
  unpacked,
} from './encryption.ts';
import { type SealRings, sealRings } from './seal-rings.ts';

const errorsOf = (index: number): Int8Array => smallIntegers(`errors of ${index}`);

describe.each([23, 46] as const)('b = a·s + t·e + m, with lanes of %i bits', (bits) => {
  const length = 2 * polynomialValues(bits) + 7; // two polynomials, and a bit of a third
  const values = laneValues(bits, length, 'values');

  describe('next to Microsoft SEAL', () => {
    let seal: SealRings;
    beforeAll(async () => {
      seal = await sealRings();
    });

    test('is what SEAL computes of the same a, s, e and m', async () => {
      const secret = smallIntegers('key');
      for (const kernels of BOTH) {
        const key = chosenKey(kernels, Float64Array.from(secret), errorsOf);
        const ciphertext = await encrypted(kernels, values, bits, key);
        const common = commonPolynomials(kernels.maskRing, OCCASION);
        const s = seal.toNtt(ofIntegers((i) => BigInt(secret[i]!)));
        for (const index of [0, 1, 2]) {
          const product = seal.multiply(common(index), s);
          const m = seal.toNtt(plaintext(values, bits, errorsOf(index), index));
          expect(unpacked(kernels, ciphertext, index)).toEqual(sumOf(product, m));
        }
      }
    }, 120_000);
  });

  test('is a schoolbook product modulo X^4096 + 1', async () => {
    const places = new DataView(bytesOf(64, 'places').buffer);
    const sparse = new Map([
      [0, 42],
      [1, -42],
      [DEGREE - 1, 41],
    ]);
    for (let k = 0; k < 16; k++) sparse.set(places.getUint16(2 * k) % DEGREE, (places.getUint8(40 + k) % 85) - 42);
    const coefficients = Float64Array.from({ length: DEGREE }, (_, i) => sparse.get(i) ?? 0);
    for (const kernels of BOTH) {
      const ciphertext = await encrypted(kernels, values, bits, chosenKey(kernels, coefficients, errorsOf));
      for (const index of [0, 2]) {
        const a = commonPolynomials(kernels.maskRing, OCCASION)(index);
        kernels.maskRing.fromNtt(a);
        const b = unpacked(kernels, ciphertext, index);
        kernels.maskRing.fromNtt(b);
        const m = plaintext(values, bits, errorsOf(index), index);
        const expected = polynomialOf(MASK_RING, (prime, i) => {
          const q = MASK_RING.primes[prime]!.value;
          let sum = residue(m, MASK_RING, prime, i);
          for (const [k, s] of sparse)
            sum += BigInt(i >= k ? s : -s) * residue(a, MASK_RING, prime, (i - k + DEGREE) % DEGREE);
          return ((sum % q) + q) % q;
        });
        expect(b).toEqual(expected);
      }
    }
  });

  test('takes no more than 54,272 bytes a polynomial, and the last one is padded with zeros', async () => {
    const [kernels] = [BOTH[0]!];
    const noKey = chosenKey(kernels, new Float64Array(DEGREE), () => new Int8Array(DEGREE));
    const ciphertext = await encrypted(kernels, values, bits, noKey);
    expect(ciphertext.length).toBe(3 * 54_272);
    const last = unpacked(kernels, ciphertext, 2);
    kernels.maskRing.fromNtt(last);
    expect(last).toEqual(plaintext(values, bits, new Int8Array(DEGREE), 2));
  });

  test('refuses what is no integer in its lane, and has no room to overflow into', async () => {
    for (const kernels of BOTH) {
      const key = chosenKey(kernels, new Float64Array(DEGREE), errorsOf);
      for (const bad of [2 ** (bits - 1), -(2 ** (bits - 1)), 0.5, Number.NaN]) {
        await expect(encrypted(kernels, values.with(length - 1, bad), bits, key)).rejects.toThrow(RangeError);
      }
    }
  });

  test('lets the event loop turn', async () => {
    const [kernels] = [BOTH[0]!];
    const key = chosenKey(kernels, new Float64Array(DEGREE), () => new Int8Array(DEGREE));
    const long = new Float64Array(60 * polynomialValues(bits));
    let turns = 0;
    const turn = (): void => {
      turns++;
      again = setImmediate(turn);
    };
    let again = setImmediate(turn);
    await encrypted(kernels, long, bits, key);
    clearImmediate(again);
    expect(turns).toBeGreaterThanOrEqual(3);
  });
});

function polynomialValues(bits: 23 | 46): number {
  return (4 * DEGREE * 23) / bits;
}

function sumOf(a: Uint32Array, b: Uint32Array): Uint32Array {
  const q = (i: number) => Number(MASK_RING.primes[Math.floor(i / DEGREE)]!.value);
  return Uint32Array.from({ length: POLYNOMIAL_WORDS }, (_, i) => (a[i]! + b[i]!) % q(i));
}
