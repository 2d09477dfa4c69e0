import { describe, expect, test } from 'vitest';
import { KEY_AGREEMENTS } from '../../../aggregation/secure-sum.ts';
import { type FrozenRound, frozenVectors, replayed, sumOfVectors } from './frozen.ts';

const { transcripts } = frozenVectors('masking-transcript.json') as { readonly transcripts: readonly FrozenRound[] };

describe.each(KEY_AGREEMENTS)('a round with keys agreed by %s', (keyAgreement) => {
  const expected = transcripts.find((one) => one.keyAgreement === keyAgreement)!;

  test('is what it was, byte by byte', async () => {
    const { said, sum } = await replayed(keyAgreement, 2 ** 40);
    expect(said).toEqual(expected.said);
    expect(sum).toEqual(expected.sum);
  });

  test('opens to the sum of those that contributed', () => {
    expect(Object.keys(expected.said['contribute']!)).toEqual(['tenant-00', 'tenant-02', 'tenant-03']);
    expect(expected.sum).toEqual(sumOfVectors(expected));
  });
});
