import { createCipheriv, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { WordBits } from '../../../aggregation/kernels/kernels.ts';
import type { MaskKey } from '../../../aggregation/masking/cover.ts';
import { addAll, laneOf, maskAll, ringBytes, ringFor } from '../../../aggregation/masking/ring.ts';
import type { StoredVector } from '../../../aggregation/secure-sum.ts';
import { inMemory } from '../../../aggregation/stored-vector.ts';
import { BOTH, twin, wasm } from '../kernels/both.ts';

const ALL: readonly WordBits[] = [32, 48, 64];
const { words } = wasm;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const added = (...keys: readonly Uint8Array[]): MaskKey[] =>
  keys.map((key) => ({ key: Uint8Array.from(key), sign: 1 }));
const randomKeys = (count: number) => Array.from({ length: count }, () => new Uint8Array(randomBytes(16)));

/** Counter mode written out: each block of the stream is the cipher of its number (SP 800-38A §6.5). */
function counterMode(key: Uint8Array, length: number): Uint8Array {
  const counters = Buffer.alloc(Math.ceil(length / 16) * 16);
  for (let block = 0; block < counters.length / 16; block++) counters.writeUInt32BE(block, 16 * block + 12);
  const cipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
  return Buffer.concat([cipher.update(counters), cipher.final()]).subarray(0, length);
}

const wordsOf = (bits: WordBits, bytes: Uint8Array): bigint[] =>
  Array.from({ length: (bytes.length * 8) / bits }, (_, i) =>
    bytes.subarray((i * bits) / 8, ((i + 1) * bits) / 8).reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n),
  );

describe('the ring', () => {
  // by hand: 2^31 − 1, 2^47 − 1, and where doubles end
  test.each([
    [1, 32],
    [2_147_483_647, 32],
    [2_147_483_648, 48],
    [140_737_488_355_327, 48],
    [140_737_488_355_328, 64],
    [Number.MAX_SAFE_INTEGER, 64],
    [Number.MAX_SAFE_INTEGER + 1, undefined],
    [Number.NaN, undefined],
  ])('for sums up to ±%i has %s bits', (largest, bits) => {
    expect(ringFor(largest)).toBe(bits);
  });

  test('tells apart what two’s complement does, and no more than doubles do', () => {
    expect(ALL.map(laneOf)).toEqual([2_147_483_647, 140_737_488_355_327, 9_007_199_254_740_991]);
  });

  test('takes four, six and eight bytes a value', () => {
    expect(ALL.map((bits) => ringBytes(bits, 1000))).toEqual([4000, 6000, 8000]);
  });
});

describe.each(ALL)('a vector over Z_2^%i', (bits) => {
  test('is masked by words of the counter mode, added or subtracted, with either kernels', async () => {
    const vector = fc.uint8Array({ minLength: (3 * bits) / 8, maxLength: (3 * bits) / 8 });
    const masks = fc.array(
      fc.record({
        key: fc.uint8Array({ minLength: 16, maxLength: 16 }),
        sign: fc.constantFrom<(1 | -1)[]>(1, -1),
      }),
      { maxLength: 70 },
    );
    await fc.assert(
      fc.asyncProperty(vector, masks, async (bytes, all) => {
        const expected = wordsOf(bits, bytes).map((word, i) =>
          all.reduce((sum, { key, sign }) => {
            const mask = wordsOf(bits, counterMode(key, bytes.length))[i]!;
            return BigInt.asUintN(bits, sign === 1 ? sum + mask : sum - mask);
          }, word),
        );
        for (const kernels of BOTH) {
          const masked = Uint8Array.from(bytes);
          await maskAll(
            kernels.words,
            bits,
            masked,
            all.map(({ key, sign }) => ({ key: Uint8Array.from(key), sign })),
          );
          expect(wordsOf(bits, masked)).toEqual(expected);
        }
      }),
      { numRuns: 30 },
    );
  });

  test('longer than a stretch is masked to its end, by more masks than are taken at once', async () => {
    const length = ringBytes(bits, 500_001);
    const keys = randomKeys(70);
    const expected = new Uint8Array(length);
    for (const key of keys) words.add(bits, expected, counterMode(key, length));
    const vector = new Uint8Array(length);
    await maskAll(words, bits, vector, added(...keys));
    expect(Buffer.compare(vector, expected)).toBe(0);
  });

  test('is added word by word, over stretch after stretch, with either kernels', async () => {
    const length = ringBytes(bits, 300_001);
    const vectors = [1, 2, 3].map(() => new Uint8Array(randomBytes(length)));
    const expected = new Uint8Array(length);
    for (const vector of vectors) twin.words.add(bits, expected, vector);
    for (const kernels of BOTH) {
      const sum = await addAll(kernels.words, bits, vectors.map(inMemory), length);
      expect(Buffer.compare(sum, expected)).toBe(0);
    }
  });
});

// McGrew and Viega, The Galois/Counter Mode, appendix B, test cases 1 and 2: the cipher of counters 0, 1 and 2 under the
// zero key (H, E(K, Y₀), and the ciphertext of a zero block)
test('the stream agrees with the GCM specification', async () => {
  const vector = new Uint8Array(48);
  await maskAll(words, 32, vector, added(new Uint8Array(16)));
  expect(hex(vector)).toBe(
    '66e94bd4ef8a2c3b884cfa59ca342b2e58e2fccefa7e3061367f1d57a4e7455a0388dace60b6a392f328c2b971b2fe78',
  );
});

describe('keys are overwritten', () => {
  const zero = new Uint8Array(16);

  test('once they have masked', async () => {
    const masks = added(...randomKeys(40));
    await maskAll(words, 32, new Uint8Array(8), masks);
    for (const { key } of masks) expect(key).toEqual(zero);
  });

  test('when the masks cannot be read to their end', async () => {
    const masks = added(...randomKeys(40));
    function* broken(): Iterable<MaskKey> {
      yield* masks;
      throw new Error('a share does not fit');
    }
    await expect(maskAll(words, 32, new Uint8Array(8), broken())).rejects.toThrow('a share does not fit');
    for (const { key } of masks) expect(key).toEqual(zero);
  });
});

describe('long vectors', () => {
  /** How often the event loop came round while `work` went on. */
  async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
    let turns = 0;
    let next: NodeJS.Immediate;
    const turn = () => {
      turns++;
      next = setImmediate(turn);
    };
    next = setImmediate(turn);
    await work();
    clearImmediate(next);
    return turns;
  }
  const MIB = 2 ** 20;

  test('are read a stretch at a time, each byte of the part that is added once', async () => {
    const reads: number[] = [];
    const vector: StoredVector = {
      ...{ length: 4 * MIB, hash: new Uint8Array(32) },
      read(from, to) {
        reads.push(to - from);
        return new Uint8Array(to - from);
      },
    };
    await addAll(words, 48, [vector], 3 * MIB);
    expect(Math.max(...reads)).toBeLessThanOrEqual(MIB);
    expect(reads.reduce((sum, length) => sum + length)).toBe(3 * MIB);
  });

  test('let the event loop turn: once a MiB and more while they are added', async () => {
    const vectors = [1, 2].map(() => inMemory(new Uint8Array(3 * MIB)));
    expect(await turnsDuring(() => addAll(words, 32, vectors, 3 * MIB))).toBeGreaterThanOrEqual(6);
  });

  test('and once for every few masks of a MiB', async () => {
    const keys = randomKeys(64);
    expect(await turnsDuring(() => maskAll(words, 32, new Uint8Array(3 * MIB), added(...keys)))).toBeGreaterThanOrEqual(
      6,
    );
  });
});
