import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Cover } from '../../../aggregation/masking/cover.ts';
import type { KeyAgreement, TenantId } from '../../../aggregation/secure-sum.ts';
import type { AllSaid } from '../../contracts/secure-sum-driver.ts';
import { playedThrough } from './masked-round.ts';

/**
 * A whole round as it was when its format was made: four tenants of which one is lost after dealing and one after
 * contributing, every byte of every statement. Tenants of different versions must understand each other, and who writes a
 * client in another language starts here.
 */
export interface FrozenRound {
  readonly keyAgreement: KeyAgreement;
  readonly vectors: Readonly<Record<TenantId, readonly number[]>>;
  /** by stage and tenant; bytes in hexadecimal, what is long as its hash */
  readonly said: Readonly<Record<string, Readonly<Record<TenantId, Written>>>>;
  readonly sum: readonly number[];
}

interface Written {
  readonly open: string;
  readonly vector?: string;
  readonly sealed: Readonly<Record<TenantId, string>>;
}

/** Of test/vectors. */
export const frozenVectors = (file: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../vectors/${file}`, import.meta.url), 'utf8'));

export const hash = (text: string | Uint8Array): Uint8Array =>
  new Uint8Array(createHash('sha256').update(text).digest());

/** SHAKE128 of the name, read from the start. */
export function streamOf(name: string) {
  const stream = createHash('shake128', { outputLength: 4096 }).update(name).digest();
  let used = 0;
  return {
    fill(words: Uint32Array) {
      for (let i = 0; i < words.length; i++, used += 4) words[i] = stream.readUInt32LE(used);
    },
  };
}

/** The same round today. */
export async function replayed(
  keyAgreement: KeyAgreement,
  maxMagnitude: number,
  coverOf?: (name: TenantId) => Cover,
): Promise<Pick<FrozenRound, 'said' | 'sum'>> {
  const round = await playedThrough(
    {
      ...{ tenants: 4, threshold: 2, dimension: 5, maxMagnitude, keyAgreement, random: streamOf },
      ...{ epoch: hash('epoch'), transcript: hash('round') },
      ...(coverOf && { cover: coverOf(''), coverOf }),
    },
    { contribute: ['tenant-01'], agree: ['tenant-03'] },
  );
  return {
    said: Object.fromEntries(Object.entries(round.said).map(([stage, all]) => [stage, readable(all)])),
    sum: await round.sum(),
  };
}

/** What the vectors of those that contributed add up to. */
export function sumOfVectors({ said, vectors, sum }: FrozenRound): number[] {
  const contributors = Object.keys(said['contribute']!);
  return sum.map((_, k) => contributors.reduce((total, name) => total + vectors[name]![k]!, 0));
}

const readable = (said: AllSaid): Record<TenantId, Written> =>
  Object.fromEntries(
    [...said].map(([name, { open, vector, sealed }]) => [
      name,
      {
        ...{ open: written(open), ...(vector && { vector: written(vector) }) },
        sealed: Object.fromEntries([...sealed].map(([to, bytes]) => [to, written(bytes)])),
      },
    ]),
  );

const written = (bytes: Uint8Array): string =>
  bytes.length > 256
    ? `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    : Buffer.from(bytes).toString('hex');
