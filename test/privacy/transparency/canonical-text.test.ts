import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  base64,
  decimal,
  hasControl,
  parseBase64,
  parseDecimal,
  parseHash,
  TransparencyRefused,
} from '../../../privacy/transparency/canonical-text.ts';

test('bytes and numbers come back as they were written', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      expect(parseBase64(base64(bytes), 'x')).toEqual(bytes);
      // a part of a larger buffer is written alone
      expect(base64(new Uint8Array([9, ...bytes, 9]).subarray(1, -1))).toBe(base64(bytes));
    }),
  );
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      expect(parseDecimal(decimal(value, 'x'), 'x')).toBe(value);
    }),
  );
});

// RFC 4648 §10, and spellings that lenient readers take for the same bytes
test.each(['Zg==', 'Zm8=', 'Zm9v', 'Zm9vYg==', ''])('%j is base64', (text) => {
  expect(base64(parseBase64(text, 'x'))).toBe(text);
});
test.each(['Zg', 'Zg=', 'Zg===', 'Zh==', 'Zm9=', ' Zg==', 'Zg==\n', 'Z g==', 'Zm9v=', '_-8=', 'Zm9v!', 'Zg==Zg=='])(
  '%j is not canonical base64',
  (text) => {
    expect(() => parseBase64(text, 'the field')).toThrow(/^the field: not canonical base64/);
  },
);

test.each(['0', '7', '9007199254740991'])('%j is a number', (text) => {
  expect(String(parseDecimal(text, 'x'))).toBe(text);
});
test.each([
  '',
  '00',
  '01',
  '-1',
  '+1',
  '1.0',
  '1e3',
  ' 1',
  '1 ',
  '1\n',
  '0x1',
  '9007199254740992',
  '99999999999999999',
])('%j is no number of ours', (text) => {
  expect(() => parseDecimal(text, 'the field')).toThrow(TransparencyRefused);
});

test('a hash has 32 bytes', () => {
  expect(parseHash(base64(new Uint8Array(32)), 'x')).toHaveLength(32);
  for (const length of [0, 31, 33]) {
    expect(() => parseHash(base64(new Uint8Array(length)), 'x')).toThrow(TransparencyRefused);
  }
});

test.each([-1, 0.5, Number.NaN, 2 ** 53])('%d is not written', (value) => {
  expect(() => decimal(value, 'size')).toThrow(RangeError);
});

test('a control character is found, the allowed ones are not', () => {
  for (const control of ['\x00', '\t', '\n', '\r', '\x1f']) expect(hasControl(`a${control}b`)).toBe(true);
  expect(hasControl('a b\x7f\u2028é')).toBe(false);
  expect(hasControl('a\tb\n', '\t\n')).toBe(false);
  expect(hasControl('a\tb\r\n', '\t\n')).toBe(true);
});
