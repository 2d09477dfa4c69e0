import { describe, expect, test } from 'vitest';
import { taskId } from '../../../aggregation/plan.ts';
import { verifyLedgerExport } from '../../../aggregation/verify-ledger.ts';
import { deviationsIn } from '../../../client/report/deviations.ts';
import { periodNamed } from '../../../client/report/period.ts';
import { NO_TASK } from '../../../privacy/ledger.ts';
import { type Kept, KNOWN, ledgerOf, outside, planOf, story } from './ledger-of.ts';

const plan = planOf();
const task = taskId(plan);
const said = ({ verdict }: Kept, period = 'all') =>
  deviationsIn(verdict, periodNamed(period)).map(({ kind, what }) => `${kind}: ${what}`);

test('a task that went as planned has none', () => {
  const smooth = story(plan, { from: '2026-01-10T00:00:00Z', rounds: 'rrrr', end: { at: '2026-01-11T00:00:00Z' } });
  expect(said(ledgerOf(smooth))).toEqual([]);
});

test('abandoned rounds are told by reason, with their numbers; charged ones without a result are spent all the same', () => {
  const rough = story(plan, { from: '2026-01-10T00:00:00Z', rounds: 'acaarc' });
  const kept = ledgerOf(rough);
  expect(said(kept)).toEqual([
    'round abandoned: 3 rounds (1, 3, 4) abandoned: fewer units than the plan asks for were there',
    'spent in vain: 2 rounds (2, 6) charged, with no result so far',
    'disagreement: 2 rounds (2, 6) abandoned: the shares did not open the charged sum',
  ]);
  const [first] = deviationsIn(kept.verdict, periodNamed('all'));
  expect(first).toMatchObject({ task, seq: 6, at: Date.parse('2026-01-10T00:01:00Z') });
  expect(kept.entries[6]).toMatchObject({ kind: 'abort', round: 1 });
});

test.each([
  ['stopped-by-operator', 'task stopped: task stopped: the operator stopped it'],
  ['not-witnessed', 'disagreement: task stopped: too few units cosigned the ledger'],
  ['of-a-later-version', 'task stopped: task stopped: of a later version'],
])('a task that stopped says why: %s', (reason, expected) => {
  const stopped = story(plan, {
    from: '2026-01-10T00:00:00Z',
    rounds: 'r',
    end: { at: '2026-01-11T00:00:00Z', stop: reason },
  });
  expect(said(ledgerOf(stopped))).toEqual([expected]);
});

test('erasures, changes of the roster and limits are told, with fingerprints instead of keys', () => {
  const key = '11'.repeat(32);
  const replaces = '22'.repeat(32);
  const kept = ledgerOf([
    outside('2026-01-01', { kind: 'roster', tenant: 'fern', change: 'enrolled', key: replaces }),
    outside('2026-01-02', { kind: 'roster', tenant: 'fern', change: 're-keyed', key, replaces }),
    outside('2026-01-03', { kind: 'erasure', tenant: 'fern' }),
    outside('2026-01-04', { kind: 'budget', tenant: 'fern', pool: 'training', epsilon: 3, delta: 1e-5 }),
  ]);
  expect(said(kept)).toEqual([
    expect.stringMatching(/^roster: fern enrolled, fingerprint (([0-9a-f]{4}-){9}[0-9a-f]{4})$/),
    expect.stringMatching(/^roster: fern re-keyed, fingerprint \S{49}, instead of \S{49}$/),
    'erasure: fern no longer uses a customer it had; what was released before stays released',
    'limit: fern limits training customers to ε 3 at δ 0.00001',
  ]);
  expect(said(kept).join()).not.toContain('1111');
  expect(deviationsIn(kept.verdict, periodNamed('all')).map((one) => one.task)).toEqual(Array(4).fill(NO_TASK));
});

test('a rule of approvals, and what was approved by whom, is told by the ids of tokens', () => {
  const by = ['1'.repeat(16), '2'.repeat(16)];
  const kept = ledgerOf([
    outside('2026-01-01', { kind: 'approval-rule', approvals: 2 }),
    outside('2026-01-02', { kind: 'approved', act: 'revocation', hash: '33'.repeat(32), by }),
  ]);
  expect(said(kept)).toEqual([
    "approvals: tasks, roster and tokens need 2 people's approvals from here on",
    `approvals: the revocation of a tenant's key was approved by ${by.join(' and ')}`,
  ]);
});

describe('only the period’s', () => {
  const erasure = (at: string) => outside(at, { kind: 'erasure', tenant: 'amber' });
  const kept = ledgerOf(
    [erasure('2025-12-31T23:59:59.999Z'), erasure('2026-01-01T00:00:00Z'), erasure('2027-01-01T00:00:00Z')],
    story(plan, { from: '2026-12-31T23:58:30Z', rounds: 'ca' }),
  );

  test('are told, from its first millisecond to its last', () => {
    expect(said(kept, '2026').map((one) => one.split(':')[0])).toEqual(['erasure', 'spent in vain', 'disagreement']);
    expect(said(kept, '2025')).toHaveLength(1);
    expect(said(kept, '2027').map((one) => one.split(':')[0])).toEqual(['erasure', 'round abandoned']);
  });

  test('and an opening counts as in vain only while no later entry releases it', () => {
    const late = ledgerOf(story(plan, { from: '2026-12-31T23:58:30Z', rounds: 'r' }));
    expect(said(late, '2026')).toEqual([]);
  });
});

test('a result that the quorum has not cosigned does not count, and is told in the period it was due in', () => {
  const { file, entries } = ledgerOf(
    story(plan, { from: '2026-01-10T00:00:00Z', rounds: 'r', end: { at: '2026-04-02T00:00:00Z' } }),
  );
  const unsigned: Kept = {
    file,
    entries,
    root: new Uint8Array(32),
    verdict: verifyLedgerExport({ ...file, notes: file.notes.slice(0, 1) }, KNOWN),
  };
  expect(unsigned.verdict.verified).toBe(true);
  expect(said(unsigned, '2026-Q1')).toEqual([]);
  expect(said(unsigned, '2026-Q2')).toEqual([
    'disagreement: the quorum of the roster has not cosigned the end (yet): its result does not count',
  ]);
  const planned = ledgerOf(story(plan, { from: '2026-01-10T00:00:00Z', rounds: '' }));
  const unseen = { ...planned, verdict: verifyLedgerExport({ ...planned.file, notes: [] }, KNOWN) };
  expect(said(unseen, '2026-Q1')).toEqual([
    'disagreement: the quorum of the roster has not cosigned the plan: nothing of it counts',
  ]);
});
