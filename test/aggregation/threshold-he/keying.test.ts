import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { HE_RING } from '../../../aggregation/kernels/rings.ts';
import { ProtocolBroken, type Said, type TenantId } from '../../../aggregation/secure-sum.ts';
import { asHeard } from '../../../aggregation/stored-vector.ts';
import { arithmetic } from '../../../aggregation/threshold-he/arithmetic.ts';
import { keying } from '../../../aggregation/threshold-he/keying.ts';
import { CLASSICAL } from '../../../aggregation/threshold-he/parameters.ts';
import { constant } from '../../../aggregation/threshold-he/polynomial.ts';
import { thresholdHe } from '../../../aggregation/threshold-he/protocol.ts';
import { lagrangeAtZero } from '../../../aggregation/threshold-he/shamir.ts';
import { tenantEpoch } from '../../../aggregation/threshold-he/tenant.ts';
import {
  type AllSaid,
  driveKeying,
  driveRound,
  heardBy,
  names,
  noised,
  received,
} from '../../contracts/secure-sum-driver.ts';
import { coefficientsOf, insiders, product, type Tamper, total } from './insiders.ts';

/** One tenant's words replaced, in one stage. */
const replaced =
  (stage: Parameters<Tamper>[0], from: TenantId, by: (said: Said, all: AllSaid, recipient: TenantId) => Said): Tamper =>
  (at, said, recipient) =>
    at === stage ? new Map(said).set(from, by(said.get(from)!, said, recipient)) : said;

const dropped =
  (stage: Parameters<Tamper>[0], from: TenantId): Tamper =>
  (at, said) => {
    const rest = new Map(said);
    if (at === stage) rest.delete(from);
    return rest;
  };

const flipped = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
const attempt = (tamper: Tamper) => insiders(4, 3, { tamper });
const broken = (tenant: TenantId, words: RegExp) =>
  expect.objectContaining({ name: 'ProtocolBroken', tenant, message: expect.stringMatching(words) });

describe('keying', () => {
  test('leaves every member with a share of every key, and no key with anyone', async () => {
    const { keys, members } = await insiders(4, 3);
    const set = members.slice(1);
    for (const owner of members) {
      const parts = set.map((holder) => {
        const { dealt, x } = keys.get(holder)!;
        const lambda = lagrangeAtZero(
          x.get(holder)!,
          set.map((name) => x.get(name)!),
          HE_RING,
        );
        return product(dealt.get(owner)!, constant(lambda));
      });
      const coefficients = coefficientsOf(total(parts));
      const [one, minusOne] = [1, Number(140_737_488_273_408n & 0xffffffffn)];
      expect(coefficients.subarray(0, 8192).every((word, i) => i % 2 === 1 || [0, one, minusOne].includes(word))).toBe(
        true,
      );
      expect(keys.get(owner)!.own.secret.every((word) => word === 0)).toBe(true);
    }
  });

  test('gives each pair one secret and no two pairs the same', async () => {
    const { keys, members } = await insiders(4, 3);
    const seen = new Set<string>();
    for (const a of members) {
      for (const b of members.filter((name) => name !== a)) {
        const secret = Buffer.from(keys.get(a)!.secrets.get(b)!).toString('hex');
        expect(secret).toBe(Buffer.from(keys.get(b)!.secrets.get(a)!).toString('hex'));
        seen.add(secret);
      }
    }
    expect(seen.size).toBe(6);
  });

  test('gives new secrets to the same members in another epoch', async () => {
    const [first, second] = [await insiders(3, 2), await insiders(3, 2)];
    expect(first.keys.get('tenant-00')!.identity).not.toEqual(second.keys.get('tenant-00')!.identity);
  });

  test('keeps positions when a member in the middle never came', async () => {
    const shape = { dimension: 3, tenants: 5, threshold: 3, minCohort: 3, colluders: 0, maxMagnitude: 100 };
    const epoch = await driveKeying(thresholdHe, shape, ['tenant-02']);
    const vectors = new Map(epoch.members.map((name, i) => [name, noised([i, -i, 1])]));
    expect([...(await driveRound(epoch, vectors, epoch.members.slice(1)))]).toEqual([6, -6, 4]);
    epoch.forget();
  });
});

describe('keying stops, and names the tenant, when', () => {
  test.each<[string, TenantId, RegExp, Tamper]>([
    [
      'a key is announced twice',
      'tenant-02',
      /already taken/,
      replaced('announce', 'tenant-02', (_, all) => all.get('tenant-01')!),
    ],
    [
      'a key is too short',
      'tenant-01',
      /length/,
      replaced('announce', 'tenant-01', () => ({ open: new Uint8Array(31), sealed: new Map() })),
    ],
    [
      'a key is the point 0',
      'tenant-01',
      /usable/,
      replaced('announce', 'tenant-01', () => ({ open: new Uint8Array(32), sealed: new Map() })),
    ],
    [
      'a key is a point of low order',
      'tenant-01',
      /usable/,
      replaced('announce', 'tenant-01', () => ({ open: LOW_ORDER, sealed: new Map() })),
    ],
    [
      'mine is exchanged for another',
      'tenant-00',
      /dropped or changed/,
      replaced('announce', 'tenant-00', () => ({ open: new Uint8Array(randomBytes(32)), sealed: new Map() })),
    ],
    ['mine is left out', 'tenant-00', /dropped or changed/, dropped('announce', 'tenant-00')],
    [
      'a dealt share is altered',
      'tenant-03',
      /does not open/,
      replaced('deal', 'tenant-03', (said, _, to) => ({
        ...said,
        sealed: new Map(said.sealed).set(to, flipped(said.sealed.get(to) ?? new Uint8Array(1), 40)),
      })),
    ],
    [
      'a dealt share’s tag is altered',
      'tenant-03',
      /does not open/,
      replaced('deal', 'tenant-03', (said, _, to) => ({
        ...said,
        sealed: new Map(said.sealed).set(to, flipped(said.sealed.get(to) ?? new Uint8Array(1), 53_787)),
      })),
    ],
    [
      'a dealt share is cut short',
      'tenant-03',
      /does not open/,
      replaced('deal', 'tenant-03', (said, _, to) => ({
        ...said,
        sealed: new Map(said.sealed).set(to, said.sealed.get(to)?.subarray(0, 9) ?? new Uint8Array(1)),
      })),
    ],
    [
      'a dealt share is someone else’s',
      'tenant-03',
      /does not open/,
      replaced('deal', 'tenant-03', (said, _, to) => ({
        ...said,
        sealed: new Map([[to, said.sealed.get(to === 'tenant-01' ? 'tenant-02' : 'tenant-01')!]]),
      })),
    ],
    [
      'a dealt share comes from another dealer',
      'tenant-03',
      /does not open/,
      replaced('deal', 'tenant-03', (said, all, to) => ({
        ...said,
        sealed: new Map([
          [to, all.get(to === 'tenant-01' ? 'tenant-02' : 'tenant-01')!.sealed.get(to) ?? new Uint8Array(0)],
        ]),
      })),
    ],
    [
      'a dealt share is the one I dealt, sent back',
      'tenant-03',
      /does not open/,
      replaced('deal', 'tenant-03', (said, all, to) => ({
        ...said,
        sealed: new Map([[to, all.get(to)!.sealed.get('tenant-03') ?? new Uint8Array(0)]]),
      })),
    ],
    [
      'no share was dealt',
      'tenant-03',
      /no share/,
      replaced('deal', 'tenant-03', (said) => ({ ...said, sealed: new Map() })),
    ],
    ['a dealer falls silent', 'tenant-03', /said nothing/, dropped('deal', 'tenant-03')],
    [
      'a member confirms other keys',
      'tenant-02',
      /other keys/,
      replaced('confirm', 'tenant-02', (said) => ({ ...said, open: flipped(said.open, 3) })),
    ],
    ['a member does not confirm', 'tenant-02', /said nothing/, dropped('confirm', 'tenant-02')],
  ])('%s', async (_, tenant, words, tamper) => {
    await expect(attempt(tamper)).rejects.toEqual(broken(tenant, words));
  });

  test('two members were shown different keys of a third', async () => {
    const other = new Uint8Array(randomBytes(32));
    other[31] = 0x40;
    const split: Tamper = (stage, said, recipient) =>
      stage === 'announce' && recipient === 'tenant-00'
        ? new Map(said).set('tenant-03', { open: other, sealed: new Map() })
        : said;
    await expect(attempt(split)).rejects.toThrow(ProtocolBroken);
  });

  test('a dealt share, or all that was announced, is of another epoch of the same members', async () => {
    const before: Partial<Record<Parameters<Tamper>[0], AllSaid>> = {};
    await insiders(4, 3, { tamper: (stage, said) => (before[stage] ??= said) });
    const replayed =
      (at: Parameters<Tamper>[0]): Tamper =>
      (stage, said, recipient) =>
        stage === at && recipient === 'tenant-00'
          ? new Map(said).set('tenant-03', before[at]!.get('tenant-03')!)
          : said;
    await expect(attempt(replayed('deal'))).rejects.toEqual(broken('tenant-03', /does not open/));
    await expect(attempt(replayed('confirm'))).rejects.toEqual(broken('tenant-03', /other keys/));
    await expect(attempt((stage, said) => (stage === 'announce' ? before.announce! : said))).rejects.toEqual(
      broken('tenant-00', /dropped or changed/),
    );
    await expect(attempt(replayed('announce'))).rejects.toThrow(ProtocolBroken); // its pair secret is another now
  });

  test.each<[string, { members?: TenantId[]; threshold?: number; transcript?: Uint8Array }]>([
    ['other members, who number the parties otherwise', { members: ['a', ...names(3)] }],
    ['another threshold', { threshold: 3 }],
    ['another transcript', { transcript: new Uint8Array(32).fill(1) }],
  ])('one was told %s', async (_, told) => {
    const tools = await arithmetic(CLASSICAL);
    const each = names(3).map((me, i) => {
      const { members = names(3), threshold = 2, transcript = new Uint8Array(32) }: typeof told = i === 0 ? told : {};
      const shape = { dimension: 1, tenants: 3, threshold, minCohort: 2, colluders: 0, maxMagnitude: 1 };
      return keying({ shape, members, me, transcript }, tools);
    });
    const all = (answer: (one: (typeof each)[number], name: TenantId) => Said): AllSaid =>
      new Map(names(3).map((name, i) => [name, answer(each[i]!, name)]));
    const announced = all((one) => one.announce(new Map()));
    const dealt = all((one, name) => one.deal(heardBy(name, announced)));
    expect(() => each[0]!.confirm(heardBy('tenant-00', dealt))).toThrow(/does not open/);
    expect(() => each[1]!.confirm(heardBy('tenant-01', dealt))).toThrow(/does not open.*tenant-00/);
  });

  test('a stranger announces a key', async () => {
    const stranger: Tamper = (stage, said) =>
      stage === 'announce'
        ? new Map(said).set('zero', { open: new Uint8Array(randomBytes(32)), sealed: new Map() })
        : said;
    await expect(attempt(stranger)).rejects.toEqual(broken('zero', /no member/));
  });

  test('fewer announced than are needed to open', async () => {
    const few: Tamper = (_, said, recipient) =>
      new Map([...said].filter(([name]) => name === recipient || name === 'tenant-03'));
    await expect(attempt(few)).rejects.toThrow(/2 members announced keys, 3 are needed/);
  });

  test('a residue of a dealt share is not below its prime', async () => {
    // the dealer seals correctly, so only the check of residues is left to notice
    const tools = await arithmetic(CLASSICAL);
    const members = names(2);
    const shape = { dimension: 1, tenants: 2, threshold: 2, minCohort: 2, colluders: 0, maxMagnitude: 1 };
    const transcript = new Uint8Array(32);
    for (const [filling, words] of [
      [0xff, /does not open/],
      [0, undefined], // the seal itself was good
    ] as const) {
      const bent = {
        ...tools,
        ring: { ...tools.ring, pack: (_: Uint32Array, into: Uint8Array) => into.fill(filling) },
      };
      const both = members.map((me, i) => keying({ shape, members, me, transcript }, i === 0 ? tools : bent));
      const announced = new Map(both.map((one, i) => [members[i]!, one.announce(new Map())]));
      const dealt = new Map(both.map((one, i) => [members[i]!, one.deal(asHeard(received(announced)))]));
      const confirm = () => both[0]!.confirm(heardBy(members[0]!, dealt));
      if (words) expect(confirm).toThrow(words);
      else expect(confirm).not.toThrow();
    }
  });
});

/** A point of order 8 (RFC 7748 §6.1 says to check for the zero it leads to). */
const LOW_ORDER = Buffer.from('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800', 'hex');

describe('an epoch', () => {
  const context = {
    shape: { dimension: 2, tenants: 3, threshold: 2, minCohort: 2, colluders: 0, maxMagnitude: 10 },
    members: names(3),
    me: 'tenant-00',
    transcript: new Uint8Array(32),
  };

  test('answers its stages in order, each once', async () => {
    const epoch = tenantEpoch(context, await arithmetic(CLASSICAL));
    await expect(epoch.key(1, new Map())).rejects.toThrow(RangeError);
    await epoch.key(0, new Map());
    await expect(epoch.key(0, new Map())).rejects.toThrow(RangeError);
    await expect(epoch.keyed(new Map())).rejects.toThrow(RangeError);
    expect(() => epoch.round(new Uint8Array(32))).toThrow(RangeError);
    epoch.forget();
    epoch.forget();
    await expect(epoch.key(1, new Map())).rejects.toThrow(RangeError);
  });

  test('that is forgotten holds no round and opens nothing', async () => {
    const epoch = await driveKeying(thresholdHe, context.shape);
    epoch.forget();
    expect(() => epoch.tenants.get('tenant-00')!.round(new Uint8Array(32))).toThrow(RangeError);
    await expect(epoch.coordinator.sumHash(new Map())).rejects.toThrow(RangeError);
  });

  test.each([
    [{ shape: { ...context.shape, dimension: 0 } }, /dimension/],
    [{ shape: { ...context.shape, dimension: 1.5 } }, /dimension/],
    [{ shape: { ...context.shape, threshold: 1 } }, /threshold/],
    [{ shape: { ...context.shape, threshold: 4 } }, /threshold/],
    [{ shape: { ...context.shape, maxMagnitude: 2 ** 48 } }, /do not fit/],
    [{ shape: { ...context.shape, maxMagnitude: Number.NaN } }, /do not fit/],
    [{ members: ['tenant-00', 'tenant-00', 'tenant-01'] }, /sorted/],
    [{ members: ['tenant-02', 'tenant-00', 'tenant-01'] }, /sorted/],
    [{ members: names(201) }, /at most 200/],
    [{ me: 'nobody' }, /not a member/],
    [{ transcript: new Uint8Array(31) }, /32 bytes/],
  ])('is refused with %j', async (changed, words) => {
    await expect(thresholdHe.tenant({ ...context, ...changed })).rejects.toThrow(words);
  });
});
