import { describe, expect, test } from 'vitest';
import { taskId } from '../../../aggregation/plan.ts';
import type { AuditFinding } from '../../../client/report/audit-finding.ts';
import { chartsOf } from '../../../client/report/charts.ts';
import { reportPage } from '../../../client/report/page.ts';
import { periodNamed } from '../../../client/report/period.ts';
import { reportOf } from '../../../client/report/report.ts';
import { reportText } from '../../../client/report/text.ts';
import type { LedgerEntry } from '../../../privacy/ledger.ts';
import { type Element, elementsOf } from '../../support/elements.ts';
import { type Kept, KNOWN, ledgerOf, outside, planOf, story } from './ledger-of.ts';

const trained = planOf((settings) => ({
  ...settings,
  use: { purpose: 'retention', legalBasis: 'Art. 6 (1) (f) GDPR', retentionDays: 90 },
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
const kept = ledgerOf(
  story(trained, { from: '2026-09-29T00:00:00Z', rounds: 'rarr', end: { at: '2026-10-01T00:00:00Z' } }),
  story(evaluated, { from: '2026-10-12T00:00:00Z', rounds: 'r' }),
  [
    outside('2026-10-02', { kind: 'erasure', tenant: 'amber' }),
    outside('2026-01-02', { kind: 'budget', tenant: 'amber', pool: 'training', epsilon: 3, delta: 1e-5 }),
  ],
);
const madeAt = Date.parse('2027-01-05T12:00:00Z');

const made = ({ verdict, root }: Kept, name: string, more: { file?: string; audit?: AuditFinding } = {}) =>
  reportOf({ verdict, root, period: periodNamed(name), madeAt, ...more });

function pageOf(of: Kept = kept, name = '2026-Q4', more: Parameters<typeof made>[2] = {}): string {
  const report = made(of, name, more);
  return reportPage(
    report,
    report.figures.pools.map((pool) => chartsOf(pool, of.entries, report.figures.period)),
  );
}

/** The same ledger, in which somebody wrote this where a legal basis belongs: plans refuse it, the ledger alone does not. */
function withLegalBasis(legalBasis: string): Kept {
  const entries = kept.entries.map(
    (entry): LedgerEntry => (entry.kind === 'plan' ? { ...entry, use: { purpose: 'x', legalBasis } } : entry),
  );
  return { ...kept, entries, verdict: { ...kept.verdict, entries } };
}

const textOf = (page: string): string =>
  page
    .replace(/<[^>]+>/g, ' ')
    .replaceAll('&#39;', "'")
    .replaceAll('&quot;', '"')
    .replace(/\s+/g, ' ');

describe('the page', () => {
  const page = pageOf();
  const elements = elementsOf(page);
  const named = (name: string): Element[] => elements.filter((element) => element.name === name);

  test('is one well-formed document in English, titled, in sections with headings that skip no level', () => {
    expect(page.startsWith('<!DOCTYPE html>\n<html lang="en">')).toBe(true);
    expect(named('h1').map(({ text }) => text)).toEqual(['Privacy report, 2026-Q4']);
    expect(named('h2').map(({ text }) => text)).toEqual([
      '1. In plain words',
      '2. What each task cost',
      '3. One customer’s total, over all tasks',
      '4. What an attacker gains',
      '5. What the figures rest on',
      '6. What is not protected, and not covered',
      '7. Audit',
      '8. Deviations and changes in the period',
      '9. Verify it yourself',
    ]);
    const levels = elements.flatMap(({ name }) => (/^h[1-6]$/.test(name) ? [Number(name[1])] : []));
    for (const [i, level] of levels.entries()) expect(level - (levels[i - 1] ?? 0)).toBeLessThanOrEqual(1);
  });

  test('needs nothing from elsewhere and runs nothing', () => {
    expect(
      elements.map(({ name }) => name).filter((name) => /^(script|link|img|iframe|object|embed|form|base)$/.test(name)),
    ).toEqual([]);
    expect(page.replaceAll('xmlns="http://www.w3.org/2000/svg"', '')).not.toMatch(
      /https?:|url\(|@import|src=|href=|\son[a-z]+=/i,
    );
  });

  test('has a caption and header cells with their scope in every table, and a title and a description in every picture', () => {
    expect(named('caption')).toHaveLength(named('table').length);
    expect(named('th').filter(({ attributes }) => !/^(row|col|colgroup)$/.test(attributes['scope'] ?? ''))).toEqual([]);
    expect(named('svg')).toHaveLength(4); // ε and attack, of two pools
    expect(named('svg').map(({ attributes }) => attributes['role'])).toEqual(Array(4).fill('img'));
    expect(named('desc').filter(({ text }) => text.length > 40)).toHaveLength(4);
    expect(named('title')).toHaveLength(5);
  });

  test('prints on A4, tables whole, black on white', () => {
    const [style] = named('style');
    expect(style!.text).toContain('size: A4');
    expect(style!.text).not.toContain('&'); // a browser reads a style sheet as it stands
    expect(style!.text).toContain('break-inside: avoid');
    expect(style!.text.match(/#[0-9a-f]{3,6}/g)!.every((colour) => ['#000', '#fff'].includes(colour))).toBe(true);
  });

  test('shows every figure that the report has, next to unit, neighbours and δ', () => {
    const { figures } = made(kept, '2026-Q4');
    const text = textOf(page);
    for (const { charged, planned } of figures.tasks)
      for (const value of [...charged.byCopies.coalition, ...planned.byCopies.floor])
        expect(text).toContain((Math.ceil(value * 1000 - 1e-9) / 1000).toFixed(3));
    for (const { filter } of figures.pools.map(({ overLife }) => overLife))
      expect(text).toContain((Math.ceil(filter * 1000 - 1e-9) / 1000).toFixed(3));
    expect(text).toContain(
      'ε of everything at δ = 0.00001, one customer added or removed; a customer of 1, 2 and 3 units',
    );
    expect(text).toContain('2026-Q4: 3 openings of 1 task');
    expect(text).toContain('whole ledger: 3 openings of 1 task');
    expect(text).toContain('3 used of 5 planned (rounds: 4), 0 in the period; 3 became a model');
    expect(text).toContain(taskId(trained));
    expect(text).toContain('legal basis: Art. 6 (1) (f) GDPR');
    expect(text).toContain('Not audited');
    expect(text).toContain('amber no longer uses a customer it had');
    for (const print of [KNOWN.coordinator, ...Object.values(KNOWN.tenants)]) expect(text).toContain(print);
    expect(text).toContain(figures.ledger.root);
  });

  test.each(['all', '2031', '2026-10'])('of the period %s is well-formed too', (name) => {
    expect(() => elementsOf(pageOf(kept, name))).not.toThrow();
  });

  test('of an empty ledger says that there is nothing', () => {
    const empty = pageOf(ledgerOf(), 'all');
    expect(elementsOf(empty).filter(({ name }) => name === 'svg')).toEqual([]);
    expect(textOf(empty)).toContain('The ledger holds no plan.');
  });

  test.each([
    '</td><script>alert(1)</script>',
    '"\'><img src=x onerror=alert(1)>',
    '&lt;b&gt;',
    '\u0000\ud800<',
    ']]><!--',
  ])('shows %j as text', (legalBasis) => {
    const hostile = pageOf(withLegalBasis(legalBasis));
    expect(elementsOf(hostile).map(({ name }) => name)).toEqual(
      elementsOf(pageOf(withLegalBasis('plain'))).map(({ name }) => name),
    );
    expect(hostile).not.toMatch(/<script|<img|onerror=alert\(1\)>/);
  });

  test('draws no ε where it is infinite', () => {
    const entries = kept.entries.map(
      (entry): LedgerEntry => (entry.kind === 'plan' ? { ...entry, event: { type: 'NonPrivate' } } : entry),
    );
    const open = pageOf({ ...kept, entries, verdict: { ...kept.verdict, entries } });
    expect(elementsOf(open).filter(({ name }) => name === 'svg')).toHaveLength(2);
    expect(textOf(open)).toContain('was released without protection: its ε is infinite');
  });
});

describe('the pictures', () => {
  const period = periodNamed('2026-Q4');
  const { pools } = made(kept, '2026-Q4').figures;

  test('end at the figures of the tables, and mark where the period begins', () => {
    const { epsilon, attack } = chartsOf(pools[0]!, kept.entries, period);
    expect(epsilon!.x.to).toBe(3);
    const [release, coalition, floor, begins, ...rest] = epsilon!.series;
    for (const [series, against] of [
      [release, 'release'],
      [coalition, 'coalition'],
      [floor, 'floor'],
    ] as const) {
      expect(series!.points[0]).toEqual({ x: 0, y: 0 });
      expect(series!.points.at(-1)).toEqual({ x: 3, y: pools[0]!.overLife.stated[against] });
    }
    expect(begins).toMatchObject({ label: 'the period begins', points: [{ x: 3, y: 0 }, { x: 3 }] });
    expect(rest).toEqual([]);
    const found = attack!.series[1]!.points.find(({ x }) => x === 1)!;
    expect(found.y).toBeCloseTo(100 * pools[0]!.overLife.attack.coalition[0]!.truePositiveRate, 9);
  });

  test('mark both ends of a period that has openings before and after it', () => {
    const course = (month: string) => ({ from: `2026-${month}-05T00:00:00Z`, rounds: 'rr' });
    const [b, c] = ['b', 'c'].map((name) => planOf((settings) => ({ ...settings, name })));
    const three = ledgerOf(story(trained, course('01')), story(b!, course('02')), story(c!, course('03')));
    const { figures } = made(three, '2026-02');
    const { series } = chartsOf(figures.pools[0]!, three.entries, figures.period).epsilon!;
    expect(series.slice(3).map(({ label, points }) => [label, points[0]!.x])).toEqual([
      ['the period begins', 2],
      ['the period ends', 4],
    ]);
  });

  test('of a period before the last opening mark where it ends', () => {
    const { epsilon } = chartsOf(pools[1]!, kept.entries, periodNamed('2026-Q3'));
    expect(epsilon!.series.map(({ label }) => label)).toContain('the period ends');
  });

  test('of a long ledger have as many points as print shows, the first step among them', () => {
    const long = planOf((settings) => ({
      ...settings,
      work: { ...settings.work, rounds: 100 } as typeof settings.work,
    }));
    const many = ledgerOf(story(long, { from: '2026-01-01T00:00:00Z', rounds: 'r'.repeat(100) }));
    const { figures } = made(many, 'all');
    const { points } = chartsOf(figures.pools[0]!, many.entries, periodNamed('all')).epsilon!.series[1]!;
    expect(points.slice(0, 2).map(({ x }) => x)).toEqual([0, 1]);
    expect(points.at(-1)!.x).toBe(100);
    expect(points.length).toBeLessThanOrEqual(42);
    for (const [i, { y }] of points.entries()) expect(y).toBeGreaterThanOrEqual(points[i - 1]?.y ?? 0);
  });
});

describe('caveats', () => {
  const caveats = (of: Kept, name: string, more: Parameters<typeof made>[2] = {}) => made(of, name, more).caveats;

  test('there are none for a complete export, whose keys were compared, after the period', () => {
    expect(caveats(kept, '2026-Q3', { file: 'ledger.json' })).toEqual([]);
  });

  test('name the keys that nobody compared', () => {
    const strange = { ...kept, verdict: { ...kept.verdict, unknownKeys: ['coordinator', 'blue'] } };
    expect(caveats(strange, '2026-Q3')).toEqual([
      expect.stringContaining('keys of coordinator, blue were taken from it'),
    ]);
  });

  test('say where a file ends before its period, and where a report is made before', () => {
    expect(caveats(kept, '2026-Q4', { file: 'ledger.json' })).toEqual([
      expect.stringContaining('The ledger ends on 12 October 2026'),
    ]);
    expect(caveats(kept, '2026-Q4')).toEqual([]); // read from the coordinator: there is no more
    expect(caveats(kept, '2027')).toEqual([
      'The period ends on 31 December 2027; this report was made before, on 5 January 2027.',
    ]);
  });

  test('say which tasks secured nothing', () => {
    const plain = planOf((settings) => ({ ...settings, secureSum: { ...settings.secureSum, protocol: 'plain' } }));
    const [caveat] = caveats(ledgerOf(story(plain, { from: '2026-10-01T00:00:00Z', rounds: 'r' })), '2026-Q4');
    expect(caveat).toContain(`Task ${taskId(plain).slice(0, 8)} used the secure sum "plain", which secures nothing`);
  });
});

test('the commands to verify with name the file as a shell needs it', () => {
  expect(made(kept, '2026-Q4', { file: "it's here/ledger.json" }).verifyWith[0]).toBe(
    `parley ledger verify 'it'\\''s here/ledger.json' --fingerprint ${KNOWN.coordinator}`,
  );
  const [exported, , , report] = made(kept, '2026-Q4').verifyWith;
  expect([exported, report]).toEqual([
    'parley ledger export ledger.json',
    'parley report ledger.json --period 2026-Q4 --roster roster.txt',
  ]);
});

test('in a terminal the same figures stand in short', () => {
  const report = made(kept, '2026-Q4');
  const text = reportText(report);
  expect(text).toContain(report.words.sentence);
  const { overLife } = report.figures.pools[0]!;
  expect(text).toMatch(
    new RegExp(`  whole ledger +\\S+ +${(Math.ceil(overLife.stated.coalition * 1000 - 1e-9) / 1000).toFixed(3)} `),
  );
  expect(text).toMatch(/ {2}[0-9a-f]{8} retention +\S+ +\S+ +\S+ +3\/5 +finished/);
  expect(text).toContain('amber no longer uses a customer it had');
  expect(reportText(made(kept, 'all')).match(/whole ledger +/g)).toHaveLength(2);
});
