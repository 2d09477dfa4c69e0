import { createCipheriv } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { MASK_RING } from '../../../aggregation/kernels/rings.ts';
import { type OneTimeKey, oneTimeKey, smallPolynomial } from '../../../aggregation/lattice-mask/one-time-key.ts';
import { LARGEST_IN_KEY } from '../../../aggregation/lattice-mask/parameters.ts';
import { secureRandom } from '../../../privacy/random.ts';
import { chiSquareZ } from '../../privacy/statistics.ts';
import { BOTH, bytesOf, polynomialOf } from '../kernels/both.ts';

const [kernels] = BOTH as [(typeof BOTH)[number]];
const seed = bytesOf(32, 'seed');
/** Hands out the seed, once. */
const fixed = () => {
  let asked = 0;
  return {
    fill(words: Uint32Array) {
      if (asked++ > 0) throw new Error('asked for more than a seed');
      words.set(new Uint32Array(seed.slice().buffer));
    },
  };
};

/** Coefficients as the documents define them: ones among 42 bits less ones among 42 others, from AES-256 in counter mode. */
function drawnByHand(polynomials: number): number[][] {
  const stream = createCipheriv('aes-256-ctr', seed, new Uint8Array(16)).update(new Uint8Array(polynomials * 65_536));
  const ones = (at: number) =>
    [...(stream.readBigUInt64LE(at) & 0x3ffffffffffn).toString(2)].filter((bit) => bit === '1').length;
  return Array.from({ length: polynomials }, (_, k) =>
    Array.from({ length: 4096 }, (_, i) => ones(65_536 * k + 16 * i) - ones(65_536 * k + 16 * i + 8)),
  );
}

const errorsOf = (key: OneTimeKey): number[] => {
  const errors = new Int8Array(4096);
  key.drawErrors(errors);
  return [...errors];
};

describe('a one-time key', () => {
  test('is, with its errors, one key stream under 32 bytes of the random source', () => {
    const [key, first, second] = drawnByHand(3);
    for (const one of BOTH) {
      const drawn = oneTimeKey(one, fixed());
      expect([...drawn.coefficients]).toEqual(key);
      expect([errorsOf(drawn), errorsOf(drawn)]).toEqual([first, second]);
    }
  });

  test('in NTT form is the same key', () => {
    for (const one of BOTH) {
      const { coefficients, transformed } = oneTimeKey(one, fixed());
      const back = transformed.slice();
      one.maskRing.fromNtt(back);
      expect(back).toEqual(
        polynomialOf(MASK_RING, (prime, i) => {
          const q = MASK_RING.primes[prime]!.value;
          return (BigInt(coefficients[i]!) + q) % q;
        }),
      );
    }
  });

  test('and its errors are centred binomial, σ = √21, and unlike every other', () => {
    const pmf = new Float64Array(85).fill(2 ** -84); // C(84, k) / 2^84
    for (let k = 1; k < 85; k++) pmf[k] = (pmf[k - 1]! * (85 - k)) / k;
    const drawn: number[][] = [];
    for (let n = 0; n < 8; n++) {
      const key = oneTimeKey(kernels, secureRandom());
      drawn.push([...key.coefficients], errorsOf(key), errorsOf(key));
    }
    expect(chiSquareZ(drawn.flat(), pmf)).toBeLessThan(6); // p > 1e-9
    for (const [i, one] of drawn.entries())
      for (const other of drawn.slice(0, i)) {
        const product = one.reduce((sum, x, k) => sum + x * other[k]!, 0);
        expect(Math.abs(product / (21 * Math.sqrt(4096)))).toBeLessThan(7); // correlation · √n, p > 1e-11
      }
    expect(Math.max(...drawn.flat().map(Math.abs))).toBeLessThanOrEqual(LARGEST_IN_KEY);
  });

  test('is overwritten when it is forgotten, and its seed at once', () => {
    const seen: Uint32Array[] = [];
    const random = secureRandom();
    const watched = {
      fill(words: Uint32Array) {
        random.fill(words);
        seen.push(words);
      },
    };
    const key = oneTimeKey(kernels, watched);
    expect(seen).toHaveLength(1);
    expect(seen[0]).toEqual(new Uint32Array(8));
    expect(key.coefficients.some((coefficient) => coefficient !== 0)).toBe(true);
    key.forget();
    expect(key.coefficients.every((coefficient) => coefficient === 0)).toBe(true);
    expect(key.transformed.every((residue) => residue === 0)).toBe(true);
  });
});

test('a small polynomial holds every sum of keys of 200 tenants', () => {
  const coefficients = Float64Array.from(
    { length: 4096 },
    (_, i) => [8400, -8400, 0, 2 ** 22 - 1, 1 - 2 ** 22][i % 5]!,
  );
  for (const one of BOTH) {
    const polynomial = smallPolynomial(one, coefficients);
    one.maskRing.fromNtt(polynomial);
    expect(polynomial).toEqual(
      polynomialOf(MASK_RING, (prime, i) => {
        const q = MASK_RING.primes[prime]!.value;
        return (BigInt(coefficients[i]!) + q) % q;
      }),
    );
  }
});
