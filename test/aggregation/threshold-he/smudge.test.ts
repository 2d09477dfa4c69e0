import { describe, expect, test } from 'vitest';
import { DEGREE, type Ring } from '../../../aggregation/kernels/rings.ts';
import { CLASSICAL, QUANTUM } from '../../../aggregation/threshold-he/parameters.ts';
import type { Polynomial } from '../../../aggregation/threshold-he/polynomial.ts';
import { flooding, fromIntegers } from '../../../aggregation/threshold-he/smudge.ts';
import type { RandomSource } from '../../../privacy/random.ts';
import { secureRandom } from '../../../privacy/random.ts';
import { chiSquareOfFlooding } from './flooding-statistics.ts';

const PROFILES = [
  ['in the ring of 105 bits', CLASSICAL],
  ['in that of 101 bits', QUANTUM],
] as const;

const at = (polynomial: Polynomial, prime: number, i: number): bigint => {
  const word = 2 * (prime * DEGREE + i);
  return BigInt(polynomial[word]!) | (BigInt(polynomial[word + 1]!) << 32n);
};
/** The larger prime holds every one of them whole. */
const integersIn = (polynomial: Polynomial, { primes }: Ring): bigint[] => {
  const q1 = primes[1]!.value;
  return Array.from({ length: DEGREE }, (_, i) => {
    const value = at(polynomial, 1, i);
    return value > q1 / 2n ? value - q1 : value;
  });
};
const replay = (next: () => number): RandomSource => ({
  kind: 'replay',
  fill(words) {
    for (const i of words.keys()) words[i] = next();
  },
});

describe.each(PROFILES)('integers as residues, %s', (_, { ring }) => {
  test('are exact up to 2^52, both signs, and at every multiple of a prime', () => {
    const q0 = Number(ring.primes[0]!.value);
    const multiples = Array.from({ length: 130 }, (_, k) => k * q0).flatMap((one) => [one - 1, one, one + 1]);
    const edges = [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 47, 2 ** 52 - 1, ...multiples]
      .filter((value) => Math.abs(value) < 2 ** 52)
      .flatMap((value) => [value, -value]);
    const integers = new Float64Array(DEGREE).map(
      (_, i) => edges[i] ?? Math.round((Math.random() - 0.5) * (2 ** 53 - 2)),
    );
    const residues = fromIntegers(integers, ring);
    integers.forEach((value, i) => {
      ring.primes.forEach(({ value: q }, prime) => {
        if (at(residues, prime, i) !== ((BigInt(value) % q) + q) % q) throw new Error(`${value} modulo ${q}`);
      });
    });
  });
});

describe.each(PROFILES)('flooding noise, %s', (_, profile) => {
  const { ring, floodingBits } = profile;
  const integersOf = (polynomial: Polynomial): bigint[] => integersIn(polynomial, ring);
  test('is three numbers of 49 bits (47) each, less 3·σ, in either prime', () => {
    let word = 0;
    const drawn: number[] = [];
    const noise = flooding(
      replay(() => {
        word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0;
        drawn.push(word);
        return word;
      }),
      profile,
    );
    const values = integersOf(noise);
    for (let i = 0; i < DEGREE; i++) {
      const [a, b, c, d, e, f] = drawn.slice(6 * i, 6 * i + 6).map(BigInt) as [
        bigint,
        bigint,
        bigint,
        bigint,
        bigint,
        bigint,
      ];
      const unused = BigInt(63 - floodingBits);
      const three = [((d >> unused) << 32n) + a, ((e >> unused) << 32n) + b, ((f >> unused) << 32n) + c];
      const expected = three.reduce((sum, one) => sum + one) - 3n * 2n ** BigInt(floodingBits);
      if (values[i] !== expected) throw new Error(`coefficient ${i}`);
      const q0 = ring.primes[0]!.value;
      if (at(noise, 0, i) !== ((expected % q0) + q0) % q0) throw new Error(`coefficient ${i} modulo q₀`);
    }
  });

  test('never goes beyond ±3·σ: 64 of them, and 200 vectors with their errors, still decode', () => {
    const most = 3n * 2n ** BigInt(floodingBits);
    expect(
      new Set(
        integersOf(
          flooding(
            replay(() => 0),
            profile,
          ),
        ),
      ),
    ).toEqual(new Set([-most]));
    expect(
      new Set(
        integersOf(
          flooding(
            replay(() => 0xffff_ffff),
            profile,
          ),
        ),
      ),
    ).toEqual(new Set([most - 3n]));
    const t = BigInt(profile.slots.value);
    const q = ring.primes.reduce((product, { value }) => product * value, 1n);
    expect(t / 2n + t * (64n * most + 200n * 21n) < q / 2n).toBe(true);
  });

  test('has the distribution stated: σ = 2^48 (2^46), no other and no narrower one', () => {
    const values = Array.from({ length: 8 }, () => integersOf(flooding(secureRandom(), profile))).flat();
    expect(chiSquareOfFlooding(values, 2 * 2 ** floodingBits)).toBeLessThan(80);
    const variance = values.reduce((sum, value) => sum + Number(value) ** 2, 0) / values.length;
    expect(Math.abs(Math.sqrt(variance) / 2 ** floodingBits - 1)).toBeLessThan(0.02);
    expect(
      chiSquareOfFlooding(
        values.map((value) => (value * 15n) / 16n),
        2 * 2 ** floodingBits,
      ),
    ).toBeGreaterThan(200); // control
  });

  test('has no gaps: the low bits are as uniform as those of an integer that wide', () => {
    const values = Array.from({ length: 8 }, () => integersOf(flooding(secureRandom(), profile))).flat();
    for (const [modulus, count] of [
      [3n, 3],
      [16n, 8],
      [2n ** 18n, 8],
    ] as const) {
      const bins = new Array<number>(count).fill(0);
      for (const value of values) {
        const low = ((value % modulus) + modulus) % modulus;
        bins[Number((low * BigInt(count)) / modulus)]!++;
      }
      const expected = values.length / count;
      const chi = bins.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
      expect(chi).toBeLessThan(45); // 7 degrees of freedom: exceeded once in 10⁷
    }
  });
});

// the bound that its docstring and SECURITY.md count with, in full for widths that can be written out
test('flooding moves by s and stays within s²·J/2 of itself, J → 1.1405/w²', () => {
  const constants = [64, 128].map((width) => {
    const p = probabilities(width);
    const root = (x: number) => Math.sqrt(p[x] ?? 0);
    const distance = (shift: number) => {
      let sum = 0;
      for (let x = 0; x < p.length + shift; x++) sum += (root(x) - root(x - shift)) ** 2;
      return sum / 2;
    };
    const j = 2 * distance(1);
    for (const shift of [2, 3, width / 8, width / 2, width]) {
      expect(distance(shift)).toBeLessThanOrEqual((shift ** 2 * j) / 2);
      expect(distance(shift)).toBeGreaterThan((shift ** 2 * j) / 5); // and it is no idle bound
    }
    return j * width ** 2;
  });
  const [narrow, wide] = constants as [number, number];
  expect(2 * wide - narrow).toBeCloseTo(1.1405, 3); // without the term in 1/w³
  expect(1.1405 / 2 / 4).toBeLessThan(0.143); // as w = 2σ
});

/** Of a sum of three numbers uniform below `width`. */
function probabilities(width: number): number[] {
  const p = new Array<number>(3 * width - 2).fill(0);
  for (let a = 0; a < width; a++)
    for (let b = 0; b < width; b++) for (let c = 0; c < width; c++) p[a + b + c]! += width ** -3;
  return p;
}
