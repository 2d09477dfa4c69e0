import { expect, test } from 'vitest';
import { masking } from '../../../aggregation/masking/protocol.ts';
import { names } from '../../contracts/secure-sum-driver.ts';

const shape = { dimension: 3, tenants: 5, threshold: 3, minCohort: 3, colluders: 0, maxMagnitude: 100 };
const context = { shape, members: names(5), me: 'tenant-00', transcript: new Uint8Array(32) };
const withShape = (change: Partial<typeof shape>) => ({ ...context, shape: { ...shape, ...change } });

test('an epoch begins (control)', async () => {
  expect(await masking.tenant(context)).toBeDefined();
  expect(await masking.coordinator(context)).toBeDefined();
});

test.each([
  ['no coordinates', withShape({ dimension: 0 }), /dimension must be ≥ 1, got 0/],
  ['half a coordinate', withShape({ dimension: 1.5 }), /dimension must be ≥ 1, got 1.5/],
  ['one tenant to open', withShape({ threshold: 1 }), /threshold must be from 2 to the 5 members, got 1/],
  ['more to open than there are', withShape({ threshold: 6 }), /threshold must be from 2 to the 5 members, got 6/],
  ['sums no double holds', withShape({ maxMagnitude: 2 ** 53 }), /are not exact in doubles/],
  ['sums of no size', withShape({ maxMagnitude: Number.NaN }), RangeError],
  ['sums below nothing', withShape({ maxMagnitude: -1 }), RangeError],
  [
    'more members than one message speaks of',
    { ...context, members: names(201).sort() },
    /at most 200 members, got 201/,
  ],
  ['members out of order', { ...context, members: names(5).reverse() }, /must be sorted/],
  ['one member twice', { ...context, members: [...names(4), 'tenant-03'] }, /must be sorted/],
  ['a transcript that is none', { ...context, transcript: new Uint8Array(31) }, /a transcript is 32 bytes, got 31/],
] as const)('no epoch begins with %s', async (_, wrong, why) => {
  await expect(masking.tenant(wrong)).rejects.toThrow(why);
  await expect(masking.coordinator(wrong)).rejects.toThrow(why);
});

test('nor for a tenant that is no member', async () => {
  await expect(masking.tenant({ ...context, me: 'zero' })).rejects.toThrow(/zero is not a member/);
});
