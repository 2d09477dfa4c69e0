import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createIdentity } from '../../aggregation/identity.ts';
import { hex } from '../../aggregation/plan.ts';
import { isSignedRead, parseSignedRead, signRead } from '../../aggregation/signed-read.ts';

const tenant = createIdentity();
const read = { coordinator: 'a fingerprint', path: '/ledger?from=1', time: 1_700_000_000_000 };
const header = signRead(tenant, read);

test('what a tenant signs says whose key and when, and verifies for what was asked', () => {
  const parsed = parseSignedRead(header)!;
  expect(parsed).toMatchObject({ key: hex(tenant.publicKey), time: read.time });
  expect(isSignedRead(parsed, read)).toBe(true);
});

describe('it verifies for nothing else:', () => {
  const parsed = parseSignedRead(header)!;
  test.each([
    ['another path', { ...read, path: '/ledger' }],
    ['another coordinator', { ...read, coordinator: 'another fingerprint' }],
  ])('%s', (_, other) => {
    expect(isSignedRead(parsed, other)).toBe(false);
  });

  test('another time, another key, a signature with a bit flipped', () => {
    expect(isSignedRead({ ...parsed, time: read.time + 1 }, read)).toBe(false);
    expect(isSignedRead({ ...parsed, key: hex(createIdentity().publicKey) }, read)).toBe(false);
    const signature = Uint8Array.from(parsed.signature, (byte, i) => (i === 7 ? byte ^ 1 : byte));
    expect(isSignedRead({ ...parsed, signature }, read)).toBe(false);
  });
});

test('there is one way to write it: a header with any character changed, left out or added is no header, or does not verify', () => {
  const position = fc.nat(header.length - 1);
  const character = fc.string({ minLength: 0, maxLength: 2, unit: 'binary-ascii' });
  fc.assert(
    fc.property(position, fc.boolean(), character, (at, inPlace, text) => {
      const changed = header.slice(0, at) + text + header.slice(at + (inPlace ? 1 : 0));
      if (changed === header) return;
      const parsed = parseSignedRead(changed);
      expect(parsed !== undefined && isSignedRead(parsed, read)).toBe(false);
    }),
  );
});

test('hostile headers are none', () => {
  for (const text of [
    '',
    'Parley',
    'Bearer x',
    `${header} `,
    `${header}, key="x"`,
    header.replace('time=1', 'time=01'),
  ])
    expect(parseSignedRead(text)).toBeUndefined();
});
