import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ByteSource, Kernels } from '../../../aggregation/kernels/kernels.ts';
import { packedBytes } from '../../../aggregation/kernels/rings.ts';
import {
  type KeyAgreement,
  ProtocolBroken,
  type Received,
  type Said,
  type SumShape,
  type TenantId,
} from '../../../aggregation/secure-sum.ts';
import { asHeard, inMemory } from '../../../aggregation/stored-vector.ts';
import { type Arithmetic, arithmetic, kernelsFor } from '../../../aggregation/threshold-he/arithmetic.ts';
import { NONCE_BYTES, occasionOf } from '../../../aggregation/threshold-he/contribution.ts';
import { coordinatorEpoch } from '../../../aggregation/threshold-he/coordinator.ts';
import { type EpochKeys, keying } from '../../../aggregation/threshold-he/keying.ts';
import { profileOf } from '../../../aggregation/threshold-he/parameters.ts';
import { deal } from '../../../aggregation/threshold-he/shamir.ts';
import { sha256 } from '../../../aggregation/transcript.ts';
import { type AllSaid, heardBy, NO_RECORD } from '../../contracts/secure-sum-driver.ts';
import { vectors } from '../../privacy/vectors.ts';
import { BOTH } from '../kernels/both.ts';

/*
 * A conversation of two as it was when its format was made. SEAL draws keys and errors by itself, so what they say cannot be
 * said again byte by byte; what follows from seeds must follow from them, and what was recorded must open. Tenants of
 * different versions must understand each other, and who writes a client in another language starts here.
 */
interface Conversation {
  readonly keyAgreement: KeyAgreement;
  readonly dimension: number;
  readonly maxMagnitude: number;
  /** by name; bytes in hexadecimal, what is long as its hash */
  readonly announced: Readonly<Record<TenantId, string>>;
  readonly identity: string;
  readonly pairSecret: string;
  /** of the first to the second; empty with X25519 alone */
  readonly offer: string;
  readonly contributions: Readonly<Record<TenantId, { readonly open: string; readonly vector: string }>>;
  readonly sumHash: string;
  readonly sum: readonly number[];
  /** shares at 1, 2 and 200, three needed */
  readonly dealt: readonly string[];
}
const { conversations } = vectors<{ readonly conversations: readonly Conversation[] }>('threshold-he-conversation');

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const hex = (of: Uint8Array): string => Buffer.from(of).toString('hex');
const written = (of: Uint8Array): string =>
  of.length === 0 ? '' : of.length > 256 ? `sha256:${hex(sha256(of))}` : hex(of);

/** SHAKE128 of the name, read from the start. */
function streamOf(name: string): ByteSource {
  const stream = createHash('shake128', { outputLength: 2 ** 20 })
    .update(name)
    .digest();
  let used = 0;
  return {
    fill(into) {
      into.set(stream.subarray(used, used + into.length));
      used += into.length;
    },
  };
}

describe.each(conversations)('a conversation with keys agreed by $keyAgreement', (recorded) => {
  const { keyAgreement, dimension, maxMagnitude } = recorded;
  const members = Object.keys(recorded.announced).sort() as [TenantId, TenantId];
  const [first, second] = members;
  const shape: SumShape = {
    ...{ dimension, maxMagnitude, keyAgreement },
    ...{ tenants: 2, threshold: 2, minCohort: 2, colluders: 0 },
  };
  const transcript = sha256('epoch');
  const profile = profileOf(shape);
  let tools: Arithmetic;
  beforeAll(async () => {
    tools = await arithmetic(profile);
  });
  const withKernels = (kernels: Kernels): Arithmetic => ({ ...tools, ...kernelsFor(profile, kernels) });

  test('makes the same keys and secrets of the same seeds', () => {
    const each = new Map(members.map((me) => [me, keying({ shape, members, me, transcript }, tools, sha256(me))]));
    const saying = (answer: (name: TenantId) => Said): AllSaid => new Map(members.map((name) => [name, answer(name)]));
    const announced = saying((name) => each.get(name)!.announce(new Map()));
    for (const [name, { open }] of announced) expect(written(open)).toBe(recorded.announced[name]);
    const dealt = saying((name) => each.get(name)!.deal(heardBy(name, announced)));
    const letter = dealt.get(first)!.sealed.get(second)!;
    const offer = letter.subarray(0, letter.length - packedBytes(profile.ring) - 28);
    expect(written(offer)).toBe(recorded.offer);
    const confirmed = saying((name) => each.get(name)!.confirm(heardBy(name, dealt)));
    const keys = members.map((name): EpochKeys => each.get(name)!.finish(heardBy(name, confirmed)));
    for (const [i, { identity, secrets }] of keys.entries()) {
      expect(hex(identity)).toBe(recorded.identity);
      expect(hex(secrets.get(members[1 - i]!)!)).toBe(recorded.pairSecret);
    }
  });

  test.each(BOTH.map((kernels, i) => [['WebAssembly', 'TypeScript'][i]!, kernels] as const))(
    'deals the same shares of the same key, by %s',
    (_, kernels) => {
      const { ring } = withKernels(kernels);
      const shares = deal(ring, ring.uniform(streamOf('secret')), {
        ...{ threshold: 3, xs: [1, 2, 200], random: streamOf('dealing') },
      });
      const packed = shares.map((share) => {
        const into = new Uint8Array(packedBytes(ring.ring));
        ring.pack(share, into, 0);
        return written(into);
      });
      expect(packed).toEqual(recorded.dealt);
    },
  );

  /** Contributions and shares as the coordinator had them. */
  const stored = (): Map<TenantId, Received>[] => {
    const file = readFileSync(new URL(`../../vectors/threshold-he-${keyAgreement}.bin`, import.meta.url));
    const each = file.length / 4;
    const part = (i: number) => inMemory(file.subarray(i * each, (i + 1) * each));
    const said = (open: Uint8Array, i: number): Received => ({ open, sealed: new Map(), vector: part(i) });
    return [
      new Map(members.map((name, i) => [name, said(bytes(recorded.contributions[name]!.open), i)])),
      new Map(members.map((name, i) => [name, said(new Uint8Array(0), 2 + i)])),
    ];
  };
  const coordinator = async (with_: Arithmetic) => {
    const epoch = coordinatorEpoch({ shape, members, transcript }, with_);
    const confirmed: Received = { open: bytes(recorded.identity), sealed: new Map() };
    await epoch.keyed(new Map(members.map((name) => [name, confirmed])));
    return epoch;
  };

  test('is of its occasion, and its sum has its identity', async () => {
    const [contributions] = stored();
    for (const [name, { open, vector }] of contributions!) {
      expect(written(vector!.read(0, vector!.length))).toBe(recorded.contributions[name]!.vector);
      const nonces = new Map([...contributions!].map(([one, said]) => [one, said.open.subarray(0, NONCE_BYTES)]));
      const occasion = occasionOf(bytes(recorded.identity), sha256('round'), nonces);
      expect(hex(open.subarray(NONCE_BYTES))).toBe(hex(occasion));
    }
    expect(hex(await (await coordinator(tools)).sumHash(contributions!))).toBe(recorded.sumHash);
    expect(asHeard(contributions!).size).toBe(2);
  });

  test.each(BOTH.map((kernels, i) => [['WebAssembly', 'TypeScript'][i]!, kernels] as const))(
    'opens to its sum, by %s, and to nothing with a share in the place of another',
    async (_, kernels) => {
      const epoch = await coordinator(withKernels(kernels));
      const [contributions, shares] = stored();
      expect([...(await epoch.open(contributions!, shares!, NO_RECORD))]).toEqual(recorded.sum);
      const twice = new Map(shares!).set(second, shares!.get(first)!);
      await expect(epoch.open(contributions!, twice, NO_RECORD)).rejects.toThrow(ProtocolBroken);
    },
  );
});
