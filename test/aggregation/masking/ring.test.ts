import { createCipheriv, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { laneOf, type RingBits, ringBytes, ringFor, ringVector } from '../../../aggregation/masking/ring.ts';

const ALL: readonly RingBits[] = [32, 48, 64];
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const vectorOf = (bits: RingBits, values: readonly number[]) => {
  const vector = ringVector(bits, values.length);
  vector.addValues(Float64Array.from(values));
  return vector;
};
const lane = (bits: RingBits) => fc.maxSafeInteger().map((n) => n % (laneOf(bits) + 1));
/** In [−2^(bits−1), 2^(bits−1)), as a BigInt reference. */
const wrapped = (bits: RingBits, value: bigint) => BigInt.asIntN(bits, value);

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

  test('takes four, six and eight bytes a value', () => {
    expect(ALL.map((bits) => ringBytes(bits, 1000))).toEqual([4000, 6000, 8000]);
  });
});

describe.each(ALL)('a vector over Z_2^%i', (bits) => {
  const most = laneOf(bits);

  test('holds every value of its lane, and travels little-endian in two’s complement', () => {
    const values = [0, 1, -1, 65_535, 65_536, -65_536, -65_537, most, -most, most - 1, 1 - most];
    const vector = vectorOf(bits, values);
    expect([...vector.values()].map((value) => value + 0)).toEqual(values); // −0 is 0
    const bytes = Buffer.from(vector.bytes());
    expect(bytes).toHaveLength(ringBytes(bits, values.length));
    const width = bits / 8;
    const reference = Buffer.concat(
      values.map((value) => {
        const eight = Buffer.alloc(8);
        eight.writeBigInt64LE(BigInt(value));
        return eight.subarray(0, width);
      }),
    );
    expect(hex(bytes)).toBe(hex(reference));
  });

  test('adds as integers do, modulo 2^bits', () => {
    const rows = fc.array(fc.array(lane(bits), { minLength: 3, maxLength: 3 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(rows, (summands) => {
        const sum = ringVector(bits, 3);
        for (const summand of summands) sum.addBytes(vectorOf(bits, summand).bytes());
        const reference = [0, 1, 2].map((i) => summands.reduce((total, row) => total + BigInt(row[i]!), 0n));
        const expected = reference.map((total) => wrapped(bits, total));
        const found = Buffer.from(sum.bytes());
        expect(expected.map((_, i) => wrapped(bits, wide(found, i, bits / 8)))).toEqual(expected);
        // in the lane the doubles are exact; out of it they say that they are not
        expected.forEach((value, i) => {
          const read = sum.values()[i]!;
          if (value >= -BigInt(most) && value <= BigInt(most)) expect(BigInt(read)).toBe(value);
          else expect(Math.abs(read)).toBeGreaterThan(most);
        });
      }),
    );
  });

  test('loses nothing when it is read between additions, or reads bytes at an odd place', () => {
    const vector = vectorOf(bits, [most, -most, 7]);
    vector.values();
    vector.bytes();
    const odd = Buffer.concat([Buffer.alloc(1), vectorOf(bits, [1 - most, most - 1, -9]).bytes()]).subarray(1);
    vector.addBytes(odd);
    expect([...vector.values()]).toEqual([1, -1, -2]);
  });

  test('a mask added and subtracted is gone, a mask alone hides every value', () => {
    const values = Array.from({ length: 7000 }, (_, i) => i - 3000);
    const vector = vectorOf(bits, values);
    const key = randomBytes(16);
    vector.mask(key, 1);
    const masked = vector.values();
    expect(values.filter((value, i) => value === masked[i])).toHaveLength(0);
    vector.mask(key, -1);
    expect([...vector.values()]).toEqual(values);
  });

  test('a mask is AES-128-CTR from counter 0, word by word, over chunk after chunk', () => {
    const dimension = 40_000; // more limbs than one chunk holds, and no whole number of chunks
    const key = randomBytes(16);
    const vector = ringVector(bits, dimension);
    vector.mask(key, 1);
    const bytes = ringBytes(bits, dimension);
    // the counter mode written out: each block of the stream is the cipher of its number (SP 800-38A §6.5)
    const counters = Buffer.alloc(Math.ceil(bytes / 16) * 16);
    for (let block = 0; block < counters.length / 16; block++) counters.writeUInt32BE(block, 16 * block + 12);
    const cipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
    const stream = Buffer.concat([cipher.update(counters), cipher.final()]).subarray(0, bytes);
    expect(Buffer.from(vector.bytes()).equals(stream)).toBe(true);
  });

  test('takes more summands than a limb’s word has room for', () => {
    const vector = ringVector(bits, 1);
    const ones = new Uint8Array(bits / 8).fill(0xff); // −1, each limb at its largest
    for (let i = 0; i < 70_000; i++) vector.addBytes(ones);
    expect([...vector.values()]).toEqual([-70_000]);
  });
});

// McGrew and Viega, The Galois/Counter Mode, appendix B, test cases 1 and 2: the cipher of counters 0, 1 and 2 under the
// zero key (H, E(K, Y₀), and the ciphertext of a zero block)
test('the stream agrees with the GCM specification', () => {
  const vector = ringVector(32, 12);
  vector.mask(new Uint8Array(16), 1);
  expect(hex(vector.bytes())).toBe(
    '66e94bd4ef8a2c3b884cfa59ca342b2e58e2fccefa7e3061367f1d57a4e7455a0388dace60b6a392f328c2b971b2fe78',
  );
});

const wide = (bytes: Buffer, index: number, width: number): bigint => {
  const eight = Buffer.alloc(8);
  bytes.copy(eight, 0, index * width, (index + 1) * width);
  return eight.readBigUInt64LE();
};
