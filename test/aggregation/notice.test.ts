import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createIdentity, isSignedBy } from '../../aggregation/identity.ts';
import {
  isSignedNotice,
  type Notice,
  nextKeyDigest,
  noticeDigest,
  noticeSchema,
  receiptDigest,
  type SignedNotice,
  signedNoticeSchema,
  signNotice,
} from '../../aggregation/notice.ts';
import { hex } from '../../aggregation/plan.ts';

const FEDERATION = 'f'.repeat(64);
const [amber, next, blue, coordinator] = [createIdentity(), createIdentity(), createIdentity(), createIdentity()];
const common = { tenant: 'amber', key: hex(amber.publicKey), nonce: 'a'.repeat(64) };
const rekeying: Notice = { kind: 're-key', ...common, next: hex(next.publicKey) };
const leaving: Notice = { kind: 'leave', ...common };
const erasing: Notice = { kind: 'erasure', ...common };

const rekey = signNotice(rekeying, FEDERATION, amber.sign, next.sign);
const leave = signNotice(leaving, FEDERATION, amber.sign);

test('a notice signed by the tenant, and by its new key where there is one, holds', () => {
  expect(isSignedNotice(rekey, FEDERATION)).toBe(true);
  expect(isSignedNotice(leave, FEDERATION)).toBe(true);
  expect(isSignedNotice(signNotice(erasing, FEDERATION, amber.sign), FEDERATION)).toBe(true);
  for (const signed of [rekey, leave]) expect(signedNoticeSchema.parse(signed)).toEqual(signed);
});

describe('a notice does not hold', () => {
  const others: readonly [string, SignedNotice][] = [
    ['that another tenant signed', signNotice(leaving, FEDERATION, blue.sign)],
    ['that the coordinator signed', signNotice(leaving, FEDERATION, coordinator.sign)],
    ['that is meant for another federation', signNotice(leaving, 'e'.repeat(64), amber.sign)],
    ['of a new key that did not sign', signNotice(rekeying, FEDERATION, amber.sign)],
    ['of a new key for which the old one signed', signNotice(rekeying, FEDERATION, amber.sign, amber.sign)],
    ['of a new key that stands for the old one', signNotice(rekeying, FEDERATION, next.sign, next.sign)],
    [
      'whose two signatures were exchanged',
      { ...rekey, signature: rekey.nextSignature!, nextSignature: rekey.signature },
    ],
    ['that leaves, with a signature of a new key', { ...leave, nextSignature: rekey.nextSignature! }],
    ['whose kind was exchanged', { ...leave, notice: erasing }],
  ];
  test.each(others)('%s', (_, signed) => {
    expect(isSignedNotice(signed, FEDERATION)).toBe(false);
  });

  test('in which any character was changed', () => {
    const fields = ['tenant', 'key', 'nonce', 'next'] as const;
    fc.assert(
      fc.property(fc.constantFrom(...fields), fc.nat(63), (field, at) => {
        const text = rekeying[field];
        const place = at % text.length;
        const changed = text.slice(0, place) + (text[place] === 'b' ? 'c' : 'b') + text.slice(place + 1);
        expect(isSignedNotice({ ...rekey, notice: { ...rekeying, [field]: changed } }, FEDERATION)).toBe(false);
      }),
    );
  });
});

test('what the tenant, the new key and the coordinator sign is never the same', () => {
  const digests = [noticeDigest, nextKeyDigest, receiptDigest].flatMap((digest) =>
    [rekeying, leaving, erasing].map((notice) => hex(digest(notice, FEDERATION))),
  );
  expect(new Set(digests).size).toBe(9);
});

test('a receipt is for one notice of one federation', () => {
  const receipt = coordinator.sign(receiptDigest(leaving, FEDERATION));
  const holds = (notice: Notice, federation = FEDERATION): boolean =>
    isSignedBy(coordinator.publicKey, receiptDigest(notice, federation), receipt);
  expect(holds(leaving)).toBe(true);
  expect(holds(erasing)).toBe(false);
  expect(holds({ ...leaving, nonce: 'b'.repeat(64) })).toBe(false);
  expect(holds(leaving, 'e'.repeat(64))).toBe(false);
});

test('a notice of an erasure has no room for who, or how many', () => {
  for (const more of [{ customer: 'x' }, { count: 1 }, { row: 2 }])
    expect(noticeSchema.safeParse({ ...erasing, ...more }).success).toBe(false);
});
