import { describe, expect, test } from 'vitest';
import type { ByteSource } from '../../../aggregation/kernels/kernels.ts';
import { POLYNOMIAL_WORDS, packedBytes } from '../../../aggregation/kernels/rings.ts';
import { bytesOf, edgy, keyStream, memory, wasm } from './both.ts';

/** The tables are in memory by now, nothing else is. */
const clean = memory.slice();

/** A key stream that says whether it was asked to write into the kernels' memory, and saw the vector there. */
function watching(seed: string): ByteSource & { sawSecrets: boolean } {
  const stream = keyStream(seed);
  return {
    sawSecrets: false,
    fill(bytes) {
      stream.fill(bytes);
      this.sawSecrets ||= bytes.buffer === memory.buffer && Buffer.compare(memory, clean) !== 0;
    },
  };
}

const broken: ByteSource = {
  fill(bytes) {
    bytes.fill(0xaa);
    throw new Error('no more key stream');
  },
};

const { words, slots, slots46, heRing, heRing101, maskRing, lattice } = wasm;
const numbers = Float64Array.from(bytesOf(20_000, 'numbers'), (byte) => byte + 1);
const vector = bytesOf(60_000, 'vector');

const OPERATIONS: Record<string, () => unknown> = {
  'words.encode': () => words.encode(48, numbers, new Uint8Array(6 * numbers.length)),
  'words.decode': () => words.decode(48, vector, new Float64Array(10_000)),
  'words.add': () => words.add(32, vector.slice(), vector),
  'words.subtract': () => words.subtract(64, vector.slice(), vector),
  'slots.encode, one a slot': () => slots.encode(numbers, 48, numbers.slice()),
  'slots.encode, two': () => slots.encode(numbers, 24, new Float64Array(10_000)),
  'slots.decode': () => slots.decode(numbers, 24, new Float64Array(40_000)),
  'slots46.encode, two': () => slots46.encode(numbers, 23, new Float64Array(10_000)),
  'slots46.decode': () => slots46.decode(numbers, 23, new Float64Array(40_000)),
  'lattice.encode, four a coefficient': () =>
    lattice.encode(numbers.subarray(0, 16_384), 23, new Int8Array(4096).fill(7)),
  'lattice.encode, two': () => lattice.encode(numbers.subarray(0, 8192), 46, new Int8Array(4096).fill(7)),
  'lattice.decode, four a coefficient': () => lattice.decode(edgy(maskRing.ring, 1), 23, new Float64Array(16_000)),
  'lattice.decode, two': () => lattice.decode(edgy(maskRing.ring, 1), 46, new Float64Array(8000)),
};
for (const [name, ring] of Object.entries({ heRing, heRing101, maskRing })) {
  const [a, b, c] = [edgy(ring.ring, 'a'), edgy(ring.ring, 'b'), edgy(ring.ring, 'c')];
  const packed = new Uint8Array(packedBytes(ring.ring));
  ring.pack(a, packed, 0);
  Object.assign(OPERATIONS, {
    [`${name}.add`]: () => ring.add(a.slice(), b),
    [`${name}.subtract`]: () => ring.subtract(a.slice(), b),
    [`${name}.toNtt`]: () => ring.toNtt(a.slice()),
    [`${name}.fromNtt`]: () => ring.fromNtt(a.slice()),
    [`${name}.multiplyAdd`]: () => ring.multiplyAdd(a.slice(), b, c),
    [`${name}.pack`]: () => ring.pack(a, packed, 0),
    [`${name}.unpack`]: () => expect(ring.unpack(packed)).toEqual(a),
    [`${name}.unpack of nonsense`]: () => expect(ring.unpack(packed.map(() => 0xff))).toBeUndefined(),
    [`${name}.addPacked`]: () => expect(ring.addPacked(b.slice(), [packed, packed])).toBeUndefined(),
    [`${name}.addPacked of nonsense`]: () =>
      expect(ring.addPacked(b.slice(), [packed, packed.map(() => 0xff)])).toBe(1),
  });
}

const MASKINGS: Record<string, (stream: ByteSource) => void> = {
  'words.mask': (stream) => words.mask(32, vector.slice(), [{ stream, adds: true }]),
  'slots.mask': (stream) => slots.mask(numbers.slice(), [{ stream, adds: false }]),
  'slots46.mask': (stream) => slots46.mask(numbers.slice(), [{ stream, adds: true }]),
  'heRing.mask': (stream) => heRing.mask(edgy(heRing.ring, 1), [{ stream, adds: true }]),
  'maskRing.mask': (stream) => maskRing.mask(edgy(maskRing.ring, 1), [{ stream, adds: true }]),
  'heRing.uniform': (stream) => void heRing.uniform(stream),
  'maskRing.uniform': (stream) => void maskRing.uniform(stream),
  'lattice.centredBinomial': (stream) => lattice.centredBinomial(stream, new Int8Array(9000)),
};

describe('the memory of the kernels holds nothing but tables', () => {
  test.each(Object.entries(OPERATIONS))('after %s', (_, operation) => {
    operation();
    expect(Buffer.compare(memory, clean)).toBe(0);
  });

  test.each(Object.entries(MASKINGS))('after %s, though it did while the key stream was read', (_, operation) => {
    const stream = watching('watched');
    operation(stream);
    expect(stream.sawSecrets).toBe(true);
    expect(Buffer.compare(memory, clean)).toBe(0);
  });

  test.each(Object.entries(MASKINGS))('after %s, when the key stream breaks', (_, operation) => {
    expect(() => operation(broken)).toThrow('no more key stream');
    expect(Buffer.compare(memory, clean)).toBe(0);
  });

  test('after values that are no integers', () => {
    const bad = numbers.with(12_345, 0.5);
    expect(() => words.encode(32, bad, new Uint8Array(80_000))).toThrow(RangeError);
    expect(() => slots.encode(bad, 48, bad.slice())).toThrow(RangeError);
    expect(() => lattice.encode(bad.subarray(12_000, 16_000), 23, new Int8Array(4096))).toThrow(RangeError);
    expect(() => lattice.encode(bad.subarray(12_000, 16_000), 46, new Int8Array(4096))).toThrow(RangeError);
    expect(Buffer.compare(memory, clean)).toBe(0);
  });
});

test('tables fill a part of the memory, and one operation inside another finds room', () => {
  expect(clean.some((byte) => byte !== 0)).toBe(true);
  expect(memory.length).toBe(2 ** 21);
  const inner = edgy(maskRing.ring, 'inner');
  const expected = inner.slice();
  maskRing.add(expected, inner);
  const stream = keyStream('outer');
  const sum = new Uint8Array(4 * POLYNOMIAL_WORDS);
  words.mask(32, sum, [
    {
      stream: {
        fill(bytes) {
          stream.fill(bytes);
          const doubled = inner.slice();
          maskRing.add(doubled, inner);
          expect(doubled).toEqual(expected);
        },
      },
      adds: true,
    },
  ]);
  expect(sum).toEqual(bytesOf(4 * POLYNOMIAL_WORDS, 'outer'));
});
