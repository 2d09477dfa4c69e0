import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Lanes } from '../../../aggregation/kernels/kernels.ts';
import { SLOT_MODULUS } from '../../../aggregation/kernels/rings.ts';
import { hkdf } from '../../../aggregation/key-agreement.ts';
import { keyStream as keyStreamToday, maskValues } from '../../../aggregation/threshold-he/masks.ts';
import { BOTH, bytesOf, bytesThen, keyStream } from './both.ts';

const T = SLOT_MODULUS;

/** Slots in [0, t), those at its ends among them. */
const slotsOf = (length: number, seed: string): Float64Array => {
  const view = new DataView(bytesOf(8 * length, seed).buffer);
  const edges = [0, 1, T - 1, T - 2, (T - 1) / 2];
  return Float64Array.from(
    { length },
    (_, i) => edges[view.getUint8(8 * i) % 20] ?? Number(view.getBigUint64(8 * i, true) % BigInt(T)),
  );
};

function sixBytes(words: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(6 * words.length));
  words.forEach((word, i) => {
    view.setUint32(6 * i, word, true);
    view.setUint16(6 * i + 4, word / 2 ** 32, true);
  });
  return new Uint8Array(view.buffer);
}

describe('masking slots', () => {
  test.each([0, 1, 2, 5, 4097, 8192, 8193, 20_003])('%i of them: the same as threshold-he does, in both', (length) => {
    const secrets = new Map([
      ['a', bytesOf(32, 'secret a')],
      ['c', bytesOf(32, 'secret c')],
    ]);
    const binding = bytesOf(32, 'binding');
    const expected = slotsOf(length, 'slots');
    maskValues(expected, { me: 'b', set: ['a', 'b', 'c'], secrets, purpose: 'values', binding });
    for (const { slots } of BOTH) {
      const sum = slotsOf(length, 'slots');
      slots.mask(
        sum,
        ['a', 'c'].map((other) => {
          const stream = keyStreamToday(
            hkdf(secrets.get(other)!, binding, Buffer.from('parley/threshold-he/mask/v1/values'), 16),
          );
          return { stream: whole(stream), adds: 'b' < other };
        }),
      );
      expect(sum).toEqual(expected);
    }
  });

  test('passes over words that are not below t, wherever they stand, and reads no word more', () => {
    const word = fc.oneof(
      fc.constantFrom(0, 1, T - 1, T, T + 1, 2 ** 48 - 1, 2 ** 48 - 2, 2 ** 47),
      fc.integer({ min: 0, max: 2 ** 48 - 1 }),
    );
    fc.assert(
      fc.property(
        fc.array(word, { maxLength: 40 }),
        fc.integer({ min: 0, max: 25 }),
        fc.boolean(),
        (first, length, adds) => {
          const before = slotsOf(length, 'slots');
          const after = new DataView(bytesOf(6 * 80, 'rest').buffer);
          const drawn = [
            ...first,
            ...Array.from(
              { length: 80 },
              (_, i) => after.getUint32(6 * i, true) + after.getUint16(6 * i + 4, true) * 2 ** 32,
            ),
          ];
          const used = drawn.filter((one) => one < T).slice(0, length);
          const expected = [...before].map((slot, i) =>
            Number((BigInt(slot) + (adds ? BigInt(used[i]!) : BigInt(T - used[i]!))) % BigInt(T)),
          );
          const read = 6 * (indexOfNth(drawn, length) + 1);
          for (const { slots } of BOTH) {
            const sum = before.slice();
            const stream = bytesThen(sixBytes(first), 'rest');
            let count = 0;
            const fill = (bytes: Uint8Array): void => {
              stream.fill(bytes);
              count += bytes.length;
            };
            slots.mask(sum, [{ stream: { fill }, adds }]);
            expect([...sum]).toEqual(expected);
            expect(count).toBe(read);
          }
        },
      ),
    );
  });

  test('masks cancel between two', () => {
    for (const { slots } of BOTH) {
      const before = slotsOf(9001, 'slots');
      const sum = before.slice();
      slots.mask(sum, [{ stream: keyStream(1), adds: true }]);
      expect(sum).not.toEqual(before);
      expect(sum.every((slot) => slot >= 0 && slot < T)).toBe(true);
      slots.mask(sum, [{ stream: keyStream(1), adds: false }]);
      expect(sum).toEqual(before);
    }
  });
});

/** Where the n-th word below t stands; −1 for the 0th. */
function indexOfNth(drawn: readonly number[], n: number): number {
  let found = 0;
  return drawn.findIndex((one) => one < T && ++found === n);
}

/** Today's stream hands out words of 32 bits; the vector asks for whole pairs of six bytes but at its very end. */
function whole(stream: ReturnType<typeof keyStreamToday>): { fill(bytes: Uint8Array): void } {
  return {
    fill(bytes) {
      const words = new Uint32Array(Math.ceil(bytes.length / 4));
      stream.fill(words);
      bytes.set(new Uint8Array(words.buffer, 0, bytes.length));
    },
  };
}

describe.each([24, 48] as const)('lanes of %i bits', (bits) => {
  const most = bits === 24 ? 2 ** 23 - 1 : (T - 1) / 2;
  const lanes = (offset: number): Lanes<24 | 48> => ({ bits, offset });
  const slotsFor = (values: number): Float64Array => new Float64Array(bits === 24 ? Math.ceil(values / 2) : values);

  test('hold the values of a sum, its extremes included, whatever the length', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 0, max: 30 }),
        fc.array(fc.double({ noNaN: true, min: -1.5, max: 1.5 }), { minLength: 30, maxLength: 30 }),
        (n, length, shape) => {
          const offset = Math.floor(most / n);
          const values = Float64Array.from({ length }, (_, i) => Math.round(shape[i]! * offset));
          const [first, second] = BOTH.map(({ slots }) => {
            const encoded = slotsFor(length);
            slots.encode(values, lanes(offset), encoded);
            expect(encoded.every((slot) => slot >= 0 && slot < T && Number.isInteger(slot))).toBe(true);
            const sum = encoded.map((slot) => slot * n);
            expect(sum.every((slot) => slot < T)).toBe(true);
            const opened = new Float64Array(length);
            slots.decode(sum, lanes(offset * n), opened);
            expect([...opened]).toEqual([...values].map((value) => n * Math.min(Math.max(value, -offset), offset) + 0));
            return encoded;
          });
          expect(first).toEqual(second);
        },
      ),
    );
  });

  test.each([8191, 8192, 8193, 16_385, 40_001])('%i values are the same in both implementations', (length) => {
    const values = Float64Array.from(bytesOf(length, 'values'), (byte) => (byte - 128) * 997);
    const [first, second] = BOTH.map(({ slots }) => {
      const encoded = slotsFor(length);
      slots.encode(values, lanes(100_000), encoded);
      const opened = new Float64Array(length);
      slots.decode(encoded, lanes(100_000), opened);
      return { encoded, opened };
    });
    expect(first).toEqual(second);
    expect(first!.opened).toEqual(values.map((value) => Math.min(Math.max(value, -100_000), 100_000)));
  });

  test('refuse what is no integer, offsets that would let lanes meet, and other lengths', () => {
    for (const { slots } of BOTH) {
      const into = slotsFor(4);
      for (const [bad, at] of [
        [0.5, 0],
        [Number.NaN, 3],
        [-1e-9, 2],
      ] as const) {
        expect(() => slots.encode(new Float64Array(4).fill(bad, at, at + 1), lanes(5), into), String(bad)).toThrow(
          RangeError,
        );
      }
      for (const offset of [0, -1, 0.5, most + 1, Number.NaN]) {
        expect(() => slots.encode(new Float64Array(4), lanes(offset), into), String(offset)).toThrow(RangeError);
        expect(() => slots.decode(into, lanes(offset), new Float64Array(4)), String(offset)).toThrow(RangeError);
      }
      expect(() => slots.encode(new Float64Array(4), { bits: 23 as 24, offset: 1 }, into)).toThrow(RangeError);
      expect(() => slots.encode(new Float64Array(6), lanes(1), into)).toThrow(RangeError);
      expect(() => slots.decode(into, lanes(1), new Float64Array(6))).toThrow(RangeError);
    }
  });
});
