import { describe, expect, test } from 'vitest';
import { type Act, actHash } from '../../aggregation/act.ts';
import { approvalProblems } from '../../aggregation/verify-approvals.ts';
import { auditEntries } from '../../privacy/audit.ts';
import { appendEntry, EMPTY_LEDGER, type LedgerBody, type LedgerEntry, NO_TASK } from '../../privacy/ledger.ts';
import { aFinish, aPlan } from '../privacy/ledgers.ts';
import { smallTask } from '../support/small-task.ts';

const TASK = 'a'.repeat(64);
const [ANNA, BEN] = ['1'.repeat(16), '2'.repeat(16)];
const OF_NONE: readonly LedgerBody['kind'][] = ['roster', 'budget', 'approval-rule', 'approved'];

function ledger(...bodies: LedgerBody[]): LedgerEntry[] {
  let head = EMPTY_LEDGER;
  return bodies.map((body) => {
    const task = OF_NONE.includes(body.kind) ? NO_TASK : TASK;
    const appended = appendEntry(head, body, { time: 1_700_000_000_000, federation: 'f', task });
    head = appended.head;
    return appended.entry;
  });
}

const rule = (approvals: number): LedgerBody => ({ kind: 'approval-rule', approvals });
const two = rule(2);
const approved = (act: Act, by: readonly string[] = [ANNA, BEN]): LedgerBody => ({
  ...{ kind: 'approved', act: act.kind, hash: actHash(act), by: [...by] },
});
const roster = (tenant: string, change: 'enrolled' | 'left' | 're-keyed' | 'revoked'): LedgerBody => ({
  ...{ kind: 'roster', tenant, change, key: 'c'.repeat(64) },
});
const limit = (epsilon: number, delta = 1e-5, tenant = 'north') => ({ tenant, pool: 'training', epsilon, delta });
const budget = (...of: Parameters<typeof limit>): LedgerBody => ({ kind: 'budget', ...limit(...of) });
const raised = (...of: Parameters<typeof limit>): Act => ({ kind: 'budget', ...limit(...of) });
const invitation = (tenant: string): Act => ({ kind: 'invitation', tenant });
const revocation = (tenant: string): Act => ({ kind: 'revocation', tenant });
const task: Act = { kind: 'task', settings: smallTask() };
const toRule = (approvals: number): Act => ({ kind: 'approval-rule', approvals });
const plan: LedgerBody = { ...aPlan(), planHash: TASK };

const problems = (...bodies: LedgerBody[]): string[] =>
  approvalProblems(ledger(...bodies)).map(({ seq, problem }) => `${seq} ${problem}`);
const LACKS = 'without the 2 approvals that the rule asks for';

test('before any rule, one operator may do everything', () => {
  expect(problems(roster('north', 'enrolled'), plan, roster('north', 'revoked'), two)).toEqual([]);
});

describe('where the rule asks for two,', () => {
  test('acts that two approved are in order, whatever lies between an invitation and its use', () => {
    const history = [
      two,
      approved(invitation('north')),
      approved(task),
      plan,
      roster('north', 'enrolled'),
      approved(revocation('north')),
      roster('north', 'revoked'),
      budget(4),
      approved(raised(8)),
      budget(8),
      approved(toRule(1)),
      rule(1),
      roster('south', 'enrolled'),
      budget(16),
    ];
    expect(problems(...history)).toEqual([]);
  });

  test.each<[string, LedgerBody[], string]>([
    ['a task', [two, plan], `1 a task was begun ${LACKS}`],
    [
      'a task whose approval came earlier, for another',
      [two, approved(task), roster('n', 'left'), plan],
      `3 a task was begun ${LACKS}`,
    ],
    ['a task after the approval of something else', [two, approved(toRule(1)), plan], `2 a task was begun ${LACKS}`],
    ['a tenant', [two, roster('north', 'enrolled')], `1 north was enrolled ${LACKS}`],
    [
      'a tenant by the invitation of another',
      [two, approved(invitation('south')), roster('north', 'enrolled')],
      `2 north was enrolled ${LACKS}`,
    ],
    [
      'a tenant by the approval of its revocation',
      [two, approved(revocation('north')), roster('north', 'enrolled')],
      `2 north was enrolled ${LACKS}`,
    ],
    ['a revocation', [two, roster('north', 'revoked')], `1 north was revoked ${LACKS}`],
    ['a higher budget', [budget(4), two, budget(8)], `2 the training budget of north was raised ${LACKS}`],
    [
      'a budget with a higher δ',
      [two, budget(4), budget(3, 1e-4)],
      `2 the training budget of north was raised ${LACKS}`,
    ],
    [
      'a higher budget by the approval of a lower one',
      [two, budget(4), approved(raised(6)), budget(8)],
      `3 the training budget of north was raised ${LACKS}`,
    ],
    [
      'a higher budget by the approval of another’s',
      [two, budget(4), approved(raised(8, 1e-5, 'south')), budget(8)],
      `3 the training budget of north was raised ${LACKS}`,
    ],
    ['a lower rule', [two, rule(1)], `1 the rule was changed ${LACKS}`],
    ['another rule than the one approved', [two, approved(toRule(2)), rule(1)], `2 the rule was changed ${LACKS}`],
    ['an approval by one person twice', [two, approved(task, [ANNA, ANNA]), plan], `1 approved by 1 ${LACKS}`],
  ])('%s is named that one person did alone', (_, bodies, problem) => {
    expect(problems(...bodies)).toEqual([problem]);
  });

  test('an invitation is used once', () => {
    const [invited, joined, left] = [
      approved(invitation('north')),
      roster('north', 'enrolled'),
      roster('north', 'left'),
    ];
    expect(problems(two, invited, joined, left, joined)).toEqual([`4 north was enrolled ${LACKS}`]);
    expect(problems(two, invited, joined, left, invited, joined)).toEqual([]);
  });

  test('what a tenant says of itself needs nobody', () => {
    expect(problems(two, roster('north', 're-keyed'), roster('north', 'left'))).toEqual([]);
    expect(problems(two, budget(4), budget(2), budget(4, 1e-5, 'south'), budget(2))).toEqual([]);
  });
});

test('entries of approval belong to no task', () => {
  const entries = ledger(two, approved(task), plan, { ...aFinish(2) });
  expect(auditEntries(entries).findings.filter(({ seq }) => seq < 2)).toEqual([]);
  const { entry } = appendEntry(EMPTY_LEDGER, two, { time: 1, federation: 'f', task: TASK });
  expect(auditEntries([entry]).findings).toEqual([
    { seq: 0, problem: `an entry of kind approval-rule for task ${TASK}` },
  ]);
});

test('an entry holds ids of tokens, not names of people', () => {
  expect(() => ledger(approved(task, ['Anna Alt']))).toThrow(RangeError);
  expect(() => ledger(approved(task, []))).toThrow(RangeError);
});

test('every field of an act is in its hash, and the order of fields is not', () => {
  const token = {
    kind: 'token',
    id: ANNA,
    secretHash: 'b'.repeat(64),
    role: 'auditor',
    holder: 'Anna',
    days: 90,
  } as const;
  const others: Act[] = [
    { ...token, id: BEN },
    { ...token, secretHash: 'c'.repeat(64) },
    { ...token, role: 'operator' },
    { ...token, holder: 'Ben' },
    { ...token, days: 91 },
    invitation('north'),
    invitation('south'),
    revocation('north'),
    raised(4),
    raised(8),
    raised(4, 1e-4),
    raised(4, 1e-5, 'south'),
    { kind: 'budget', ...limit(4), pool: 'held-out' },
  ];
  expect(new Set([token, ...others].map(actHash)).size).toBe(14);
  const turned = Object.fromEntries(Object.entries(token).reverse());
  expect(actHash(turned as Act)).toBe(actHash(token));
});
