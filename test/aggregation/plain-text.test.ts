import fc from 'fast-check';
import { expect, test } from 'vitest';
import { plainText } from '../../aggregation/plain-text.ts';

test('what a terminal obeys is shown, and not obeyed', () => {
  expect(plainText('no\u001b[2Kyes\r\u0007\u009b2A')).toBe('no\\u{1b}[2Kyes\\u{d}\\u{7}\\u{9b}2A');
  expect(plainText('\u202eevil\u2066')).toBe('\\u{202e}evil\\u{2066}');
});

test('what people write stays as it is, in lines', () => {
  for (const text of ['', 'ε ≤ 2, Zoë: “ja”\n\tund 王小明']) expect(plainText(text)).toBe(text);
});

test('of any text nothing is left that a terminal obeys', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(plainText(text)).not.toMatch(/[^\P{Cc}\n\t]|\p{Bidi_Control}/u);
    }),
  );
});
