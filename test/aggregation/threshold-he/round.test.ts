import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { largestInLane } from '../../../aggregation/kernels/lanes.ts';
import { DEGREE, HE_RING } from '../../../aggregation/kernels/rings.ts';
import { typescriptKernels } from '../../../aggregation/kernels/typescript/kernels.ts';
import {
  type HeardAll,
  ProtocolBroken,
  type Received,
  type ReceivedAll,
  type TenantId,
} from '../../../aggregation/secure-sum.ts';
import { asHeard, inMemory } from '../../../aggregation/stored-vector.ts';
import { arithmetic } from '../../../aggregation/threshold-he/arithmetic.ts';
import { commonPolynomial, gather, NONCE_BYTES, occasionOf } from '../../../aggregation/threshold-he/contribution.ts';
import { masksOver } from '../../../aggregation/threshold-he/masks.ts';
import { CLASSICAL, PACKED_BYTES } from '../../../aggregation/threshold-he/parameters.ts';
import { constant, type Polynomial, zero } from '../../../aggregation/threshold-he/polynomial.ts';
import { thresholdHe } from '../../../aggregation/threshold-he/protocol.ts';
import { lagrangeAtZero } from '../../../aggregation/threshold-he/shamir.ts';
import { tenantEpoch } from '../../../aggregation/threshold-he/tenant.ts';
import { digest, sha256 } from '../../../aggregation/transcript.ts';
import {
  askEach,
  type DrivenEpoch,
  type DrivenRound,
  driveContributions,
  driveKeying,
  driveShares,
  heardBy,
  NO_RECORD,
  names,
  noised,
  receivedFrom,
} from '../../contracts/secure-sum-driver.ts';
import { chiSquareOfFlooding } from './flooding-statistics.ts';
import {
  bytesOf,
  contributionsOf,
  insiders,
  noiseOf,
  polynomialOf,
  product,
  readyOf,
  ring,
  sharesOf,
  total,
} from './insiders.ts';

const members = names(5);
const openers = members.slice(0, 3);
const vectors = (cohort: readonly TenantId[] = members) =>
  new Map(cohort.map((name, i) => [name, noised([i, 10, -7, 0])]));
type Change = (bytes: Uint8Array) => Uint8Array;
/** What one tenant said openly, changed on its way. */
const changed = (heard: HeardAll, name: TenantId, change: Change): HeardAll => {
  const said = heard.get(name)!;
  return new Map(heard).set(name, { ...said, open: change(Uint8Array.from(said.open)) });
};
/** Of one tenant's vector, another hash. */
const rehashed = (heard: HeardAll, name: TenantId): HeardAll => {
  const said = heard.get(name)!;
  return new Map(heard).set(name, { ...said, vectorHash: flip(9)(Uint8Array.from(said.vectorHash!)) });
};
/** One tenant's vector, changed where it is stored. */
const altered = (said: ReceivedAll, name: TenantId, change: Change): Map<TenantId, Received> =>
  new Map(said).set(name, { ...said.get(name)!, vector: inMemory(change(bytesOf(said.get(name)!))) });
const without = (heard: HeardAll, name: TenantId): HeardAll => new Map([...heard].filter(([other]) => other !== name));
const flip = (at: number) => (bytes: Uint8Array) => {
  bytes[at]! ^= 1;
  return bytes;
};

describe('a round', () => {
  let epoch: DrivenEpoch;
  let round: DrivenRound;
  beforeAll(async () => {
    epoch = await driveKeying(thresholdHe, {
      dimension: 4,
      tenants: 5,
      threshold: 3,
      minCohort: 3,
      colluders: 0,
      maxMagnitude: 1000,
    });
    round = await driveContributions(epoch, vectors());
  });

  describe('takes a contribution', () => {
    const begin = async (cohort: readonly TenantId[] = members) => {
      const transcript = new Uint8Array(randomBytes(32));
      const rounds = new Map(members.map((name) => [name, epoch.tenants.get(name)!.round(transcript)]));
      return { rounds, ready: await readyOf(rounds, cohort) };
    };

    test('once', async () => {
      const { rounds, ready } = await begin();
      await rounds.get(members[0]!)!.contribute(noised([0, 0, 0, 0]), ready);
      await expect(rounds.get(members[0]!)!.contribute(noised([0, 0, 0, 0]), ready)).rejects.toThrow(RangeError);
    });

    test('of whole numbers within its lane: which one is not, nobody is told, and another may come', async () => {
      const { rounds, ready } = await begin();
      const me = rounds.get(members[0]!)!;
      for (const bad of [8_388_608, -8_388_608, 0.25, Number.NaN]) {
        const refused = await me.contribute(noised([1, bad, 2, 3]), ready).catch((thrown: unknown) => thrown);
        expect(refused).toBeInstanceOf(RangeError);
        expect(String(refused)).not.toContain(String(Math.abs(bad)));
      }
      await expect(me.contribute(noised([8_388_607, -8_388_607, 0, 0]), ready)).resolves.toBeDefined();
    });

    test('from nobody whose epoch was forgotten meanwhile', async () => {
      const inside = await insiders(3, 2);
      const [me, rounds] = [members[0]!, inside.rounds()];
      const ready = await readyOf(rounds, members.slice(0, 3));
      inside.keys.get(me)!.own.forget();
      await expect(rounds.get(me)!.contribute(noised([1, 2, 3, 4]), ready)).rejects.toThrow(/forgotten/);
    });

    test('from one who is in the cohort with the nonce it said', async () => {
      const { rounds, ready } = await begin();
      const me = rounds.get(members[0]!)!;
      await expect(me.contribute(noised([0, 0, 0, 0]), without(ready, members[0]!))).rejects.toThrow(
        /not in the cohort/,
      );
      await expect(me.contribute(noised([0, 0, 0, 0]), changed(ready, members[0]!, flip(0)))).rejects.toThrow(
        ProtocolBroken,
      );
    });

    test('for a cohort of members, large enough to be opened', async () => {
      const { rounds, ready } = await begin(openers);
      const me = rounds.get(members[0]!)!;
      await expect(me.contribute(noised([0, 0, 0, 0]), without(ready, members[1]!))).rejects.toThrow(/too small/);
      const stranger = new Map(ready).set('zero', { open: new Uint8Array(NONCE_BYTES) });
      await expect(me.contribute(noised([0, 0, 0, 0]), stranger)).rejects.toThrow(/no member/);
      const short = changed(ready, members[1]!, (open) => open.subarray(1));
      await expect(me.contribute(noised([0, 0, 0, 0]), short)).rejects.toThrow(/length/);
    });

    test('that never repeats, though vector, cohort and round do', async () => {
      const transcript = new Uint8Array(32);
      const vectorsSaid = [];
      for (let again = 0; again < 2; again++) {
        const rounds = new Map(members.map((name) => [name, epoch.tenants.get(name)!.round(transcript)]));
        const ready = await readyOf(rounds, members);
        vectorsSaid.push((await rounds.get(members[0]!)!.contribute(noised([1, 2, 3, 4]), ready)).vector!);
      }
      const [first, second] = vectorsSaid.map((vector) => ring.unpack(vector)!);
      expect(first!.filter((word, i) => word === second![i]).length).toBeLessThan(20);
    });
  });

  describe('opens', () => {
    const open = (contributions: HeardAll = round.shown, set: readonly TenantId[] = openers, name = members[0]!) =>
      round.rounds.get(name)!.open(contributions, set);

    test.each<[string, readonly TenantId[]]>([
      ['fewer than the threshold', members.slice(0, 2)],
      ['more than the threshold', members.slice(0, 4)],
      ['the same one twice', [members[0]!, members[0]!, members[1]!]],
      ['members out of order', [members[0]!, members[2]!, members[1]!]],
      ['a stranger', [members[0]!, members[1]!, 'zero']],
      ['others only', members.slice(1, 4)],
      ['nobody', []],
    ])('not for %s', async (_, set) => {
      await expect(open(round.shown, set)).rejects.toThrow(ProtocolBroken);
    });

    test('not when my contribution was changed, dropped, or made up', async () => {
      await expect(open(rehashed(round.shown, members[0]!))).rejects.toThrow(/my own contribution/);
      await expect(open(without(round.shown, members[0]!))).rejects.toThrow(ProtocolBroken);
      const part = await driveContributions(epoch, vectors(members.slice(1)));
      const madeUp = new Map(part.shown).set(members[0]!, round.shown.get(members[0]!)!);
      await expect(part.rounds.get(members[0]!)!.open(madeUp, openers)).rejects.toThrow(ProtocolBroken);
    });

    test('for a member that did not contribute itself', async () => {
      const part = await driveContributions(epoch, vectors(members.slice(1)));
      const sum = await epoch.coordinator.open(part.contributions, await driveShares(epoch, part, openers), NO_RECORD);
      expect([...sum]).toEqual([6, 40, -28, 0]);
    });

    test('not another round’s contributions, nor a mixture', async () => {
      const other = await driveContributions(epoch, vectors());
      await expect(open(other.shown)).rejects.toThrow(ProtocolBroken);
      const mixed = new Map(round.shown).set(members[1]!, other.shown.get(members[1]!)!);
      await expect(open(mixed)).rejects.toThrow(/another occasion/);
    });

    test('not a smaller cohort than was contributed to, whoever leaves', async () => {
      for (const name of members.slice(1)) {
        await expect(open(without(round.shown, name))).rejects.toThrow(/another round or cohort/);
      }
    });

    test('not a sum of fewer than the threshold, however well it is put together', async () => {
      const inside = await insiders(5, 3);
      const transcript = new Uint8Array(32);
      const { identity } = inside.keys.get(members[0]!)!;
      const made = (cohort: readonly TenantId[]) => {
        const nonces = new Map(cohort.map((name) => [name, new Uint8Array(randomBytes(NONCE_BYTES))]));
        const occasion = occasionOf(identity, transcript, nonces);
        return new Map(
          cohort.map((name) => [
            name,
            { open: Buffer.concat([nonces.get(name)!, occasion]), vectorHash: new Uint8Array(32) },
          ]),
        );
      };
      const me = () => inside.rounds(transcript).get(members[0]!)!;
      await expect(me().open(made(members.slice(3)), openers)).rejects.toThrow(/a sum over 2 is not opened/);
      await expect(me().open(made(members.slice(2)), openers)).resolves.toBeDefined();
    });

    test('not when a nonce or the occasion was exchanged', async () => {
      for (const at of [0, NONCE_BYTES]) {
        await expect(open(changed(round.shown, members[1]!, flip(at)))).rejects.toThrow(ProtocolBroken);
      }
    });

    test('one sum only: the same round with another vector is refused afterwards', async () => {
      await open();
      await expect(open(rehashed(round.shown, members[4]!))).rejects.toThrow(/already opened/);
    });

    test('with the same bytes when the same openers ask again, and with new noise for others', async () => {
      const other = [members[0]!, members[3]!, members[4]!];
      const first = (await open()).vector;
      expect((await open()).vector === first).toBe(true); // a failure would print both
      expect((await open(round.shown, other)).vector).not.toEqual(first);
    });

    test('for three sets of openers at most', async () => {
      const fresh = await driveContributions(epoch, vectors());
      const me = fresh.rounds.get(members[0]!)!;
      const sets = [
        [1, 2],
        [1, 3],
        [1, 4],
        [2, 3],
      ].map((rest) => [members[0]!, ...rest.map((i) => members[i]!)]);
      for (const set of sets.slice(0, 3)) await me.open(fresh.shown, set);
      await expect(me.open(fresh.shown, sets[3]!)).rejects.toThrow(/3 times/);
    });
  });

  test('is opened by exactly the threshold, the first that are there', () => {
    expect(epoch.coordinator.openers(members)).toEqual(openers);
    expect(epoch.coordinator.openers(members.slice(1))).toEqual(members.slice(1, 4));
    expect(epoch.coordinator.openers(members.slice(3))).toEqual([]);
  });

  describe('is decoded', () => {
    test('not when openers were told different sets', async () => {
      const fresh = await driveContributions(epoch, vectors());
      const shares = new Map(await driveShares(epoch, fresh, openers));
      const others = [members[0]!, members[1]!, members[3]!];
      shares.set(members[1]!, receivedFrom(await fresh.rounds.get(members[1]!)!.open(fresh.shown, others)));
      await expect(epoch.coordinator.open(fresh.contributions, shares, NO_RECORD)).rejects.toThrow(/do not open/);
    });

    test('not with a share of another round, or one that was altered', async () => {
      const [a, b] = [await driveContributions(epoch, vectors()), await driveContributions(epoch, vectors())];
      const shares = new Map(await driveShares(epoch, a, openers));
      const other = await driveShares(epoch, b, openers);
      expect([...(await epoch.coordinator.open(a.contributions, shares, NO_RECORD))]).toEqual([10, 50, -35, 0]);
      const exchanged = new Map(shares).set(members[2]!, other.get(members[2]!)!);
      await expect(epoch.coordinator.open(a.contributions, exchanged, NO_RECORD)).rejects.toThrow(/do not open/);
      const bent = altered(shares, members[2]!, flip(5000));
      await expect(epoch.coordinator.open(a.contributions, bent, NO_RECORD)).rejects.toThrow(/do not open/);
    });

    test('not from bytes that are no polynomial, and the sender is named', async () => {
      const fresh = await driveContributions(epoch, vectors());
      const shares = await driveShares(epoch, fresh, openers);
      const over = altered(shares, members[1]!, (bytes) => bytes.fill(0xff, 0, 64));
      const error = await epoch.coordinator
        .open(fresh.contributions, over, NO_RECORD)
        .catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ name: 'ProtocolBroken', tenant: members[1] });
      const short = altered(shares, members[1]!, (bytes) => bytes.subarray(1));
      await expect(epoch.coordinator.open(fresh.contributions, short, NO_RECORD)).rejects.toThrow(ProtocolBroken);
    });
  });

  test('refuses residues at or above their prime before they are stored', () => {
    const { contributions } = round;
    const said = contributions.get(members[0]!)!;
    const [contribute, share] = [thresholdHe.summing[1]!, thresholdHe.summing[2]!];
    expect(epoch.coordinator.malformed(contribute, said)).toBeUndefined();
    const vector = inMemory(bytesOf(said).fill(0xff, PACKED_BYTES - 8));
    expect(epoch.coordinator.malformed(contribute, { ...said, vector })).toMatch(/below its prime/);
    expect(epoch.coordinator.malformed(share, { ...said, open: new Uint8Array(0), vector })).toMatch(/below its prime/);
  });

  test('refuses dealt shares of the wrong length or to strangers before they are stored', () => {
    const deal = thresholdHe.keying[1]!;
    const open = new Uint8Array(0);
    const size = PACKED_BYTES + 28;
    expect(
      epoch.coordinator.malformed(deal, { open, sealed: new Map([[members[1]!, new Uint8Array(size)]]) }),
    ).toBeUndefined();
    expect(
      epoch.coordinator.malformed(deal, { open, sealed: new Map([[members[1]!, new Uint8Array(size - 1)]]) }),
    ).toMatch(/bytes/);
    expect(epoch.coordinator.malformed(deal, { open, sealed: new Map([['zero', new Uint8Array(size)]]) })).toMatch(
      /no member/,
    );
  });
});

test('keys that have opened their share of coefficients open no more', async () => {
  const shape = { dimension: 4, tenants: 3, threshold: 2, minCohort: 2, colluders: 0, maxMagnitude: 1000 };
  const roster = names(3);
  const transcript = new Uint8Array(32);
  const tools = await arithmetic(CLASSICAL);
  const tenants = new Map(
    roster.map((me) => [me, tenantEpoch({ shape, members: roster, me, transcript }, tools, 2 * DEGREE)]),
  );
  let said = await askEach(roster, (name) => tenants.get(name)!.key(0, new Map()));
  for (const stage of [1, 2]) {
    const before = said;
    said = await askEach(roster, (name) => tenants.get(name)!.key(stage, heardBy(name, before)));
  }
  for (const [name, tenant] of tenants) await tenant.keyed(heardBy(name, said));
  const open = async (number: number) => {
    const rounds = new Map(roster.map((name) => [name, tenants.get(name)!.round(new Uint8Array(32).fill(number))]));
    return sharesOf(rounds, await contributionsOf(rounds, vectors(roster)), roster.slice(0, 2));
  };
  await open(1);
  await open(2);
  await expect(open(3)).rejects.toThrow(/have opened 8192 coefficients; start a new epoch/);
});

test.each([24, 48] as const)(
  'members with WebAssembly and members without it open one sum, in lanes of %i bits',
  async (bits) => {
    const most = largestInLane(bits);
    const half = Math.floor(most / 2);
    const plain = typescriptKernels();
    const inside = await insiders(4, 3, {
      maxMagnitude: most,
      kernelsOf: (me) => (me === members[1] || me === members[2] ? plain : undefined),
    });
    const rounds = inside.rounds();
    const values = inside.members.map((_, i) => noised([i, -7, i < 2 ? half : 0, i < 2 ? -half : 0]));
    const contributions = await contributionsOf(rounds, new Map(inside.members.map((name, i) => [name, values[i]!])));
    const shares = await sharesOf(rounds, contributions, openers);
    const sum = await inside.coordinator.open(contributions, shares, NO_RECORD);
    expect([...sum]).toEqual([6, -28, 2 * half, -2 * half]);
  },
);

describe('what an opening shows', () => {
  const set = [members[0]!, members[3]!, members[4]!];

  test('flooding of every opener and nothing else of that size: σ·√3, however large λ is', async () => {
    const inside = await insiders(5, 3);
    const rounds = inside.rounds();
    const contributions = await contributionsOf(rounds, vectors());
    const shares = await sharesOf(rounds, contributions, set);
    const all = [...contributions.values(), ...shares.values()];
    const noise = noiseOf(total(all.map((one) => polynomialOf(one)))).map(Number);
    const deviation = Math.sqrt(noise.reduce((sum, e) => sum + e * e, 0) / DEGREE);
    expect(deviation / (2 ** 48 * Math.sqrt(3))).toBeGreaterThan(0.93);
    expect(deviation / (2 ** 48 * Math.sqrt(3))).toBeLessThan(1.07);
  });

  test('of each share flooding as stated, fresh for every set of openers; a share without is told apart', async () => {
    const inside = await insiders(5, 3);
    const rounds = inside.rounds();
    const contributions = await contributionsOf(rounds, vectors());
    const { occasion } = gather(asHeard(contributions), members);
    const sumHash = await inside.coordinator.sumHash(contributions);
    const a = commonPolynomial(ring, occasion, 0);
    /** What is left of a share after all that its owner knows of it. */
    const left = (share: Polynomial, owner: TenantId, openers: readonly TenantId[]): bigint[] => {
      const { dealt, x, secrets } = inside.keys.get(owner)!;
      const binding = digest('parley/threshold-he/openers/v1', sumHash, ...openers);
      const known = zero();
      ring.mask(known, masksOver({ me: owner, set: openers, secrets, purpose: 'shares', binding }));
      const lambda = lagrangeAtZero(
        x.get(owner)!,
        openers.map((name) => x.get(name)!),
        HE_RING,
      );
      ring.add(known, product(a, product(total(dealt.values()), constant(lambda))));
      const rest = share.slice();
      ring.subtract(rest, known);
      return noiseOf(rest);
    };
    const seen: bigint[][] = [];
    for (const openers of [set, [members[0]!, members[1]!, members[4]!]]) {
      for (const [owner, share] of await sharesOf(rounds, contributions, openers)) {
        seen.push(left(polynomialOf(share), owner, openers));
        expect(chiSquareOfFlooding(seen.at(-1)!)).toBeLessThan(80);
      }
    }
    for (const [i, one] of seen.entries()) {
      for (const other of seen.slice(i + 1)) expect(one.filter((e, at) => e === other[at]).length).toBeLessThan(5);
    }
    expect(chiSquareOfFlooding(new Array<bigint>(DEGREE).fill(0n))).toBeGreaterThan(1000);
    const joined = new Array<bigint>(DEGREE).fill(0n).map((_, i) => (seen[0]![i]! + seen[1]![i]!) / 2n);
    expect(chiSquareOfFlooding(joined)).toBeGreaterThan(80); // nor is too little of it taken for enough
  });
});

describe('the common polynomials', () => {
  const occasion = new Uint8Array(32);

  test('differ within an occasion and between occasions: one used twice shows a difference of vectors', () => {
    const different = [
      commonPolynomial(ring, occasion, 0),
      commonPolynomial(ring, occasion, 1),
      commonPolynomial(ring, new Uint8Array(32).fill(1), 0),
    ];
    for (const [i, a] of different.entries()) {
      for (const b of different.slice(i + 1)) expect(a.filter((word, at) => word === b[at]).length).toBeLessThan(20);
    }
  });

  // computed once more with Python's hashlib: shake_128, 47 and 58 bits a residue, low bits first
  test('are what they were: tenants of different versions must draw the same', () => {
    const bytes = new Uint8Array(PACKED_BYTES);
    ring.pack(commonPolynomial(ring, occasion, 7), bytes, 0);
    expect(Buffer.from(sha256(bytes)).toString('hex')).toBe(
      '86519452d742d9348eef96899420623c66ee0bbce6b758904104c6a5f6b1d43a',
    );
  });

  test('protect each part of a long vector on its own', async () => {
    const inside = await insiders(3, 2, { dimension: 2 * DEGREE });
    const rounds = inside.rounds();
    const zeros = new Map(names(3).map((name) => [name, noised(new Float64Array(2 * DEGREE))]));
    const contributions = await contributionsOf(rounds, zeros);
    const difference = total([...contributions.values()].map((one) => polynomialOf(one, 0)));
    ring.subtract(difference, total([...contributions.values()].map((one) => polynomialOf(one, 1))));
    // of sums of zero, under one polynomial: errors of a few units. Under two: anything modulo q
    const small = noiseOf(difference).filter((e) => e > -1000n && e < 1000n);
    expect(small.length).toBeLessThan(5);
  });
});
