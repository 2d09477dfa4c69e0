import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Kernels } from '../../../aggregation/kernels/kernels.ts';
import { largestInLane } from '../../../aggregation/kernels/lanes.ts';
import { latticeCover, latticeFacts } from '../../../aggregation/lattice-mask/cover.ts';
import { decryptSum } from '../../../aggregation/lattice-mask/decrypt-sum.ts';
import { KEY_BYTES, LARGEST_IN_KEY, POLYNOMIAL_BYTES } from '../../../aggregation/lattice-mask/parameters.ts';
import type { MaskKey, Occasion } from '../../../aggregation/masking/cover.ts';
import { ProtocolBroken, type StoredVector, type SumShape, type TenantId } from '../../../aggregation/secure-sum.ts';
import { inMemory } from '../../../aggregation/stored-vector.ts';
import { secureRandom } from '../../../privacy/random.ts';
import { noised } from '../../contracts/secure-sum-driver.ts';
import { wasm } from '../kernels/both.ts';

const random = secureRandom();
const cover = latticeCover(wasm, random);
const shapeOf = (dimension: number, maxMagnitude: number): SumShape => ({
  ...{ dimension, maxMagnitude },
  ...{ tenants: 3, threshold: 2, minCohort: 2, colluders: 0 },
});
const occasionOf = (dimension: number, maxMagnitude: number): Occasion => ({
  identity: new Uint8Array(randomBytes(32)),
  shape: shapeOf(dimension, maxMagnitude),
});
const stored = (...vectors: readonly Uint8Array[]): Map<TenantId, StoredVector> =>
  new Map(vectors.map((bytes, i) => [`tenant-${i}`, inMemory(bytes)]));
const maskOf = (fill: number, sign: 1 | -1): MaskKey => ({ key: new Uint8Array(16).fill(fill), sign });
/** The key that a vector hides under no mask. */
const keyIn = (vector: Uint8Array): Float64Array => {
  const key = new Float64Array(4096);
  wasm.words.decode(32, vector.subarray(0, KEY_BYTES), key);
  return key;
};
const same = (a: Float64Array, b: Float64Array): number => a.filter((value, i) => value === b[i]).length;

describe.each([23, 46] as const)('in lanes of %i bits', (bits) => {
  const most = largestInLane(bits);

  test('what is hidden adds up, once what is left of the masks is taken out', async () => {
    const summand = fc
      .maxSafeInteger()
      .map((n) => n % (Math.floor(most / 3) + 1))
      .map((n) => n + 0);
    const rows = fc.array(fc.array(summand, { minLength: 5, maxLength: 5 }), { minLength: 3, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(rows, async (values) => {
        const occasion = occasionOf(5, most);
        const masks = [[maskOf(1, 1), maskOf(2, 1)], [maskOf(1, -1), maskOf(3, -1)], [maskOf(4, 1)]];
        const hidden = await Promise.all(values.map((row, i) => cover.hide(noised(row), masks[i]!, occasion)));
        for (const vector of hidden) expect(cover.malformed(inMemory(vector), occasion.shape)).toBeUndefined();
        const left = [maskOf(2, -1), maskOf(3, 1), maskOf(4, -1)];
        const sum = await cover.sum(stored(...hidden), left, occasion);
        expect([...sum]).toEqual([0, 1, 2, 3, 4].map((k) => values.reduce((total, row) => total + row[k]!, 0)));
      }),
      { numRuns: 30 },
    );
  });

  test('a vector is its key under masks, 16 KiB, and its values encrypted under that key', async () => {
    const values = noised([most, -most, 0, 1]);
    const occasion = occasionOf(4, most);
    const bare = await cover.hide(values, [], occasion);
    expect(bare).toHaveLength(16_384 + 54_272);
    expect(Math.max(...keyIn(bare).map(Math.abs))).toBeLessThanOrEqual(LARGEST_IN_KEY);
    const opened = await decryptSum(wasm, {
      ...{ bits, dimension: 4, occasion: occasion.identity },
      ...{ ciphertexts: stored(bare), from: KEY_BYTES, keySum: keyIn(bare) },
    });
    expect(opened).toEqual(values);
  });

  test('its budget names the lanes, and the last sum that fits', () => {
    const { available, explanation } = latticeFacts.budget(shapeOf(1, most));
    expect(available).toBe(Math.log2(2 * most + 1));
    expect(explanation).toBe(
      `sums up to ±${most} fit lanes of ${bits} bits, ${bits === 23 ? 3.3125 : 6.625} bytes a value`,
    );
    expect(latticeFacts.largest(shapeOf(1, most))).toBe(most);
    expect(latticeFacts.vectorBytes(shapeOf((4 * 4096 * 23) / bits, most))).toBe(KEY_BYTES + POLYNOMIAL_BYTES);
    expect(latticeFacts.vectorBytes(shapeOf((4 * 4096 * 23) / bits + 1, most))).toBe(KEY_BYTES + 2 * POLYNOMIAL_BYTES);
  });
});

test('sums beyond the widest lane are refused when the plan is made', () => {
  const { needed, available, explanation } = latticeFacts.budget(shapeOf(1, 2 ** 45));
  expect(needed).toBeGreaterThan(available);
  expect(explanation).toMatch(/do not fit lanes of ±35184372088831: use a coarser grid/);
});

describe('a key', () => {
  const occasion = occasionOf(16_384, 1000);
  const zeros = noised(new Float64Array(16_384));

  test('is another for every vector, even of the same values on the same occasion', async () => {
    const [one, other] = [await cover.hide(zeros, [], occasion), await cover.hide(zeros, [], occasion)];
    expect(same(keyIn(one), keyIn(other))).toBeLessThan(500); // of 4096: of σ = 4.6 one in 16
    expect(one.filter((byte, i) => i >= KEY_BYTES && byte === other[i]).length).toBeLessThan(500); // of 54,272
  });

  test('that hid two vectors would show their difference to everybody: so it hides one', async () => {
    const values = noised(zeros.map((_, i) => (i % 2000) - 1000));
    const difference = async (randomness: () => Parameters<typeof latticeCover>[1]) => {
      const [one, other] = [
        await latticeCover(wasm, randomness()).hide(values, [maskOf(1, 1)], occasion),
        await latticeCover(wasm, randomness()).hide(zeros, [maskOf(2, 1)], occasion),
      ];
      const [a, b] = [one, other].map((vector) => wasm.maskRing.unpack(vector.subarray(KEY_BYTES))!);
      wasm.maskRing.subtract(a!, b!);
      wasm.maskRing.fromNtt(a!);
      const read = new Float64Array(values.length);
      wasm.lattice.decode(a!, 23, read);
      return same(read, values);
    };
    const repeating = () => ({ fill: (words: Uint32Array) => void words.fill(7) });
    expect(await difference(repeating)).toBe(values.length);
    expect(await difference(() => random)).toBeLessThan(10);
  });

  test('is drawn from 32 fresh bytes, and overwritten before the vector leaves, or nothing does', async () => {
    let asked = 0;
    let key: Float64Array = new Float64Array(0);
    const counted = {
      fill(words: Uint32Array) {
        asked += words.length;
        random.fill(words);
      },
    };
    const watching: Kernels = {
      ...wasm,
      words: {
        ...wasm.words,
        encode(bits, values, into) {
          key = values;
          expect(values.some((value) => value !== 0)).toBe(true);
          wasm.words.encode(bits, values, into);
        },
      },
    };
    await latticeCover(watching, counted).hide(zeros, [maskOf(1, 1)], occasion);
    expect(asked).toBe(8);
    expect(key).toEqual(new Float64Array(4096));
    const broken = (function* (): Iterable<MaskKey> {
      yield maskOf(1, 1);
      throw new ProtocolBroken('no more masks');
    })();
    key = new Float64Array(0);
    await expect(latticeCover(watching, counted).hide(zeros, broken, occasion)).rejects.toThrow('no more masks');
    expect(asked).toBe(16);
    expect(key).toEqual(new Float64Array(4096));
  });

  test('may be any words under their masks; with the masks off, a sum of keys is small', async () => {
    const vector = await cover.hide(noised([1, 2, 3]), [], occasionOf(3, 1000));
    const [here, shape] = [occasionOf(3, 1000), shapeOf(3, 1000)];
    const withKey = (coefficient: number, count: number) => {
      const changed = vector.slice();
      wasm.words.encode(32, new Float64Array(4096).fill(coefficient), changed.subarray(0, KEY_BYTES));
      expect(cover.malformed(inMemory(changed), shape)).toBeUndefined();
      return cover.sum(stored(...Array.from({ length: count }, () => changed)), [], here);
    };
    const none = /what the masks leave is no sum of keys/;
    for (const count of [1, 3])
      for (const sign of [1, -1]) {
        await expect(withKey(sign * 43, count)).rejects.toThrow(none);
        expect(await withKey(sign * 42, count)).toHaveLength(3); // whatever they are
      }
    await expect(cover.sum(stored(vector), [maskOf(1, -1)], here)).rejects.toThrow(none);
  });
});

describe('what arrives is refused', () => {
  const occasion = occasionOf(20_000, 1000); // two polynomials
  const bitsWide: [number, number][] = [
    [0, 27],
    [1, 27],
    [2, 26],
    [3, 26],
  ];

  test.each(bitsWide)('with a residue modulo prime %i that is not below it', async (prime, bits) => {
    const vector = await cover.hide(noised(new Float64Array(20_000)), [], occasion);
    const { gap } = wasm.maskRing.ring.primes[prime]!;
    for (const polynomial of [0, 1]) {
      const at = KEY_BYTES + polynomial * POLYNOMIAL_BYTES;
      const residues = wasm.maskRing.unpack(vector.subarray(at, at + POLYNOMIAL_BYTES))!;
      const write = (value: number): StoredVector => {
        const bytes = vector.slice();
        residues[4096 * prime + 4095] = value;
        wasm.maskRing.pack(residues, bytes, at);
        return inMemory(bytes);
      };
      expect(cover.malformed(write(2 ** bits - gap - 1), occasion.shape)).toBeUndefined();
      expect(cover.malformed(write(2 ** bits - gap), occasion.shape)).toBe('a residue is not below its prime');
      expect(cover.malformed(write(2 ** bits - 1), occasion.shape)).toBe('a residue is not below its prime');
    }
  });
});

describe('a sum', () => {
  test('is none with a vector of another occasion', async () => {
    const here = occasionOf(200, 1000);
    const elsewhere = { ...here, identity: here.identity.map((byte) => byte ^ 1) };
    const zeros = noised(new Float64Array(200));
    const both = stored(await cover.hide(zeros, [], here), await cover.hide(zeros, [], elsewhere));
    for (const occasion of [here, elsewhere]) {
      const sum = await cover.sum(both, [], occasion);
      expect(sum.filter((value) => Math.abs(value) > 1000).length).toBeGreaterThan(195); // each is once in 4000
    }
  });

  test('is none when a lane overflows: both it and the lane above are wrong', async () => {
    const most = largestInLane(23);
    const here = occasionOf(2, most);
    const both = stored(await cover.hide(noised([most, 5]), [], here), await cover.hide(noised([1, 5]), [], here));
    expect([...(await cover.sum(both, [], here))]).toEqual([-most - 1, 11]);
  });
});
