import { describe, expect, test } from 'vitest';
import { taskId } from '../../../aggregation/plan.ts';
import { readAudit } from '../../../client/report/audit-finding.ts';
import { facts } from '../../../client/report/page-facts.ts';
import { periodNamed } from '../../../client/report/period.ts';
import { reportOf } from '../../../client/report/report.ts';
import { ledgerOf, planOf, story } from './ledger-of.ts';

const plan = planOf();
const { verdict, root } = ledgerOf(story(plan, { from: '2026-10-01T00:00:00Z', rounds: 'r' }));
const read = (value: unknown) =>
  readAudit(typeof value === 'string' ? value : JSON.stringify(value), 'audit.json', verdict);
const page = (value: unknown): string =>
  facts(reportOf({ verdict, root, period: periodNamed('all'), audit: read(value), madeAt: 0 })).text.replace(
    /<[^>]+>/g,
    '',
  );

/** As `parley audit --json` prints it. */
const passed = {
  verdict: 'PASS',
  reasons: [],
  task: 'small',
  plan: taskId(plan),
  confidence: 0.95,
  canaries: 1000,
  lowerBounds: { oneRun: 0.41, fdp: 0.52, gaussianFit: { epsilon: 1.2, interval: [1, 1.4] } },
  seconds: 12,
};

describe('what an audit found', () => {
  test('is taken from its JSON, bounds only, and belongs to the task whose plan it attacked', () => {
    expect(read(passed)).toEqual({
      ...{ verdict: 'PASS', reasons: [], plan: taskId(plan), task: taskId(plan), confidence: 0.95, canaries: 1000 },
      lowerBounds: { oneRun: 0.41, fdp: 0.52 },
    });
    expect(page(passed)).toContain(`PASS, for the plan of task ${taskId(plan).slice(0, 8)}.`);
    expect(page(passed)).toContain('ε ≥ 0.41 (oneRun), ε ≥ 0.52 (fdp), with confidence 0.95, on 1000 canaries.');
  });

  test('is shown as what it is where it attacked another plan, found a violation, or says little', () => {
    expect(page({ ...passed, plan: 'f'.repeat(64) })).toContain(
      `for a plan that is not in this ledger (${'f'.repeat(64)})`,
    );
    expect(page({ verdict: 'VIOLATION', reasons: ['ε ≥ 9 <b>'] })).toMatch(
      /VIOLATION, for a plan .*it does not say which[\s\S]*ε ≥ 9 &lt;b&gt;/,
    );
  });

  test.each([
    ['{', 'audit.json: not JSON'],
    [{}, 'audit.json: not the JSON of `parley audit --json`: verdict: '],
    [{ ...passed, reasons: 'none' }, 'reasons: '],
    [[], 'not the JSON of'],
  ])('%j is refused, and the field named', (value, message) => {
    expect(() => read(value)).toThrow(message);
  });
});
