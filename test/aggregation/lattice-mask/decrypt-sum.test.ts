import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Kernels } from '../../../aggregation/kernels/kernels.ts';
import { type LatticeLaneBits, largestInLane } from '../../../aggregation/kernels/lanes.ts';
import { DEGREE } from '../../../aggregation/kernels/rings.ts';
import { arePolynomials, decryptSum, type EncryptedSum } from '../../../aggregation/lattice-mask/decrypt-sum.ts';
import { oneTimeKey } from '../../../aggregation/lattice-mask/one-time-key.ts';
import { LARGEST_IN_KEY, POLYNOMIAL_BYTES } from '../../../aggregation/lattice-mask/parameters.ts';
import { ProtocolBroken, type StoredVector } from '../../../aggregation/secure-sum.ts';
import { inMemory } from '../../../aggregation/stored-vector.ts';
import { secureRandom } from '../../../privacy/random.ts';
import { BOTH, bytesOf } from '../kernels/both.ts';
import { chosenKey, encrypted, laneValues, OCCASION } from './encryption.ts';

const [kernels] = BOTH as [Kernels];
const random = secureRandom();
const HEAD = 100; // bytes before the polynomials, which are none of its business

const stored = (ciphertext: Uint8Array): StoredVector =>
  inMemory(new Uint8Array(Buffer.concat([bytesOf(HEAD, 'head'), ciphertext])));

/** These vectors, each under a fresh key, and the key of their sum. */
async function encryptAll(
  vectors: readonly Float64Array[],
  bits: LatticeLaneBits,
  on: Kernels = kernels,
): Promise<EncryptedSum> {
  const keySum = new Float64Array(DEGREE);
  const ciphertexts = new Map<string, StoredVector>();
  for (const [i, values] of vectors.entries()) {
    const key = oneTimeKey(on, random);
    for (let k = 0; k < DEGREE; k++) keySum[k]! += key.coefficients[k]!;
    ciphertexts.set(`tenant-${i}`, stored(await encrypted(on, values, bits, key)));
  }
  return { bits, dimension: vectors[0]!.length, occasion: OCCASION, ciphertexts, from: HEAD, keySum };
}

const sumOf = (vectors: readonly Float64Array[]): Float64Array =>
  vectors[0]!.map((_, i) => vectors.reduce((sum, vector) => sum + vector[i]!, 0));

/** Coordinates that are the same. */
const agreeing = (a: Float64Array, b: Float64Array): number => a.filter((value, i) => value === b[i]).length;

describe.each([23, 46] as const)('with lanes of %i bits', (bits) => {
  const each = (4 * DEGREE * 23) / bits;

  test('the sum of ciphertexts opens under the sum of their keys, exactly', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: each - 1, max: each + 1 })),
        fc.string(),
        async (tenants, length, seed) => {
          const largest = Math.floor(largestInLane(bits) / tenants);
          const vectors = Array.from({ length: tenants }, (_, i) => laneValues(bits, length, `${seed}${i}`, largest));
          for (const on of BOTH) {
            const opened = await decryptSum(on, await encryptAll(vectors, bits, on));
            expect(agreeing(opened, sumOf(vectors))).toBe(length);
          }
        },
      ),
      { numRuns: 12, endOnFailure: true },
    );
  }, 60_000);

  test('a vector of many polynomials, of more tenants than are held at a time, is read 1 MiB at a time', async () => {
    const vectors = Array.from({ length: 9 }, (_, i) => laneValues(bits, 20 * each + 3, `long${i}`, 1000));
    const sum = await encryptAll(vectors, bits);
    const reads: number[] = [];
    const watched = [...sum.ciphertexts].map(([name, vector]): [string, StoredVector] => [
      name,
      {
        ...vector,
        read(from, to) {
          reads.push(to - from);
          return vector.read(from, to);
        },
      },
    ]);
    const opened = await decryptSum(kernels, { ...sum, ciphertexts: new Map(watched) });
    expect(agreeing(opened, sumOf(vectors))).toBe(opened.length);
    expect(Math.max(...reads)).toBeLessThanOrEqual(2 ** 20);
    expect(reads).toHaveLength(2 * 9);
  });

  test('194 tenants with every key, error and value at its largest are exact in both directions', async () => {
    const share = Math.floor(largestInLane(bits) / 194);
    for (const sign of [1, -1]) {
      const values = new Float64Array(each).fill(sign * share);
      const edge = new Float64Array(DEGREE).fill(sign * LARGEST_IN_KEY);
      const key = chosenKey(kernels, edge, () => Int8Array.from(edge));
      const ciphertext = stored(await encrypted(kernels, values, bits, key));
      const ciphertexts = new Map(Array.from({ length: 194 }, (_, i) => [`tenant-${i}`, ciphertext]));
      const keySum = edge.map((coefficient) => 194 * coefficient);
      const sum = { bits, dimension: each, occasion: OCCASION, ciphertexts, from: HEAD, keySum };
      const opened = await decryptSum(kernels, sum);
      expect(
        agreeing(
          opened,
          values.map((value) => 194 * value),
        ),
      ).toBe(each);
    }
  });

  test('so are 200 as they come', async () => {
    const vectors = Array.from({ length: 200 }, (_, i) =>
      laneValues(bits, 100, `of 200: ${i}`, Math.floor(largestInLane(bits) / 200)),
    );
    expect(await decryptSum(kernels, await encryptAll(vectors, bits))).toEqual(sumOf(vectors));
  });

  test('a lane that overflows takes its neighbours along: the sum is not what was added', async () => {
    const full = new Float64Array(8).fill(largestInLane(bits));
    const sum = await encryptAll([full, new Float64Array(8).fill(1)], bits);
    expect(agreeing(await decryptSum(kernels, sum), full)).toBe(0);
  });
});

describe('nothing opens', () => {
  const vectors = [0, 1, 2].map((i) => laneValues(23, 5000, `closed${i}`, 10_000));
  const refused = async (change: (sum: EncryptedSum) => Partial<EncryptedSum>): Promise<void> => {
    const sum = await encryptAll(vectors, 23);
    const opened = await decryptSum(kernels, { ...sum, ...change(sum) });
    expect(agreeing(opened, sumOf(vectors))).toBeLessThan(5); // of 5000, one in 2^23
    expect(opened.filter((value) => Math.abs(value) > 30_000).length).toBeGreaterThan(4500);
  };

  test('under a key that is one off in one coefficient', () =>
    refused(({ keySum }) => ({ keySum: keySum.with(7, keySum[7]! + 1) })));

  test('under the keys of all but one, or of one more', async () => {
    const another = oneTimeKey(kernels, random).coefficients;
    await refused(({ keySum }) => ({ keySum: keySum.map((s, i) => s - another[i]!) }));
    await refused(({ ciphertexts }) => ({ ciphertexts: new Map([...ciphertexts].slice(1)) }));
  });

  test('on another occasion', () => refused(() => ({ occasion: OCCASION.with(0, OCCASION[0]! ^ 1) })));

  test('with one ciphertext of another occasion, of another round’s key, or twice', async () => {
    const elsewhere = await encrypted(kernels, vectors[0]!, 23, oneTimeKey(kernels, random), bytesOf(32, 'elsewhere'));
    const earlier = await encrypted(kernels, vectors[0]!, 23, oneTimeKey(kernels, random));
    for (const other of [stored(elsewhere), stored(earlier)])
      await refused(({ ciphertexts }) => ({ ciphertexts: new Map([...ciphertexts, ['tenant-0', other]]) }));
    await refused(({ ciphertexts }) => ({
      ciphertexts: new Map([...ciphertexts, ['tenant-1', ciphertexts.get('tenant-0')!]]),
    }));
  });

  test('with a bit turned in one residue', async () => {
    const sum = await encryptAll(vectors, 23);
    const bytes = sum.ciphertexts
      .get('tenant-0')!
      .read(HEAD, HEAD + POLYNOMIAL_BYTES)
      .slice();
    bytes[40_000]! ^= 1; // in NTT form: every coefficient is another
    const ciphertexts = new Map([...sum.ciphertexts, ['tenant-0', stored(bytes)]]);
    const opened = await decryptSum(kernels, { ...sum, ciphertexts });
    expect(agreeing(opened, sumOf(vectors))).toBeLessThan(10);
  });
});

describe('what is no polynomial', () => {
  test('is found wherever it lies, and named when it is added all the same', async () => {
    const vectors = Array.from({ length: 9 }, (_, i) => laneValues(23, 20 * 16_384 + 1, `bad${i}`, 10));
    const sum = await encryptAll(vectors, 23);
    const good = sum.ciphertexts.get('tenant-8')!;
    for (const on of BOTH) expect(arePolynomials(on, good, HEAD)).toBe(true);
    for (const at of [HEAD, HEAD + 19 * POLYNOMIAL_BYTES, good.length - 13]) {
      const bytes = good
        .read(0, good.length)
        .slice()
        .fill(0xff, at, at + 13);
      for (const on of BOTH) expect(arePolynomials(on, inMemory(bytes), HEAD)).toBe(false);
      const ciphertexts = new Map([...sum.ciphertexts, ['tenant-8', inMemory(bytes)]]);
      const opening = decryptSum(kernels, { ...sum, ciphertexts });
      await expect(opening).rejects.toThrow(new ProtocolBroken('what it encrypted is no polynomial', 'tenant-8'));
    }
    const short = good.read(0, good.length - 1);
    expect(arePolynomials(kernels, inMemory(short), HEAD)).toBe(false);
  }, 60_000);
});
