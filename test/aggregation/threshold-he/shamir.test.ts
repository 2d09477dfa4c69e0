import { randomFillSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { ByteSource } from '../../../aggregation/kernels/kernels.ts';
import { DEGREE, HE_RING } from '../../../aggregation/kernels/rings.ts';
import { constant, type Polynomial, zero } from '../../../aggregation/threshold-he/polynomial.ts';
import { deal, lagrangeAtZero } from '../../../aggregation/threshold-he/shamir.ts';
import { product, ring, total } from './insiders.ts';

const random: ByteSource = { fill: (bytes) => void randomFillSync(bytes) };
const uniform = (): Polynomial => ring.uniform(random);
const at = (polynomial: Polynomial, prime: number, i: number): bigint => {
  const word = 2 * (prime * DEGREE + i);
  return BigInt(polynomial[word]!) | (BigInt(polynomial[word + 1]!) << 32n);
};

/** What is drawn from this, in order. */
function laidReady(polynomials: readonly Polynomial[]): ByteSource {
  let next = 0;
  return { fill: (bytes) => bytes.set(new Uint8Array(polynomials[next++]!.slice().buffer)) };
}

describe('dealing a key', () => {
  test('evaluates like big integers, for every residue, up to x = 200', () => {
    const largest = constant(HE_RING.primes.map(({ value }) => value - 1n));
    for (const hiding of [[uniform(), uniform(), uniform()], [largest, largest, largest], [zero()]]) {
      for (const secret of [uniform(), largest]) {
        const xs = [1, 2, 3, 64, 199, 200];
        const shares = deal(ring, secret, { threshold: hiding.length + 1, xs, random: laidReady(hiding) });
        xs.forEach((x, j) => {
          HE_RING.primes.forEach(({ value: q }, prime) => {
            for (let i = 0; i < DEGREE; i += 17) {
              const coefficients = [secret, ...hiding].map((one) => at(one, prime, i));
              const expected = coefficients.reduceRight((f, c) => (f * BigInt(x) + c) % q, 0n);
              if (at(shares[j]!, prime, i) !== expected) throw new Error(`x = ${x}, residue ${i} of prime ${prime}`);
            }
          });
        });
      }
    }
  });

  test.each([
    { threshold: 2, members: 3 },
    { threshold: 4, members: 5 },
    { threshold: 33, members: 64 },
  ])('gives $members shares of which any $threshold are the secret', ({ threshold, members }) => {
    const secret = uniform();
    const xs = Array.from({ length: members }, (_, i) => i + 1);
    const shares = deal(ring, secret, { threshold, xs, random });
    for (const chosen of [xs.slice(0, threshold), xs.slice(-threshold), xs.filter((x) => x % 2).slice(0, threshold)]) {
      const sum = total(chosen.map((x) => product(shares[x - 1]!, constant(lagrangeAtZero(x, chosen, HE_RING)))));
      if (chosen.length === threshold) expect(sum).toEqual(secret);
      else expect(sum).not.toEqual(secret);
    }
  });

  test('overwrites what hides the secret', () => {
    const drawn: Uint32Array[] = [];
    const watched = { ...ring, uniform: (source: ByteSource) => drawn[drawn.push(ring.uniform(source)) - 1]! };
    deal(watched, uniform(), { threshold: 3, xs: [1, 2, 3], random });
    expect(drawn).toEqual([zero(), zero()]);
  });

  test('leaves no share equal to the secret or to another', () => {
    const secret = uniform();
    const shares = deal(ring, secret, { threshold: 2, xs: [1, 2, 3], random });
    expect(new Set([secret, ...shares].map((one) => one.slice(0, 4).join())).size).toBe(4);
  });

  test('refuses x where the arithmetic would not be exact, or would be the secret itself', () => {
    for (const x of [0, 201, 1.5, -1])
      expect(() => deal(ring, zero(), { threshold: 2, xs: [x], random })).toThrow(RangeError);
  });
});
