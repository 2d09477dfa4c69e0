import { describe, expect, test } from 'vitest';
import type { Plan } from '../../../aggregation/plan.ts';
import type { Settings } from '../../../aggregation/settings.ts';
import { figuresOf } from '../../../client/report/figures.ts';
import { periodNamed } from '../../../client/report/period.ts';
import { plainWords } from '../../../client/report/sentence.ts';
import { type Course, type Kept, ledgerOf, planOf, story } from './ledger-of.ts';

const words = ({ verdict, root }: Kept, period = '2026-Q4') =>
  plainWords(figuresOf(verdict, root, periodNamed(period)));
const COURSE: Course = { from: '2026-10-05T00:00:00Z', rounds: 'rrrr', end: { at: '2026-10-06T00:00:00Z' } };
const told = (plan: Plan, course = COURSE, period?: string) => words(ledgerOf(story(plan, course)), period);
const changed = (change: (settings: Settings) => Partial<Settings>) => planOf((all) => ({ ...all, ...change(all) }));

/** Everybody in every round, so that what an attacker finds has a closed form. */
const segments = (privacy: Partial<Settings['privacy']> = {}, others: Partial<Settings> = {}): Plan =>
  changed((settings) => ({
    work: { kind: 'segment', clusters: 3, rounds: 4 },
    privacy: { ...settings.privacy, samplingRate: 1, epsilon: 2, ...privacy },
    use: { purpose: 'segments', retentionDays: 365 },
    ...others,
  }));

describe('the sentence', () => {
  test('says who is protected, from whom, how much and for how long, without mathematics', () => {
    const { sentence, lifetime, customer } = told(segments());
    // Python's statistics.NormalDist: Φ(Φ⁻¹(0.01) + μ) = 0.030207, μ = √4·1048576/√(3·2699076² − 16)
    expect(sentence).toBe(
      'Between 1 October 2026 and 31 December 2026, one result was released for segments: whoever tries to tell from all ' +
        'of it whether a given customer was used, and wrongly suspects 1 of 100 who were not, finds at most 3.1 of 100 who ' +
        'were (blind guessing finds 1); this protects every customer of the units that have no part in it, against the ' +
        'coordinator together with any one other business unit, for as long as the results exist; they may be used for up to 365 days.',
    );
    expect(lifetime).toBe(
      'Over everything in this ledger, from 5 October 2026 to 6 October 2026, it is at most 3.1 of 100; that total only grows, and it never expires.',
    );
    expect(customer).toContain('a customer is one row of one business unit’s data'.replace('’', "'"));
    expect(`${sentence}${lifetime}${customer}`).not.toMatch(/[εδμσ]|epsilon|differential|Gaussian/);
  });

  test('of local noise holds against everybody else together', () => {
    const { sentence } = told(segments({ mode: 'record-local' }));
    expect(sentence).toContain('finds at most 3.1 of 100');
    expect(sentence).toContain('against the coordinator and all other business units together,');
  });

  test('of sums that were not secured counts one unit’s noise, and so holds against everybody else too', () => {
    const plain = segments({}, { secureSum: { protocol: 'plain', minCohort: 4, colluders: 1 } });
    const { sentence } = told(plain);
    expect(sentence).toContain('against the coordinator and all other business units together,');
    expect(sentence).toContain('finds at most 6.1 of 100'); // 0.060648, with one share instead of three
  });

  test.each([
    [0, 'against the coordinator, but not if a business unit helps it,'],
    [1, 'against the coordinator together with any one other business unit,'],
    [2, 'against the coordinator together with any two other business units,'],
  ])('with %i colluders says so', (colluders, expected) => {
    const plan = segments({}, { secureSum: { protocol: 'threshold-he', minCohort: 4, colluders } });
    expect(told(plan).sentence).toContain(expected);
  });

  test('of several tasks holds against the weakest attacker any of them plans for, and names each purpose once', () => {
    const two = segments({}, { secureSum: { protocol: 'threshold-he', minCohort: 4, colluders: 2 } });
    const { sentence } = words(
      ledgerOf(
        story(two, COURSE),
        story(segments({ mode: 'record-local' }, { name: 'other' }), {
          ...COURSE,
          from: '2026-11-05T00:00:00Z',
          end: { at: '2026-11-06T00:00:00Z' },
        }),
        story(planOf(), { ...COURSE, from: '2026-12-05T00:00:00Z', end: { at: '2026-12-06T00:00:00Z' } }),
      ),
    );
    expect(sentence).toContain('three results were released for segments and retention:');
    expect(sentence).toContain('against the coordinator together with any one other business unit,');
    expect(sentence).toContain('for up to 365 days; not every plan says how long they may be used.');
  });

  test('allows for the longest use that any plan allows, and counts no attacker of a task that opened nothing', () => {
    const short = segments({}, { name: 'short', use: { purpose: 'segments', retentionDays: 7 } });
    const idle = segments({}, { name: 'idle', secureSum: { protocol: 'threshold-he', minCohort: 4, colluders: 0 } });
    const { sentence } = words(
      ledgerOf(
        story(segments(), COURSE),
        story(short, { ...COURSE, from: '2026-11-05T00:00:00Z', end: { at: '2026-11-06T00:00:00Z' } }),
        story(idle, { from: '2026-12-05T00:00:00Z', rounds: 'aa' }),
      ),
    );
    expect(sentence).toContain('two results were released for segments:');
    expect(sentence).toContain('against the coordinator together with any one other business unit,');
    expect(sentence).toMatch(/; they may be used for up to 365 days\.$/);
  });

  test('of several tasks on the same customers holds even if the later ones were chosen in view of the earlier', () => {
    const one = segments();
    const both = ledgerOf(
      story(one, COURSE),
      story(segments({}, { name: 'other' }), {
        ...COURSE,
        from: '2026-11-05T00:00:00Z',
        end: { at: '2026-11-06T00:00:00Z' },
      }),
    );
    const { pools } = figuresOf(both.verdict, both.root, periodNamed('2026-Q4'));
    const { attack, filterAttack } = pools[0]!.inPeriod;
    expect(filterAttack[0]!.truePositiveRate).toBeGreaterThan(attack.coalition[0]!.truePositiveRate);
    const [, found] = /finds at most ([0-9.]+) of 100/.exec(words(both).sentence)!;
    expect(Number(found)).toBeGreaterThanOrEqual(100 * filterAttack[0]!.truePositiveRate);
    expect(Number(found)).toBeLessThan(100 * filterAttack[0]!.truePositiveRate + 0.1);
  });

  test('of so much that only tasks fixed beforehand have a bound says that it is theirs', () => {
    const large = (name: string) => segments({ epsilon: 6 }, { name });
    const course = (month: string) => ({
      ...COURSE,
      from: `2026-${month}-05T00:00:00Z`,
      end: { at: `2026-${month}-06T00:00:00Z` },
    });
    const kept = ledgerOf(
      story(large('one'), course('10')),
      story(large('two'), course('11')),
      story(large('three'), course('12')),
    );
    const { pools } = figuresOf(kept.verdict, kept.root, periodNamed('2026-Q4'));
    expect(pools[0]!.inPeriod.filterAttack[0]!.truePositiveRate).toBe(1);
    const proviso =
      ', provided the tasks were fixed before the first of them: no bound is proven where later ones were chosen in view of its results';
    const { sentence, lifetime } = words(kept);
    expect(sentence).toMatch(/finds at most [1-9][0-9.]* of 100 who were \(blind guessing finds 1\), provided/);
    expect(sentence).toContain(`${proviso}; this protects`);
    expect(lifetime).toContain(`${proviso}; that total`);
  });

  test('of a task that has not finished tells of its sums', () => {
    const { sentence } = told(segments(), { from: '2026-10-05T00:00:00Z', rounds: 'rcr' });
    expect(sentence).toContain('three sums were opened by tasks that had not finished, for segments: whoever');
  });

  test('of a period in which nothing was opened says so, and the whole ledger’s stands', () => {
    const { sentence, lifetime } = told(segments(), COURSE, '2027-Q1');
    expect(sentence).toBe(
      'Between 1 January 2027 and 31 March 2027, no sum over any customers was opened, so nothing new could be learned about anyone.',
    );
    expect(lifetime).toContain('at most 3.1 of 100');
  });

  test('of an empty ledger says so', () => {
    expect(words(ledgerOf(), 'all')).toEqual({
      sentence:
        'Since the ledger began, no sum over any customers was opened, so nothing new could be learned about anyone.',
      lifetime: 'This ledger holds no opening at all: nothing was ever spent.',
      customer: 'No plan says what a customer is.',
    });
  });

  test('of what was released without protection promises nothing', () => {
    const kept = ledgerOf(story(segments(), COURSE));
    const entries = kept.entries.map((entry) =>
      entry.kind === 'plan' ? { ...entry, event: { type: 'NonPrivate' as const } } : entry,
    );
    const { sentence, lifetime } = words({ ...kept, verdict: { ...kept.verdict, entries } });
    expect(sentence).toContain('and no bound is proven on what all of it tells about a single customer');
    expect(lifetime).toContain('no bound is proven; that total only grows');
  });
});

describe('what a customer is', () => {
  const named = segments({}, { features: { ...planOf().settings.features, customer: { column: 'id', maxRows: 3 } } });

  test('is all rows of one name, where there is a column of names', () => {
    expect(told(named).customer).toBe(
      "Here a customer is all rows of one name in one business unit's data. It is taken to be a customer of one business unit, and to be in one group only: trained on, or held out for evaluation.",
    );
  });

  test('is said both ways where tasks differ, with what totals then hold for', () => {
    const both = ledgerOf(
      story(segments(), COURSE),
      story(named, { ...COURSE, from: '2026-11-05T00:00:00Z', end: { at: '2026-11-06T00:00:00Z' } }),
    );
    expect(words(both).customer).toMatch(
      /^Tasks differ: a customer is one row .*; or a customer is all rows .*Totals hold for customers that are the same by each\./,
    );
  });

  test('includes of how many units', () => {
    expect(told(segments({ tenantsPerCustomer: 3 })).customer).toContain('a customer of at most three business units');
  });
});
