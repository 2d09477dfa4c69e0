import { expect, test } from 'vitest';
import { DEGREE } from '../../../aggregation/kernels/rings.ts';
import { arithmetic } from '../../../aggregation/threshold-he/arithmetic.ts';
import { commonPolynomial } from '../../../aggregation/threshold-he/contribution.ts';
import { ownKey } from '../../../aggregation/threshold-he/own-key.ts';
import { CLASSICAL } from '../../../aggregation/threshold-he/parameters.ts';
import { zero } from '../../../aggregation/threshold-he/polynomial.ts';
import { contributionVector, openingVector } from '../../../aggregation/threshold-he/vectors.ts';
import { product, total } from './insiders.ts';

const tools = await arithmetic(CLASSICAL);
const { ring, seal } = tools;
const occasion = new Uint8Array(32).fill(5);

test('a contribution holds its slots, each polynomial under its own a, and leaves none behind', async () => {
  const key = ownKey(tools);
  const slots = Float64Array.from({ length: DEGREE + 3 }, (_, i) => 1000 + i);
  const expected = slots.slice();
  const vector = await contributionVector(tools, slots, { key, occasion, masks: [] });
  expect(slots).toEqual(new Float64Array(DEGREE + 3));
  const opened = [0, 1].flatMap((k) => {
    const ciphertext = ring.unpack(vector.subarray(k * 53_760, (k + 1) * 53_760))!;
    return [...seal.decode(total([ciphertext, product(commonPolynomial(ring, occasion, k), key.secret)]))];
  });
  expect(opened.slice(0, DEGREE + 3)).toEqual([...expected]);
  expect(opened.slice(DEGREE + 3).every((slot) => slot === 0)).toBe(true);
});

test('slots are overwritten though encrypting them fails', async () => {
  const key = ownKey(tools);
  key.forget();
  const slots = new Float64Array(5).fill(77);
  await expect(contributionVector(tools, slots, { key, occasion, masks: [] })).rejects.toThrow('forgotten');
  expect(slots).toEqual(new Float64Array(5));
});

test('a share of the keys is overwritten once it has opened', async () => {
  const share = seal.secretKey();
  const opening = openingVector(tools, 2, { share, occasion, masks: [] });
  expect((await opening).length).toBe(2 * 53_760);
  expect(share).toEqual(zero());
});
