import { describe, expect, test } from 'vitest';
import { latticeCover } from '../../../aggregation/lattice-mask/cover.ts';
import { KEY_AGREEMENTS, type SumShape, type TenantId } from '../../../aggregation/secure-sum.ts';
import { noised } from '../../contracts/secure-sum-driver.ts';
import { BOTH } from '../kernels/both.ts';
import { type FrozenRound, frozenVectors, hash, replayed, streamOf, sumOfVectors } from '../masking/frozen.ts';

interface FrozenLattice extends FrozenRound {
  readonly maxMagnitude: number;
  /** what each hid its vector with, and the SHA-256 of what came out */
  readonly hidden: Readonly<
    Record<TenantId, { occasion: string; masks: readonly { key: string; adds: boolean }[]; vector: string }>
  >;
}
const { transcripts } = frozenVectors('lattice-mask-transcript.json') as { transcripts: readonly FrozenLattice[] };
const [kernels] = BOTH;
const coverOf = (name: TenantId) => latticeCover(kernels!, streamOf(`key of ${name}`));
const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));

/** In lanes of 23 bits and of 46. */
describe.each(KEY_AGREEMENTS)('a round with keys agreed by %s', (keyAgreement) => {
  const expected = transcripts.find((one) => one.keyAgreement === keyAgreement)!;

  test('is what it was, byte by byte', async () => {
    const { said, sum } = await replayed(keyAgreement, expected.maxMagnitude, coverOf);
    expect(said).toEqual(expected.said);
    expect(sum).toEqual(expected.sum);
    expect(sum).toEqual(sumOfVectors(expected));
  });

  test.each(Object.keys(expected.hidden))(
    'hides the vector of %s in the bytes it did, in both kernels',
    async (name) => {
      const { occasion, masks, vector } = expected.hidden[name]!;
      const values = noised(expected.vectors[name]!);
      const shape: SumShape = {
        ...{ dimension: values.length, maxMagnitude: expected.maxMagnitude },
        ...{ tenants: 4, threshold: 2, minCohort: 2, colluders: 0 },
      };
      for (const one of BOTH) {
        const keys = masks.map(({ key, adds }) => ({ key: bytes(key), sign: adds ? (1 as const) : (-1 as const) }));
        const hidden = await latticeCover(one, streamOf(`key of ${name}`)).hide(values, keys, {
          identity: bytes(occasion),
          shape,
        });
        expect(hash(hidden)).toEqual(bytes(vector));
      }
      expect(expected.said['contribute']![name]!.vector).toBe(`sha256:${vector}`);
    },
  );
});
