import fc from 'fast-check';
import { expect, test } from 'vitest';
import { doubleBytes, doublesFrom } from '../../models/doubles.ts';

test('doubles are 8 bytes each, the lowest first', () => {
  // IEEE 754: 1 is 3ff0000000000000, −2 is c000000000000000
  expect(Buffer.from(doubleBytes(Float64Array.of(1, -2))).toString('hex')).toBe('000000000000f03f00000000000000c0');
});

test('come back as they were, from any offset, and are then nobody else’s', () => {
  const doubles = fc.float64Array({ maxLength: 20 });
  const returns = fc.property(doubles, fc.nat(9), (values, offset) => {
    const framed = new Uint8Array(offset + 8 * values.length);
    framed.set(doubleBytes(values), offset);
    const back = doublesFrom(framed.subarray(offset));
    framed.fill(7);
    expect(back).toEqual(values);
  });
  fc.assert(returns);
});

test('are written from where a vector lies in a longer one', () => {
  const part = Float64Array.of(1, 2, 3).subarray(1, 2);
  expect(doublesFrom(doubleBytes(part))).toEqual(Float64Array.of(2));
});

test('are not read from bytes that are none', () => {
  expect(() => doublesFrom(new Uint8Array(7))).toThrow('7 bytes are no doubles');
});
