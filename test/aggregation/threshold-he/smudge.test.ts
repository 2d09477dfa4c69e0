import { describe, expect, test } from 'vitest';
import { DEGREE, HE_RING } from '../../../aggregation/kernels/rings.ts';
import type { Polynomial } from '../../../aggregation/threshold-he/polynomial.ts';
import { flooding, fromIntegers } from '../../../aggregation/threshold-he/smudge.ts';
import { secureRandom } from '../../../privacy/random.ts';

const PRIMES = HE_RING.primes as [(typeof HE_RING.primes)[number], (typeof HE_RING.primes)[number]];
const at = (residues: Polynomial, prime: number, i: number): bigint => {
  const word = 2 * (prime * DEGREE + i);
  return BigInt(residues[word]!) | (BigInt(residues[word + 1]!) << 32n);
};
const centred = (residues: Polynomial, prime: number, i: number): bigint => {
  const value = at(residues, prime, i);
  return value > PRIMES[prime]!.value / 2n ? value - PRIMES[prime]!.value : value;
};

describe('integers as residues', () => {
  test('are exact up to 2^53, both signs, and at every multiple of a prime', () => {
    const q0 = Number(PRIMES[0].value);
    const edges = [
      0,
      1,
      2 ** 32,
      2 ** 47,
      2 ** 53,
      ...[1, 2, 3, 63, 64].flatMap((k) => [k * q0 - 1, k * q0, k * q0 + 1]),
    ]
      .filter((value) => value <= 2 ** 53)
      .flatMap((value) => [value, -value]);
    const random = Array.from({ length: 1000 }, () => Math.round((Math.random() - 0.5) * 2 ** 54));
    const integers = Float64Array.from([...edges, ...random]);
    const residues = fromIntegers(integers);
    integers.forEach((value, i) => {
      PRIMES.forEach(({ value: q }, prime) => {
        expect(at(residues, prime, i)).toBe(((BigInt(value) % q) + q) % q);
      });
    });
  });
});

describe('flooding noise', () => {
  const noise = Array.from({ length: 8 }, () => flooding(secureRandom()));
  const values = noise.flatMap((one) => Array.from({ length: DEGREE }, (_, i) => Number(centred(one, 1, i))));

  test('has σ = 2^48, centre 0 and the tails of a Gaussian', () => {
    const sigma = 2 ** 48;
    const n = values.length;
    const mean = values.reduce((sum, value) => sum + value, 0) / n;
    const variance = values.reduce((sum, value) => sum + value * value, 0) / n;
    expect(Math.abs(mean)).toBeLessThan((5 * sigma) / Math.sqrt(n));
    expect(Math.abs(Math.sqrt(variance) / sigma - 1)).toBeLessThan(5 / Math.sqrt(2 * n));
    const beyond = (k: number) => values.filter((value) => Math.abs(value) > k * sigma).length / n;
    expect(beyond(1)).toBeCloseTo(0.3173, 1);
    expect(Math.abs(beyond(2) - 0.0455)).toBeLessThan(0.006);
    expect(beyond(6)).toBe(0);
  });

  test('has no gaps: the low bits are as uniform as those of an integer that wide', () => {
    for (const [modulus, count] of [
      [3n, 3],
      [16n, 8],
      [2n ** 18n, 8],
    ] as const) {
      const bins = new Array<number>(count).fill(0);
      for (const one of noise) {
        for (let i = 0; i < DEGREE; i++) {
          const low = ((centred(one, 1, i) % modulus) + modulus) % modulus;
          bins[Number((low * BigInt(count)) / modulus)]!++;
        }
      }
      const expected = values.length / count;
      const chi = bins.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
      expect(chi).toBeLessThan(45); // 7 degrees of freedom: exceeded once in 10⁷
    }
  });

  test('is the same integer modulo both primes', () => {
    for (const one of noise) {
      for (let i = 0; i < DEGREE; i += 5) {
        const q = PRIMES[0].value;
        expect(at(one, 0, i)).toBe(((centred(one, 1, i) % q) + q) % q);
      }
    }
  });
});
