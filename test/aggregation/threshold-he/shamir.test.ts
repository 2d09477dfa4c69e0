import { describe, expect, test } from 'vitest';
import { DEGREE, PRIMES } from '../../../aggregation/threshold-he/parameters.ts';
import { addInto, constant, noResidues, type Residues, uniform } from '../../../aggregation/threshold-he/residues.ts';
import { bgv } from '../../../aggregation/threshold-he/seal.ts';
import { deal, lagrangeAtZero } from '../../../aggregation/threshold-he/shamir.ts';
import { secureRandom } from '../../../privacy/random.ts';

const random = secureRandom();
const at = (residues: Residues, prime: number, i: number): bigint => {
  const word = 2 * (prime * DEGREE + i);
  return BigInt(residues[word]!) | (BigInt(residues[word + 1]!) << 32n);
};

/** `uniform` draws from this what a test has laid ready. */
function laidReady(polynomials: readonly Residues[]) {
  let next = 0;
  return { fill: (words: Uint32Array) => words.set(polynomials[next++]!) };
}

describe('dealing a key', () => {
  test('evaluates like big integers, for every residue, up to x = 64', () => {
    const largest = constant([PRIMES[0].value - 1n, PRIMES[1].value - 1n]);
    for (const hiding of [
      [uniform(random), uniform(random), uniform(random)],
      [largest, largest, largest],
      [noResidues()],
    ]) {
      for (const secret of [uniform(random), largest]) {
        const xs = [1, 2, 3, 33, 63, 64];
        const shares = deal(secret, hiding.length + 1, xs, laidReady(hiding.map((one) => one.slice())));
        xs.forEach((x, j) => {
          PRIMES.forEach(({ value: q }, prime) => {
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
  ])('gives $members shares of which any $threshold are the secret', async ({ threshold, members }) => {
    const { multiply } = await bgv();
    const secret = uniform(random);
    const xs = Array.from({ length: members }, (_, i) => i + 1);
    const shares = deal(secret, threshold, xs, random);
    for (const chosen of [xs.slice(0, threshold), xs.slice(-threshold), xs.filter((x) => x % 2).slice(0, threshold)]) {
      const sum = noResidues();
      for (const x of chosen) addInto(sum, multiply(shares[x - 1]!, constant(lagrangeAtZero(x, chosen))));
      if (chosen.length === threshold) expect(sum).toEqual(secret);
      else expect(sum).not.toEqual(secret);
    }
  });

  test('leaves no share equal to the secret or to another', () => {
    const secret = uniform(random);
    const shares = deal(secret, 2, [1, 2, 3], random);
    expect(new Set([secret, ...shares].map((one) => one.slice(0, 4).join())).size).toBe(4);
  });

  test('refuses x where the arithmetic would not be exact, or would be the secret itself', () => {
    for (const x of [0, 65, 1.5, -1]) expect(() => deal(noResidues(), 2, [x], random)).toThrow(RangeError);
  });
});
