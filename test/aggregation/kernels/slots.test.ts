import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { largestInLane } from '../../../aggregation/kernels/lanes.ts';
import { SLOTS_46, SLOTS_48, type SlotModulus } from '../../../aggregation/kernels/rings.ts';
import { BOTH, bytesOf, bytesThen, keyStream } from './both.ts';

const MODULI = [
  ['slots', SLOTS_48],
  ['slots46', SLOTS_46],
] as const;

test('both moduli are primes of as many bits, and 1 modulo 8192', () => {
  for (const { bits, value } of [SLOTS_48, SLOTS_46]) {
    expect(Math.ceil(Math.log2(value))).toBe(bits);
    expect(value % 8192).toBe(1);
  }
});

/** Slots in [0, t), those at its ends among them. */
const slotsOf = (length: number, seed: string, { value: T }: SlotModulus): Float64Array => {
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

describe.each(MODULI)('masking %s', (name, modulus) => {
  const { value: T, bits: kept } = modulus;
  test.each([0, 1, 2, 5, 4097, 8192, 8193, 20_003])('%i of them: six bytes of each stream a slot', (length) => {
    const words = (seed: string): bigint[] => {
      const view = new DataView(bytesOf(6 * length + 2, seed).buffer); // a word not below t comes once in 10^8
      return Array.from({ length }, (_, i) => BigInt.asUintN(kept, view.getBigUint64(6 * i, true)));
    };
    const [a, c] = [words('a'), words('c')];
    const before = slotsOf(length, 'slots', modulus);
    const expected = [...before].map((slot, i) => Number((BigInt(slot) + a[i]! + BigInt(T) - c[i]!) % BigInt(T)));
    for (const { [name]: slots } of BOTH) {
      const sum = before.slice();
      slots.mask(sum, [
        { stream: keyStream('a'), adds: true },
        { stream: keyStream('c'), adds: false },
      ]);
      expect([...sum]).toEqual(expected);
    }
  });

  test('passes over words that are not below t, wherever they stand, and reads no word more', () => {
    const word = fc.oneof(
      fc.constantFrom(0, 1, T - 1, T, T + 1, 2 ** 48 - 1, 2 ** 48 - 2, 2 ** 47, 2 ** kept, 2 ** kept - 1),
      fc.integer({ min: 0, max: 2 ** 48 - 1 }),
    );
    fc.assert(
      fc.property(
        fc.array(word, { maxLength: 40 }),
        fc.integer({ min: 0, max: 25 }),
        fc.boolean(),
        (first, length, adds) => {
          const before = slotsOf(length, 'slots', modulus);
          const after = new DataView(bytesOf(6 * 80, 'rest').buffer);
          const drawn = [
            ...first,
            ...Array.from(
              { length: 80 },
              (_, i) => after.getUint32(6 * i, true) + after.getUint16(6 * i + 4, true) * 2 ** 32,
            ),
          ].map((one) => one % 2 ** kept);
          const used = drawn.filter((one) => one < T).slice(0, length);
          const expected = [...before].map((slot, i) =>
            Number((BigInt(slot) + (adds ? BigInt(used[i]!) : BigInt(T - used[i]!))) % BigInt(T)),
          );
          const read = 6 * (indexOfNth(drawn, T, length) + 1);
          for (const { [name]: slots } of BOTH) {
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
    for (const { [name]: slots } of BOTH) {
      const before = slotsOf(9001, 'slots', modulus);
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
function indexOfNth(drawn: readonly number[], T: number, n: number): number {
  let found = 0;
  return drawn.findIndex((one) => one < T && ++found === n);
}

/** What each value of a sum is made of: `n` integers within ±most, as even as they can be. */
function shares(value: number, n: number): number[] {
  const even = Math.trunc(value / n);
  return Array.from({ length: n }, (_, i) => even + (i < Math.abs(value % n) ? Math.sign(value) : 0));
}

describe.each([
  ['slots', SLOTS_48, 24],
  ['slots', SLOTS_48, 48],
  ['slots46', SLOTS_46, 23],
  ['slots46', SLOTS_46, 46],
] as const)('%s with lanes of %3$i bits', (name, modulus, bits) => {
  const T = modulus.value;
  const whole = bits === modulus.bits;
  const most = largestInLane(bits, modulus);
  const slotsFor = (values: number): Float64Array => new Float64Array(whole ? values : Math.ceil(values / 2));
  const edges = [most, -most, 0, -0, 1, -1, most - 1, 1 - most];
  const value = fc.oneof(fc.constantFrom(...edges), fc.integer({ min: -most, max: most }));
  /** A slot computed as the definition says. */
  const slot = (values: readonly number[]): number => {
    const sum = values.reduceRight((higher, one) => higher * 2n ** BigInt(bits) + BigInt(one), 0n);
    return Number(((sum % BigInt(T)) + BigInt(T)) % BigInt(T));
  };

  test('a slot is the sum of its values, 2^bits apart, modulo t, and opens to them', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 30 }), (list) => {
        const each = modulus.bits / bits;
        const expected = [...slotsFor(list.length).keys()].map((i) => slot(list.slice(each * i, each * (i + 1))));
        for (const { [name]: slots } of BOTH) {
          const encoded = slotsFor(list.length);
          slots.encode(Float64Array.from(list), bits, encoded);
          expect([...encoded]).toEqual(expected);
          const opened = new Float64Array(list.length);
          slots.decode(encoded, bits, opened);
          expect([...opened]).toEqual(list.map((one) => one + 0));
        }
      }),
    );
  });

  test('sums within the bound open exactly, whoever has how much of them', () => {
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 9 }),
        fc.integer({ min: 1, max: 200 }),
        fc.array(value, { maxLength: 4 }),
        (sums, n, some) => {
          const cancelling = some.flatMap((one) => [one, -one]); // each may be as large as all together
          const contributions = sums.map((sum) => [...cancelling, ...shares(sum, n)]);
          for (const { [name]: slots } of BOTH) {
            const total = slotsFor(sums.length);
            for (let tenant = 0; tenant < contributions[0]!.length; tenant++) {
              const one = slotsFor(sums.length);
              slots.encode(
                Float64Array.from(contributions, (of) => of[tenant]!),
                bits,
                one,
              );
              one.forEach((term, i) => {
                total[i] = (total[i]! + term) % T;
              });
            }
            const opened = new Float64Array(sums.length);
            slots.decode(total, bits, opened);
            expect([...opened]).toEqual(sums.map((sum) => sum + 0));
          }
        },
      ),
    );
  });

  test('both lanes at the ends of their bound, in every sign, open exactly; one more in either opens to another sum', () => {
    const opens = (values: readonly number[]): boolean[] =>
      BOTH.map(({ [name]: slots }) => {
        const opened = new Float64Array(values.length);
        slots.decode(Float64Array.of(slot(values)), bits, opened);
        return opened.every((one, i) => one === values[i]);
      });
    if (whole) {
      expect(most).toBe((T - 1) / 2);
      for (const exact of [most, -most]) expect(opens([exact])).toEqual([true, true]);
      for (const beyond of [most + 1, -most - 1]) expect(opens([beyond])).toEqual([false, false]);
      return;
    }
    expect(most).toBe(2 ** (bits - 1) - 1);
    for (const low of [most, -most]) {
      for (const high of [most, -most]) {
        expect(opens([low, high])).toEqual([true, true]);
        // beyond the bound one sign may still be told apart: the bound is where both are, beside any neighbour
        expect(opens([low, Math.sign(low) * (most + 1)])).toEqual([false, false]);
        expect(opens([most + 1, high])).toEqual([false, false]);
        expect(opens([-most - 2, high])).toEqual([false, false]);
      }
    }
  });

  test.each([8191, 8192, 8193, 16_385, 40_001])('%i values are the same in both implementations', (length) => {
    const values = Float64Array.from(bytesOf(length, 'values'), (byte) => (byte - 128) * 997);
    const [first, second] = BOTH.map(({ [name]: slots }) => {
      const encoded = slotsFor(length);
      slots.encode(values, bits, encoded);
      const opened = new Float64Array(length);
      slots.decode(encoded, bits, opened);
      return { encoded, opened };
    });
    expect(first).toEqual(second);
    expect(first!.opened).toEqual(values);
  });

  test('any slots open to the same in both', () => {
    const sums = slotsOf(9001, 'sums', modulus);
    const length = (modulus.bits / bits) * 9001;
    const [first, second] = BOTH.map(({ [name]: slots }) => {
      const opened = new Float64Array(length);
      slots.decode(sums, bits, opened);
      return opened;
    });
    expect(first).toEqual(second);
  });

  test('refuse what no lane holds, without naming it, and other lengths', () => {
    const bad = [0.5, -1e-9, Number.NaN, most + 1, -most - 1, 2 ** 60, Number.POSITIVE_INFINITY, -1e300];
    for (const { [name]: slots } of BOTH) {
      const into = slotsFor(5);
      for (const one of bad) {
        for (const at of [0, 1, 2, 3, 4]) {
          const encode = () => slots.encode(new Float64Array(5).fill(one, at, at + 1), bits, into);
          expect(encode, `${one} at ${at}`).toThrow(RangeError);
          expect(encode).toThrow(`within ±${most}, as ${bits} bits hold; one is not`);
        }
      }
      slots.encode(new Float64Array(5).fill(-most), bits, into);
      const [half, all] = [modulus.bits / 2, modulus.bits];
      const others = modulus === SLOTS_48 ? ([23, 46] as const) : ([24, 48] as const);
      for (const other of others) {
        const words = `${half} or ${all} bits, got ${other}`;
        expect(() => slots.encode(new Float64Array(5), other, into)).toThrow(words);
        expect(() => slots.decode(into, other, new Float64Array(5))).toThrow(words);
      }
      expect(() => slots.encode(new Float64Array(7), bits, into)).toThrow(RangeError);
      expect(() => slots.encode(new Float64Array(3), bits, into)).toThrow(RangeError);
      expect(() => slots.decode(into, bits, new Float64Array(7))).toThrow(RangeError);
      expect(() => slots.decode(into, bits, new Float64Array(3))).toThrow(RangeError);
    }
  });
});
