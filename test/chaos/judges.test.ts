import { beforeAll, describe, expect, test } from 'vitest';
import { type Backend, startBackend } from '../../models/backend.ts';
import type { LedgerEntry } from '../../privacy/ledger.ts';
import { toySettings } from '../support-client/toy-task.ts';
import type { Books, RoundBook, TenantBooks } from './books.ts';
import { runCourse } from './course.ts';
import { broken, type Evidence } from './invariants.ts';
import { LOSS } from './matrix.ts';
import { wrongSums } from './recomputed.ts';
import { evidenceOf, ledgerFindings } from './verdict.ts';

/*
 * Those who judge what crashes leave are shown what they are there to find: a run in which a round was abandoned and a coordinator
 * killed, with one thing in it that is not as it was.
 */
let backend: Backend;
let evidence: Evidence;
let identity: Parameters<typeof ledgerFindings>[0];
beforeAll(async () => {
  backend = await startBackend('cpu');
  const settings = toySettings({ protocol: 'masking', rounds: 2 });
  const kill = { who: 'coordinator', at: 'charged, addLedgerEntry', when: 'after' } as const;
  const course = await runCourse({ settings, kills: [...LOSS, kill], backend });
  evidence = evidenceOf(course);
  identity = course.identity;
  course.remove();
});

const withBooks = (change: (books: Books) => Partial<Books>): Evidence => ({
  ...evidence,
  books: { ...evidence.books, ...change(evidence.books) },
});
const withEntries = (change: (entries: readonly LedgerEntry[]) => readonly LedgerEntry[]): Evidence =>
  withBooks(({ entries }) => ({ entries: change(entries) }));
const withRound = (number: number, change: (round: RoundBook) => Partial<RoundBook>): Evidence =>
  withBooks(({ rounds }) => ({
    rounds: rounds.map((round) => (round.round === number ? { ...round, ...change(round) } : round)),
  }));
const withTenant = (change: (own: TenantBooks) => Partial<TenantBooks>): Evidence => ({
  ...evidence,
  tenants: new Map(
    [...evidence.tenants].map(([name, own]) => [name, name === 'ada' ? { ...own, ...change(own) } : own]),
  ),
});
const without = (kind: LedgerEntry['kind']): Evidence =>
  withEntries((entries) => entries.filter((entry) => entry.kind !== kind));
/** What ada contributed to round 2 was said in round 3. */
const saidAgain = (): Evidence => {
  const byHash = new Map(evidence.statements.byHash);
  const isHers = (round: number) => (one: { tenant: string; place: { round: number; stage: string } }) =>
    one.tenant === 'ada' && one.place.round === round && one.place.stage === 'contribute';
  const [second] = [...byHash.values()].filter(isHers(2));
  const [key, third] = [...byHash].find(([, one]) => isHers(3)(one))!;
  byHash.set(key, { ...third, received: second!.received });
  return { ...evidence, statements: { byHash } };
};

test('nothing is wrong with the run as it was', async () => {
  expect(await broken(evidence)).toEqual({ lost: [], counted: [], other: [] });
  expect(await wrongSums(evidence.books, backend)).toEqual([]);
  expect(ledgerFindings(identity, evidence.books)).toEqual([]);
  expect(evidence.books.rounds.map(({ abandoned }) => abandoned !== undefined)).toEqual([true, false, false]);
  expect(evidence.before).toHaveLength(1);
});

test('a tenant that has paid for all openings, and declined one more, is in its right', async () => {
  expect(evidence.tenants.get('ada')!.committed).toBe(evidence.books.plan.derived.openings);
  const worn = withTenant(() => ({ declined: 'budget', over: undefined }));
  expect(await broken(worn)).toEqual({ lost: [], counted: [], other: [] });
});

describe('found is', () => {
  test.each<[string, 'lost' | 'counted' | 'other', RegExp, () => Evidence]>([
    [
      'a fact that is gone',
      'lost',
      /fact 1 was lost/,
      () => withBooks(({ facts }) => ({ facts: facts.toSpliced(1, 1) })),
    ],
    [
      'a contribution that is not in the sum',
      'lost',
      /3 contributions acknowledged, 4 charged|another sum than that/,
      () =>
        withRound(2, ({ said }) => ({
          said: new Map([...said].map(([stage, all]) => [stage, new Map([...all].slice(1))])),
        })),
    ],
    [
      'another sum than was charged',
      'counted',
      /facts and ledger charge two/,
      () => withRound(2, () => ({ charged: '0'.repeat(64) })),
    ],
    [
      'a round that is released twice',
      'counted',
      /round 2 was released 2 times/,
      () =>
        withEntries((entries) =>
          entries.flatMap((entry) => (entry.kind === 'release' && entry.round === 2 ? [entry, entry] : [entry])),
        ),
    ],
    ['a release without a charge', 'counted', /round 2 was released without its charge/, () => without('charge')],
    ['an abandoned round that the ledger is silent on', 'counted', /0 releases and 0 aborts/, () => without('abort')],
    ['an end that the ledger is silent on', 'other', /0 entries end the task/, () => without('finish')],
    [
      'a task that is not over',
      'other',
      /the task ended with/,
      () => withBooks(({ facts }) => ({ facts: facts.slice(0, -1) })),
    ],
    ['a vector in two rounds', 'counted', /ada in round 3: a vector again/, saidAgain],
    [
      'a round nobody paid for',
      'counted',
      /ada is in 3 rounds, and has paid for 1/,
      () => withTenant(() => ({ committed: 1 })),
    ],
    [
      'a round that a tenant has forgotten',
      'counted',
      /ada has no record of round 2/,
      () => withTenant(() => ({ rounds: new Map() })),
    ],
    [
      'a share for another sum',
      'counted',
      /ada answered for another sum of round 2/,
      () =>
        withTenant(({ rounds }) => ({
          rounds: new Map([...rounds].map(([round, one]) => [round, { ...one, sumHash: '1' }])),
        })),
    ],
    [
      'a third set of openers',
      'counted',
      /ada was asked too often/,
      () =>
        withTenant(({ rounds }) => ({
          rounds: new Map([...rounds].map(([round, one]) => [round, { ...one, openerSets: ['a', 'b', 'c'] }])),
        })),
    ],
    [
      'a tenant that declined while it could pay',
      'counted',
      /ada has declined: budget/,
      () => withTenant(({ committed }) => ({ declined: 'budget', over: undefined, committed: committed - 1 })),
    ],
    [
      'what was set aside and not given back',
      'counted',
      /ada did not get back/,
      () => withTenant(() => ({ reserved: 1 })),
    ],
    [
      'another ledger at a tenant',
      'counted',
      /ada was shown another ledger/,
      () => withTenant(({ ledger }) => ({ ledger: ledger.toReversed() })),
    ],
    [
      'a budget that is counted in two ways',
      'counted',
      /ada’s budget/,
      () => withBooks(() => ({ agreed: new Map([['ada', false]]) })),
    ],
    [
      'a model that is not the one released',
      'lost',
      /round 2: another model is kept/,
      () => withBooks(({ sums }) => ({ sums: sums.map((sum) => ({ ...sum, model: '0' })) })),
    ],
  ])('%s', async (_, where, problem, tampered) => {
    expect((await broken(tampered()))[where].join('\n')).toMatch(problem);
  });

  /** In round 3. */
  const addedTo = (coordinate: number, what: number): Books => ({
    ...evidence.books,
    sums: evidence.books.sums.map(({ sum, ...one }) => ({
      ...one,
      sum: sum.map((value, i) => (one.round === 3 && i === coordinate ? value + what : value)),
    })),
  });

  test('a sum that holds something else', async () => {
    const found = await wrongSums(addedTo(1, 1), backend);
    expect(found[0]).toBe('round 3 opened another sum than that of ada,bob,cleo,dan');
  });

  test('a sum with noise that was in another', async () => {
    // her third draw becomes her second
    expect(await wrongSums(addedTo(0, -1), backend)).toContain('round 3: noise of ada again');
  });
});
