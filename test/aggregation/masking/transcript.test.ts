import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { KEY_AGREEMENTS, type KeyAgreement, type TenantId } from '../../../aggregation/secure-sum.ts';
import type { AllSaid } from '../../contracts/secure-sum-driver.ts';
import { playedThrough } from './masked-round.ts';

/*
 * A whole round as it was when the format was made: four tenants of which one is lost after dealing and one after
 * contributing, every byte of every statement. Tenants of different versions must understand each other, and who writes a
 * client in another language starts here.
 */
interface Frozen {
  readonly source: string;
  readonly transcripts: readonly {
    readonly keyAgreement: KeyAgreement;
    readonly vectors: Readonly<Record<TenantId, readonly number[]>>;
    readonly said: Readonly<
      Record<string, Readonly<Record<TenantId, { open: string; vector?: string; sealed: Record<TenantId, string> }>>>
    >;
    readonly sum: readonly number[];
  }[];
}
const frozen = JSON.parse(
  readFileSync(new URL('../../vectors/masking-transcript.json', import.meta.url), 'utf8'),
) as Frozen;

const hash = (text: string) => new Uint8Array(createHash('sha256').update(text).digest());

/** SHAKE128 of the tenant's name, read from the start. */
function streamOf(name: TenantId) {
  const stream = createHash('shake128', { outputLength: 4096 }).update(name).digest();
  let used = 0;
  return {
    fill(words: Uint32Array) {
      for (let i = 0; i < words.length; i++, used += 4) words[i] = stream.readUInt32LE(used);
    },
  };
}

/** What is long is there as its hash. */
const written = (bytes: Uint8Array) =>
  bytes.length > 256
    ? `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    : Buffer.from(bytes).toString('hex');

const readable = (said: AllSaid) =>
  Object.fromEntries(
    [...said].map(([name, { open, vector, sealed }]) => [
      name,
      {
        ...{ open: written(open), ...(vector && { vector: written(vector) }) },
        sealed: Object.fromEntries([...sealed].map(([to, bytes]) => [to, written(bytes)])),
      },
    ]),
  );

const replayed = async (keyAgreement: KeyAgreement) => {
  const round = await playedThrough(
    {
      ...{ tenants: 4, threshold: 2, dimension: 5, maxMagnitude: 2 ** 40, keyAgreement, random: streamOf },
      ...{ epoch: hash('epoch'), transcript: hash('round') },
    },
    { contribute: ['tenant-01'], agree: ['tenant-03'] },
  );
  return {
    said: Object.fromEntries(Object.entries(round.said).map(([s, all]) => [s, readable(all)])),
    sum: await round.sum(),
  };
};

describe.each(KEY_AGREEMENTS)('a round with keys agreed by %s', (keyAgreement) => {
  const expected = frozen.transcripts.find((one) => one.keyAgreement === keyAgreement)!;

  test('is what it was, byte by byte', async () => {
    const { said, sum } = await replayed(keyAgreement);
    expect(said).toEqual(expected.said);
    expect(sum).toEqual(expected.sum);
  });

  test('opens to the sum of those that contributed', () => {
    const contributors = Object.keys(expected.said['contribute']!);
    expect(contributors).toEqual(['tenant-00', 'tenant-02', 'tenant-03']);
    const sum = expected.sum.map((_, k) =>
      contributors.reduce((total, name) => total + expected.vectors[name]![k]!, 0),
    );
    expect(expected.sum).toEqual(sum);
  });
});
