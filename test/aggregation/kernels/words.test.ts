import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Mask, WordBits } from '../../../aggregation/kernels/kernels.ts';
import { BOTH, bytesOf, keyStream, twin, unaligned, wasm } from './both.ts';

const MOST = Number.MAX_SAFE_INTEGER;

/** Any byte where a carry may start or end more often than chance would have it. */
const byte = fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xfe, 0xff), fc.integer({ min: 0, max: 255 }));

const vectors = (bits: WordBits, most = 40) =>
  fc.integer({ min: 0, max: most }).chain((count) => {
    const one = fc.array(byte, { minLength: (count * bits) / 8, maxLength: (count * bits) / 8 });
    return fc.tuple(one, one).map(([a, b]) => [Uint8Array.from(a), Uint8Array.from(b)] as const);
  });

function wordsOf(bits: WordBits, bytes: Uint8Array): bigint[] {
  const words: bigint[] = [];
  for (let at = 0; at < bytes.length; at += bits / 8) {
    words.push(bytes.subarray(at, at + bits / 8).reduceRight((sum, next) => sum * 256n + BigInt(next), 0n));
  }
  return words;
}

describe.each([32, 48, 64] as const)('words of %i bits', (bits) => {
  const modulus = 2n ** BigInt(bits);
  const half = 2 ** (bits - 1);
  const value = fc.oneof(
    fc
      .constantFrom(0, -0, 1, -1, MOST, -MOST, half, -half, half - 1, 2 ** 32, -(2 ** 32), 2 ** 48)
      .filter(Number.isSafeInteger),
    fc.maxSafeInteger(),
  );

  test('hold a value modulo 2^bits, in both implementations', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 40 }), (list) => {
        const values = Float64Array.from(list);
        for (const { words } of BOTH) {
          const bytes = unaligned(new Uint8Array((values.length * bits) / 8));
          words.encode(bits, values, bytes);
          expect(wordsOf(bits, bytes)).toEqual(list.map((one) => BigInt.asUintN(bits, BigInt(one))));
        }
      }),
    );
  });

  test('are read with their sign, in both implementations', () => {
    fc.assert(
      fc.property(vectors(bits), ([bytes]) => {
        for (const { words } of BOTH) {
          const values = new Float64Array((bytes.length * 8) / bits);
          words.decode(bits, unaligned(bytes), values);
          expect([...values]).toEqual(wordsOf(bits, bytes).map((word) => Number(BigInt.asIntN(bits, word))));
        }
      }),
    );
  });

  test('add and subtract like integers modulo 2^bits, in both implementations', () => {
    fc.assert(
      fc.property(vectors(bits), ([a, b]) => {
        for (const { words } of BOTH) {
          const [sum, difference] = [unaligned(a), unaligned(a)];
          words.add(bits, sum, b);
          words.subtract(bits, difference, unaligned(b));
          const [x, y] = [wordsOf(bits, a), wordsOf(bits, b)];
          expect(wordsOf(bits, sum)).toEqual(x.map((word, i) => (word + y[i]!) % modulus));
          expect(wordsOf(bits, difference)).toEqual(x.map((word, i) => (word - y[i]! + modulus) % modulus));
        }
      }),
    );
  });

  test.each([1, 7, 6143, 6144, 6145, 20_001])('%i of them are the same in both, and so are masks', (count) => {
    const length = (count * bits) / 8;
    const [a, b] = [bytesOf(length, 'a'), bytesOf(length, 'b')];
    const masks = (): Mask[] => [
      { stream: keyStream(1), adds: true },
      { stream: keyStream(2), adds: false },
      { stream: keyStream(3), adds: true },
    ];
    const results = BOTH.map(({ words }) => {
      const sum = a.slice();
      words.add(bits, sum, b);
      words.mask(bits, sum, masks());
      const values = new Float64Array(count);
      words.decode(bits, sum, values);
      return { sum, values };
    });
    expect(Buffer.compare(results[0]!.sum, results[1]!.sum)).toBe(0);
    expect(results[0]!.values).toEqual(results[1]!.values);
    const expected = a.slice();
    for (const [stream, adds] of [
      ['b', true],
      [1, true],
      [2, false],
      [3, true],
    ] as const) {
      twin.words[adds ? 'add' : 'subtract'](bits, expected, bytesOf(length, stream));
    }
    expect(Buffer.compare(results[0]!.sum, expected)).toBe(0);
  });

  test.each([6143, 6144, 6145, 12_289])('%i values are encoded, and nothing beside the vector is touched', (count) => {
    const doubles = new DataView(bytesOf(8 * count, 'values').buffer);
    const values = Float64Array.from({ length: count }, (_, i) => Number(doubles.getBigInt64(8 * i, true) >> 10n));
    for (const { words } of BOTH) {
      const around = bytesOf(8 * count + 64, 'around');
      const vector = around.subarray(13, 13 + (count * bits) / 8);
      words.encode(bits, values, vector);
      expect(wordsOf(bits, vector)).toEqual([...values].map((one) => BigInt.asUintN(bits, BigInt(one))));
      vector.set(bytesOf(8 * count + 64, 'around').subarray(13, 13 + vector.length));
      expect(Buffer.compare(around, bytesOf(8 * count + 64, 'around'))).toBe(0);
    }
  });

  test('masks that one adds and the other subtracts cancel, and nothing beside the vector is touched', () => {
    for (const { words } of BOTH) {
      const around = bytesOf(8 * 1000 + 64, 'around');
      const vector = around.subarray(13, 13 + (999 * bits) / 8);
      const before = around.slice();
      words.mask(bits, vector, [{ stream: keyStream('pair'), adds: true }]);
      expect(Buffer.compare(vector, before.subarray(13, 13 + vector.length))).not.toBe(0);
      words.mask(bits, vector, [{ stream: keyStream('pair'), adds: false }]);
      expect(Buffer.compare(around, before)).toBe(0);
    }
  });

  test('refuse what is no integer, and lengths that do not fit', () => {
    for (const { words } of BOTH) {
      const into = new Uint8Array((3 * bits) / 8);
      for (const bad of [0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, -(2 ** 53), 2 ** 63, -(2 ** 63), 1e300]) {
        for (const at of [0, 1, 2]) {
          const values = Float64Array.of(1, 2, 3).with(at, bad);
          expect(() => words.encode(bits, values, into), `${bad} at ${at}`).toThrow(RangeError);
        }
      }
      expect(() => words.encode(bits, new Float64Array(2), into)).toThrow(RangeError);
      expect(() => words.decode(bits, into, new Float64Array(4))).toThrow(RangeError);
      expect(() => words.add(bits, into, new Uint8Array(bits / 8))).toThrow(RangeError);
      expect(() => words.subtract(bits, into, new Uint8Array(bits / 8))).toThrow(RangeError);
      expect(() => words.mask(bits, into.subarray(1), [])).toThrow(RangeError);
      expect(() => words.add(16 as WordBits, into, into)).toThrow(RangeError);
    }
  });
});

test('these are two implementations', () => {
  expect([wasm.name, twin.name]).toEqual(['wasm', 'typescript']);
  expect(wasm.words.add).not.toBe(twin.words.add);
});
