import { describe, expect, test } from 'vitest';
import { taskId } from '../../../aggregation/plan.ts';
import { verifyLedgerExport } from '../../../aggregation/verify-ledger.ts';
import { epsilonOf } from '../../../client/report/exposure.ts';
import { figuresOf } from '../../../client/report/figures.ts';
import { spentBy } from '../../../client/report/openings.ts';
import { periodNamed } from '../../../client/report/period.ts';
import type { LedgerEntry } from '../../../privacy/ledger.ts';
import { type Kept, KNOWN, ledgerOf, outside, planOf, story } from './ledger-of.ts';

const figures = ({ verdict, root }: Kept, period: string) => figuresOf(verdict, root, periodNamed(period));

const trained = planOf();
const segments = planOf((settings) => ({
  ...settings,
  work: { kind: 'segment', clusters: 3, rounds: 4 },
  privacy: { ...settings.privacy, samplingRate: 1, epsilon: 1, delta: 1e-6 },
}));
const evaluated = planOf((settings) => ({
  ...settings,
  work: {
    kind: 'evaluate',
    model: { kind: 'logistic' },
    parameters: 'a'.repeat(64),
    trainedBy: 'b'.repeat(64),
    bins: 8,
  },
  privacy: { ...settings.privacy, samplingRate: 1, epsilon: 1 },
}));

/** Trained in September and October, ended in October; segments in October; held out in November. */
const year = ledgerOf(
  story(trained, { from: '2026-09-30T23:57:30Z', rounds: 'rrrar', end: { at: '2026-10-01T12:00:00Z' } }),
  story(segments, {
    from: '2026-10-10T00:00:00Z',
    rounds: 'rc',
    end: { at: '2026-10-10T12:00:00Z', stop: 'stopped-by-operator' },
  }),
  story(evaluated, { from: '2026-11-10T00:00:00Z', rounds: 'r', accepted: ['amber', 'blue', 'coral', 'dun'] }),
);

test('the ledgers of these tests verify', () => {
  expect(year.verdict.findings).toEqual([]);
});

describe('a task', () => {
  const { tasks } = figures(year, 'all');

  test('is told with its plan, who took part, its openings and its end', () => {
    expect(tasks.map(({ task }) => task)).toEqual([trained, segments, evaluated].map(taskId));
    const [first, second, third] = tasks;
    expect(first).toMatchObject({
      accepted: ['amber', 'blue', 'coral', 'dun', 'ebony'],
      releases: 4,
      witnessed: 'end',
    });
    expect(first!.end).toMatchObject({ kind: 'finish', at: Date.parse('2026-10-01T12:00:00Z') });
    expect(second!.end).toEqual({
      kind: 'stop',
      at: Date.parse('2026-10-10T12:00:00Z'),
      reason: 'stopped-by-operator',
    });
    expect(second!.releases).toBe(1);
    expect(third).toMatchObject({ accepted: ['amber', 'blue', 'coral', 'dun'], end: undefined, witnessed: 'plan' });
    expect(tasks.map(({ charged, planned }) => [charged.openings, planned.openings])).toEqual([
      [4, 5],
      [2, 5],
      [1, 2],
    ]);
  });

  test('costs by its charges what the verifier of the ledger computes', () => {
    for (const [i, { charged }] of tasks.entries())
      expect(charged.stated.coalition).toBeCloseTo(year.verdict.tasks[i]!.epsilon, 9);
  });

  test('belongs to every period that has an entry of it, charges to the one they were charged in', () => {
    const of = (period: string) =>
      figures(year, period).tasks.map(({ task, chargesInPeriod }) => [task, chargesInPeriod]);
    expect(of('2026-Q3')).toEqual([[taskId(trained), 2]]); // 23:58:30 and 23:59:30
    expect(of('2026-10')).toEqual([
      [taskId(trained), 2],
      [taskId(segments), 2],
    ]);
    expect(of('2026-11')).toEqual([[taskId(evaluated), 1]]);
    expect(of('2026-12')).toEqual([]);
  });
});

describe('one customer’s total', () => {
  const charges = (kept: Kept) => kept.entries.filter(({ kind }) => kind === 'charge');
  const plansOf = (kept: Kept) =>
    kept.entries.filter((entry): entry is Extract<LedgerEntry, { kind: 'plan' }> => entry.kind === 'plan');

  test('stands by pool, at the largest δ of its plans, and composes all tasks instead of adding them', () => {
    const [training, heldOut] = figures(year, 'all').pools;
    expect(training).toMatchObject({
      pool: 'training',
      delta: 1e-5,
      tasks: [taskId(trained), taskId(segments)],
      units: ['row-as-customer'],
    });
    expect(heldOut).toMatchObject({ pool: 'held-out', delta: 1e-5, tasks: [taskId(evaluated)] });
    const [a, b, c] = plansOf(year);
    const both = spentBy([a!, b!], charges(year));
    expect(training!.overLife.stated.coalition).toBe(epsilonOf(both, 'coalition', 1e-5));
    expect(heldOut!.overLife.stated.floor).toBe(epsilonOf(spentBy([c!], charges(year)), 'floor', 1e-5));
    const alone = both.map((one) => epsilonOf([one], 'coalition', 1e-5));
    expect(training!.overLife.stated.coalition).toBeGreaterThan(Math.max(...alone));
    expect(training!.overLife.stated.coalition).toBeLessThan(alone[0]! + alone[1]!);
    expect(training!.planned.openings).toBe(10);
  });

  test('of a period counts what its results rest on, earlier openings of the same task too', () => {
    const openings = (period: string) => figures(year, period).pools.map(({ inPeriod }) => inPeriod.openings);
    expect(openings('2026-Q3')).toEqual([2, 0]);
    expect(openings('2026-10')).toEqual([6, 0]); // 2 of September are in the model of October
    expect(openings('2026-11')).toEqual([0, 1]);
    expect(openings('2027')).toEqual([0, 0]);
    const { tasks } = figures(year, '2026-10');
    expect(tasks.map(({ behindPeriod }) => behindPeriod)).toEqual([4, 2]);
  });

  test('of a period never hides the whole ledger’s, which is the same in every period', () => {
    const [all, third, empty] = ['all', '2026-Q3', '2031'].map((period) => figures(year, period).pools);
    for (const [i, pool] of all!.entries())
      for (const other of [third![i]!, empty![i]!]) {
        expect(other.overLife).toEqual(pool.overLife);
        expect(other.planned).toEqual(pool.planned);
        expect(other.inPeriod.stated.floor).toBeLessThanOrEqual(other.overLife.stated.floor);
      }
    expect(all![0]!.inPeriod).toEqual(all![0]!.overLife);
  });

  test('a task that only ended in a period brings all its openings along', () => {
    const late = ledgerOf(
      story(trained, { from: '2026-03-30T00:00:00Z', rounds: 'rrrr', end: { at: '2026-04-01T00:00:00Z' } }),
    );
    expect(figures(late, '2026-Q2').pools[0]!.inPeriod.openings).toBe(4);
    const border = ledgerOf(
      story(trained, { from: '2026-03-30T00:00:00Z', rounds: 'rrrr', end: { at: '2026-03-31T23:59:59.999Z' } }),
    );
    expect(figures(border, '2026-Q2').pools[0]!.inPeriod.openings).toBe(0);
    expect(figures(border, '2026-Q2').tasks).toEqual([]);
  });

  test('of a period goes by the order of the ledger where clocks were put forward', () => {
    const forward = year.entries.map((entry) =>
      entry.kind === 'charge' && entry.task === taskId(trained) && entry.round === 1
        ? { ...entry, time: Date.parse('2027-01-01') }
        : entry,
    );
    const { pools } = figuresOf({ ...year.verdict, entries: forward }, year.root, periodNamed('2026-10'));
    expect(pools[0]!.inPeriod.openings).toBe(6);
  });

  test('is never composed of customers and of whole tenants', () => {
    const tenantTask = year.entries.map((entry) =>
      entry.kind === 'plan' && entry.task === taskId(segments) ? { ...entry, unit: 'tenant' as const } : entry,
    );
    const { pools } = figuresOf({ ...year.verdict, entries: tenantTask }, year.root, periodNamed('all'));
    expect(pools.map(({ pool, units, tasks }) => [pool, units, tasks.length])).toEqual([
      ['training', ['row-as-customer'], 1],
      ['training', ['tenant'], 1],
      ['held-out', ['row-as-customer'], 1],
    ]);
  });
});

test('limits that tenants told stand beside what counts against them: the newest, and the tasks each accepted', () => {
  const limit = (at: string, tenant: string, pool: string, epsilon: number) =>
    outside(at, { kind: 'budget', tenant, pool, epsilon, delta: 1e-5 });
  const kept = ledgerOf(
    story(trained, { from: '2026-01-10T00:00:00Z', rounds: 'rr' }),
    story(segments, { from: '2026-02-10T00:00:00Z', rounds: 'r', accepted: ['blue', 'coral', 'dun', 'ebony'] }),
    [
      limit('2026-01-01', 'amber', 'training', 9),
      limit('2026-01-02', 'amber', 'training', 6),
      limit('2026-01-01', 'blue', 'training', 6),
      limit('2026-01-01', 'blue', 'held-out', 5),
    ],
  );
  const [training] = figures(kept, '2026').pools;
  expect(training!.limits.map(({ tenant, epsilon }) => [tenant, epsilon])).toEqual([
    ['amber', 6],
    ['blue', 6],
  ]);
  const [amber, blue] = training!.limits;
  expect(amber!.counted).toBeCloseTo(figures(kept, '2026').tasks[0]!.charged.stated.coalition, 9);
  expect(blue!.counted).toBeGreaterThan(amber!.counted);
});

describe('the ledger', () => {
  test('is told with size, root, dates, and everybody’s fingerprint', () => {
    const { ledger } = figures(year, '2026-Q3');
    expect(ledger).toMatchObject({
      entries: year.entries.length,
      root: Buffer.from(year.root).toString('base64'),
      span: { first: Date.parse('2026-09-30T23:57:30Z'), last: Date.parse('2026-11-10T00:01:00Z') },
      signedBy: KNOWN.coordinator,
      unknownKeys: [],
    });
    expect(year.file.head).toContain(`\n${ledger.root}\n`);
    expect(ledger.tenants).toEqual(
      Object.entries(KNOWN.tenants).map(([tenant, fingerprint]) => ({ tenant, fingerprint })),
    );
  });

  test('that is empty has no figures to show, and no dates', () => {
    const { ledger, tasks, pools, deviations } = figures(ledgerOf(), 'all');
    expect([ledger.entries, ledger.span, tasks, pools, deviations]).toEqual([0, undefined, [], [], []]);
  });

  test('that does not verify has none at all', () => {
    const changed = { ...year.file, entries: year.entries.toSpliced(9, 1) };
    const verdict = verifyLedgerExport(changed, KNOWN);
    expect(verdict.verified).toBe(false);
    expect(() => figuresOf(verdict, year.root, periodNamed('all'))).toThrow('does not verify');
  });
});
