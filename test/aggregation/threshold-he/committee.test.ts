import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectedDegree } from '../../../aggregation/neighbours.ts';
import { ProtocolBroken, type SumShape, type TenantId } from '../../../aggregation/secure-sum.ts';
import { committeeFor, committeeOf } from '../../../aggregation/threshold-he/committee.ts';
import { thresholdHe } from '../../../aggregation/threshold-he/protocol.ts';
import { chanceOfTooFew, whoOpens } from '../../../aggregation/who-opens.ts';
import { sumOf } from '../../contracts/secure-sum.contract.ts';
import {
  type AllSaid,
  type DrivenEpoch,
  driveContributions,
  driveKeying,
  driveOpening,
  driveShares,
  NO_RECORD,
  names,
  noised,
} from '../../contracts/secure-sum-driver.ts';
import { contributionsOf, insiders, sharesOf } from './insiders.ts';

const DIMENSION = 5;
const trust = (tenants: number, minCohort: number, colluders: number) => ({
  ...{ tenants, minCohort, colluders },
  threshold: Math.floor((tenants + colluders) / 2) + 1,
});
const shapeOf = (tenants: number, minCohort: number, colluders: number): SumShape => ({
  ...trust(tenants, minCohort, colluders),
  ...{ dimension: DIMENSION, maxMagnitude: 2 ** 40 },
});
const plans = fc.integer({ min: 2, max: 200 }).chain((tenants) =>
  fc.integer({ min: 0, max: Math.max(0, Math.floor(tenants / 3) - 1) }).chain((colluders) => {
    const least = Math.floor((tenants + colluders) / 2) + 1;
    const minCohort = fc.integer({ min: least, max: tenants });
    return minCohort.map((most) => trust(tenants, most, colluders));
  }),
);

describe('a committee', () => {
  test.each([
    [5, 4, 1, 4, 5],
    [16, 11, 0, 9, 16],
    [17, 15, 2, 10, 16], // never more openers than the plan’s quorum
    [20, 16, 2, 11, 16],
    [40, 34, 4, 11, 16],
    [100, 95, 5, 11, 16],
    [100, 90, 10, 21, 31], // 10 may be missing and 10 collude: one more than they are
    [200, 180, 20, 41, 60],
    [60, 45, 10, 26, 38],
    [17, 13, 8, 13, 17], // everybody, where it would be as large
    [200, 170, 20, 51, 64],
    [200, 130, 20, 91, 64], // refused
  ])('of %i tenants, %i left at least and %i colluding: %i open, of %i', (tenants, least, colluding, needed, among) => {
    expect(committeeFor(trust(tenants, least, colluding))).toEqual({ needed, among });
  });

  test('is never opened by those that may be missing and those that collude together, whoever is drawn', () => {
    const outnumbered = fc.property(plans, (plan) => {
      const { needed, among } = committeeFor(plan);
      expect(needed).toBeGreaterThan(plan.tenants - plan.minCohort + plan.colluders);
      expect(needed).toBeLessThanOrEqual(plan.threshold);
      expect(among).toBeLessThanOrEqual(Math.min(64, plan.tenants));
      if (among === plan.tenants) expect(needed).toBe(plan.threshold);
      else if (among < 64) expect(among / needed).toBeGreaterThanOrEqual(16 / 11);
    });
    fc.assert(outnumbered, { numRuns: 500 });
  });

  test('is drawn from all that announced, by everyone the same, and otherwise in another epoch', () => {
    const members = names(40);
    const plan = trust(40, 34, 4);
    const [one, other] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
    const drawn = committeeOf(members, plan, one);
    expect(drawn).toHaveLength(16);
    expect(drawn).toEqual([...new Set(drawn)].sort());
    expect(drawn.every((name) => members.includes(name))).toBe(true);
    expect(committeeOf(members, plan, one)).toEqual(drawn);
    expect(committeeOf(members, plan, other)).not.toEqual(drawn);
    expect(committeeOf(members.slice(0, 12), plan, one)).toEqual(members.slice(0, 12));
  });

  test('has every tenant in it as often as any other', () => {
    const counts = new Map<TenantId, number>();
    for (let i = 0; i < 500; i++) {
      for (const name of committeeOf(names(20), trust(20, 16, 2), new Uint8Array(randomBytes(32))))
        counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    for (const name of names(20)) expect(Math.abs(counts.get(name)! - 400)).toBeLessThan(60); // σ = 9
  });

  // counted by hand: of 6 tenants 3 are lost, and of a committee of 3 two or more with (3·3 + 1)/20
  test('is too small after losses with the chance of the hypergeometric tail', () => {
    expect(chanceOfTooFew(trust(6, 3, 0), { needed: 2, among: 3 })).toBe(0.5);
    expect(chanceOfTooFew(trust(100, 97, 0), { needed: 11, among: 16 })).toBe(0);
    // Python: sum(comb(16, k) * comb(24, 10 - k) for k in range(6, 11)) / comb(40, 10)
    expect(chanceOfTooFew(trust(40, 30, 0), { needed: 11, among: 16 })).toBeCloseTo(0.132225404271744, 12);
    expect(whoOpens(trust(100, 97, 0), { needed: 11, among: 16 })).toBe(
      '11 of a committee of 16 open; 3 lost leave too few in no case',
    );
    expect(whoOpens(trust(5, 4, 0), { needed: 3, among: 5 })).toBe('3 of 5 tenants open');
    expect(whoOpens(trust(40, 30, 0), { needed: 11, among: 16 })).toMatch(/too few with a chance of 0\.13$/);
  });
});

describe.each([
  [17, 15, 2],
  [40, 34, 4],
  [100, 95, 4],
])('%i tenants, of which %i are left at least and %i collude', (tenants, minCohort, colluders) => {
  const shape = shapeOf(tenants, minCohort, colluders);
  const { needed, among } = committeeFor(shape);
  const valuesOf = (cohort: readonly TenantId[]) =>
    new Map(cohort.map((name, i) => [name, noised(Array.from({ length: DIMENSION }, (_, k) => (i - 7) * 10 ** k))]));
  let epoch: DrivenEpoch;
  let committee: readonly TenantId[];
  beforeAll(async () => {
    epoch = await driveKeying(thresholdHe, shape, names(tenants).slice(0, 1));
    committee = committeeIn(epoch);
  }, 120_000);
  afterAll(() => epoch.forget());

  test('have a committee of the size stated', () => {
    expect(committee).toHaveLength(among);
    expect(epoch.coordinator.openers(epoch.members)).toHaveLength(needed);
    expect(epoch.coordinator.openers(committee.slice(among - needed))).toEqual(committee.slice(among - needed));
    expect(epoch.coordinator.openers(committee.slice(among - needed + 1))).toEqual([]);
    const others = epoch.members.filter((name) => !committee.includes(name));
    expect(epoch.coordinator.openers(others)).toEqual([]);
  });

  test('open exactly their sum, by the first of the committee and by the last', async () => {
    const vectors = valuesOf(epoch.members);
    const round = await driveContributions(epoch, vectors);
    for (const present of [epoch.members, committee.slice(among - needed)]) {
      expect(await driveOpening(epoch, round, present)).toEqual(sumOf(vectors, DIMENSION));
    }
  });

  test('open it without those that were not ready, though some of the committee be among them', async () => {
    const away = [committee[1]!, committee[4]!].slice(0, epoch.members.length - minCohort);
    const vectors = valuesOf(epoch.members.filter((name) => !away.includes(name)));
    const round = await driveContributions(epoch, vectors);
    // the committee's may open though they contributed nothing: they hear every header and every hash
    expect(await driveOpening(epoch, round)).toEqual(sumOf(vectors, DIMENSION));
    expect(await driveOpening(epoch, round, [...vectors.keys()])).toEqual(sumOf(vectors, DIMENSION));
  });

  test('keep the sum shut when one contribution is missing: masks cancel over all of the cohort only', async () => {
    const round = await driveContributions(epoch, valuesOf(epoch.members));
    const part = new Map([...round.contributions].slice(1));
    const shares = await driveShares(epoch, round, epoch.coordinator.openers(epoch.members));
    await expect(epoch.coordinator.open(part, shares, NO_RECORD)).rejects.toThrow(ProtocolBroken);
  });

  test('refuse to open when asked outside of the committee, or with one from outside', async () => {
    const round = await driveContributions(epoch, valuesOf(epoch.members));
    const outside = epoch.members.find((name) => !committee.includes(name));
    if (outside === undefined) return expect(among).toBe(epoch.members.length);
    const openers = epoch.coordinator.openers(epoch.members);
    const bent = [...openers.slice(1), outside].sort();
    for (const name of bent)
      await expect(round.rounds.get(name)!.open(round.shown, bent)).rejects.toThrow(/holds no shares/);
    const more = [...openers, committee.find((name) => !openers.includes(name))!].sort();
    await expect(round.rounds.get(openers[0]!)!.open(round.shown, more)).rejects.toThrow(/different openers in order/);
  });
});

/** Of its members: the first that are asked, and who can stand in for one of them. */
function committeeIn({ coordinator, members }: DrivenEpoch): TenantId[] {
  const first = coordinator.openers(members);
  const standsIn = (name: TenantId) => coordinator.openers([...first.slice(1), name]).length > 0;
  return members.filter((name) => first.includes(name) || standsIn(name));
}

describe('keying above 16 tenants', () => {
  test('deals to the committee and to nobody else', async () => {
    const inside = await insiders(20, 12, { minCohort: 16, colluders: 2 });
    const committee = [...inside.keys.get(inside.members[0]!)!.x.keys()];
    expect(committee).toHaveLength(16);
    for (const [name, { dealt, x }] of inside.keys) {
      expect([...x.keys()]).toEqual(committee);
      expect(dealt.size).toBe(committee.includes(name) ? 20 : 0);
    }
  });

  test('stops when a member was shown another list, which would be another committee', async () => {
    const cut = (stage: string, said: AllSaid, recipient: TenantId): AllSaid =>
      stage === 'announce' && recipient === 'tenant-00' ? new Map([...said].slice(0, 19)) : said;
    await expect(insiders(20, 12, { minCohort: 16, colluders: 2, tamper: cut })).rejects.toThrow(ProtocolBroken);
  });

  test('refuses more dealt shares than a committee takes before they are stored', async () => {
    const inside = await insiders(20, 12, { minCohort: 16, colluders: 2 });
    const deal = thresholdHe.keying[1]!;
    const letters = (count: number) =>
      new Map(inside.members.slice(0, count).map((name) => [name, new Uint8Array(53_788)]));
    const malformed = (count: number) =>
      inside.coordinator.malformed(deal, { open: new Uint8Array(0), sealed: letters(count) });
    expect(malformed(16)).toBeUndefined();
    expect(malformed(17)).toBe('17 shares were dealt, 16 tenants hold any');
  });

  test('above 64 shares masks with neighbours alone: a sparse graph that g + c tenants do not cut', async () => {
    const inside = await insiders(70, 36, { minCohort: 66, colluders: 1 });
    const degree = connectedDegree(70, inside.shape);
    expect(degree).toBe(6);
    for (const [name, { neighbours, secrets, x }] of inside.keys) {
      expect(neighbours).toHaveLength(degree);
      for (const other of neighbours) {
        expect(inside.keys.get(other)!.neighbours).toContain(name);
        expect(inside.keys.get(other)!.secrets.get(name)).toEqual(secrets.get(other));
      }
      const committee = x.has(name) ? [...x.keys()].filter((other) => other !== name) : [];
      expect([...secrets.keys()].sort()).toEqual([...new Set([...neighbours, ...committee])].sort());
    }
    const vectors = new Map(inside.members.slice(3).map((name, i) => [name, noised([i, -i, 1, 0])]));
    const rounds = inside.rounds();
    const contributions = await contributionsOf(rounds, vectors);
    const shares = await sharesOf(rounds, contributions, inside.coordinator.openers(inside.members));
    expect(await inside.coordinator.open(contributions, shares, NO_RECORD)).toEqual(sumOf(vectors, 4));
  }, 60_000);
});
