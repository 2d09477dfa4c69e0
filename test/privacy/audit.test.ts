import { expect, test } from 'vitest';
import { auditLedger } from '../../privacy/audit.ts';
import { ACCOUNTED_DELTA_FRACTION } from '../../privacy/guarantee.ts';
import { entryText, type LedgerBody, NO_TASK, type PlanEntry } from '../../privacy/ledger.ts';
import { epsilonAtMost } from '../../privacy/pld-accountant.ts';
import { aCharge, aFinish, anAbort, aPlan, aRelease, chainOf, hex } from './ledgers.ts';

const honest = [aPlan(), aCharge(1), aRelease(1), aCharge(2), anAbort(2), aCharge(3), aRelease(3), aFinish(2)];
const findingsOf = (bodies: readonly (LedgerBody & { task?: string })[]) =>
  auditLedger(chainOf(bodies).entries).findings;

test('an honest ledger is clean, and its epsilon is computed from the charges', () => {
  const { entries, head } = chainOf(honest);
  const used = [{ type: 'SelfComposed', count: 3, event: aCharge(1).event }] as const;
  const epsilon = epsilonAtMost(used, 1e-5 * ACCOUNTED_DELTA_FRACTION);
  expect(auditLedger(entries)).toEqual({
    clean: true,
    findings: [],
    tasks: [{ task: 'task-1', charges: 3, openings: 5, epsilon, claimed: aPlan().epsilon.coalition }],
    head,
  });
  expect(auditLedger(entries.map(entryText)).clean).toBe(true);
});

test('a broken chain is reported before anything else', () => {
  const { entries } = chainOf(honest);
  const audit = auditLedger(entries.with(2, { ...entries[2]!, time: 1 }));
  expect(audit).toMatchObject({ clean: false, findings: [{ seq: 3 }], tasks: [], head: undefined });
});

test('a release without a charge before it is found', () => {
  expect(findingsOf([aPlan(), aRelease(1)])).toEqual([{ seq: 1, problem: 'round 1 was not charged before' }]);
  expect(findingsOf([aPlan(), aRelease(1), aCharge(1)])).toHaveLength(1);
  expect(findingsOf([aPlan(), aCharge(1), aRelease(2)])).toHaveLength(1);
});

test('a charge of another task does not cover a release', () => {
  const other = { ...aPlan(), task: 'task-2' };
  const charged = { ...aCharge(1), task: 'task-2' };
  expect(findingsOf([aPlan(), other, charged, aRelease(1)])).toEqual([
    { seq: 3, problem: 'round 1 was not charged before' },
  ]);
});

test('two charges for one round are found, and both are counted', () => {
  const { entries } = chainOf([aPlan(), aCharge(1), aCharge(1)]);
  const { findings, tasks } = auditLedger(entries);
  expect(findings).toEqual([{ seq: 2, problem: 'a second charge for round 1' }]);
  expect(tasks[0]!.charges).toBe(2);
});

test('more charges than planned openings are found', () => {
  const six = [1, 2, 3, 4, 5, 6].map(aCharge);
  expect(findingsOf([aPlan(5), ...six])).toEqual([{ seq: 6, problem: 'opening 6 of 5 that were planned' }]);
  expect(findingsOf([aPlan(6), ...six])).toEqual([]);
});

test('a charge that says less than the plan does is found', () => {
  const cheaper = { ...aCharge(1), event: { type: 'NoOp' } as const };
  expect(findingsOf([aPlan(), cheaper])).toEqual([{ seq: 1, problem: 'charges an event that is not in the plan' }]);
});

test('one charge of many openings counts as many', () => {
  const bulk = { ...aCharge(1), event: { type: 'SelfComposed', count: 6, event: aCharge(1).event } as const };
  expect(findingsOf([aPlan(5), bulk])).toEqual([{ seq: 1, problem: 'opening 6 of 5 that were planned' }]);
});

test('a plan that claims less than its event costs, or more, is found', () => {
  const { epsilon, ...plan } = aPlan();
  for (const factor of [0.99, 1.01]) {
    const coalition = epsilon.coalition * factor;
    expect(findingsOf([{ ...plan, epsilon: { ...epsilon, coalition } }])).toEqual([
      { seq: 0, problem: `claims coalition epsilon ${coalition}, its mechanism costs ${epsilon.coalition}` },
    ]);
  }
});

test.each<[string, (plan: ReturnType<typeof aPlan>) => Partial<PlanEntry>]>([
  ['release ε', ({ epsilon }) => ({ epsilon: { ...epsilon, release: epsilon.release * 0.99 } })],
  ['floor ε', ({ epsilon }) => ({ epsilon: { ...epsilon, floor: epsilon.floor * 0.99 } })],
  ['ε for three copies', ({ epsilonByCopies: [a, b, c] }) => ({ epsilonByCopies: [a, b, Number(c) * 0.99] })],
  ['event', () => ({ event: { type: 'NoOp' } })],
  ['sensitivity', ({ mechanism }) => ({ mechanism: { ...mechanism, gridSteps: 2 ** 21 } })],
  ['batch that cuts too often', ({ mechanism }) => ({ mechanism: { ...mechanism, maxBatch: 250 } })],
  ['cohort of colluders', ({ trust }) => ({ trust: { ...trust, colluders: 4 } })],
])('a plan with another %s than its mechanism has is found', (_, change) => {
  const plan = aPlan();
  expect(findingsOf([{ ...plan, ...change(plan) }])[0]).toMatchObject({ seq: 0 });
});

test('a plan for customers of two tenants is audited as one', () => {
  const plan = aPlan(5, 2);
  expect(plan.event).toMatchObject({ event: { type: 'MixtureOfGaussians' } });
  expect(findingsOf([plan])).toEqual([]);
  expect(findingsOf([{ ...plan, tenantsPerCustomer: 1 }])).not.toEqual([]);
});

test('entries that belong to no task say so, and others belong to one', () => {
  const roster = { kind: 'roster', tenant: 'north', change: 'enrolled', key: hex('key') } as const;
  expect(findingsOf([{ ...roster, task: NO_TASK }, aPlan()])).toEqual([]);
  expect(findingsOf([aPlan(), roster])).toEqual([{ seq: 1, problem: 'an entry of kind roster for task task-1' }]);
  expect(findingsOf([{ ...aPlan(), task: NO_TASK }])).toContainEqual({
    seq: 0,
    problem: 'an entry of kind plan for task -',
  });
});

test('a plan without protection that says so is clean; one that claims a number is not', () => {
  const infinite = { release: 'infinite', coalition: 'infinite', floor: 'infinite' } as const;
  const unprotected = { ...aPlan(), event: { type: 'NonPrivate' } as const };
  const epsilonByCopies = ['infinite', 'infinite', 'infinite'] as const;
  expect(findingsOf([{ ...unprotected, epsilon: infinite, epsilonByCopies }])).toEqual([]);
  expect(findingsOf([{ ...unprotected, epsilon: infinite }])).toHaveLength(1);
  expect(findingsOf([unprotected])).toHaveLength(1);
});

test('a release of another sum than was charged, or a second one, is found', () => {
  const other = { ...aRelease(1), sumHash: hex('another') };
  expect(findingsOf([aPlan(), aCharge(1), other])).toEqual([
    { seq: 2, problem: 'releases another sum than was charged' },
  ]);
  expect(findingsOf([aPlan(), aCharge(1), aRelease(1), aRelease(1)])).toEqual([
    { seq: 3, problem: 'a second release of round 1' },
  ]);
});

test('a task without a plan, with two, or that goes on after its end is found', () => {
  expect(findingsOf([aCharge(1)])[0]).toEqual({ seq: 0, problem: 'the task has no plan' });
  expect(findingsOf([aPlan(), aPlan()])).toEqual([{ seq: 1, problem: 'a second plan for this task' }]);
  expect(findingsOf([aPlan(), { kind: 'stop', reason: 'by-operator' }, aCharge(1)])).toEqual([
    { seq: 2, problem: 'the task was over' },
  ]);
});

test('three thousand rounds are audited', () => {
  const rounds = Array.from({ length: 3000 }, (_, i) => [aCharge(i), aRelease(i)]).flat();
  const { entries } = chainOf([aPlan(3000), ...rounds]);
  expect(auditLedger(entries).clean).toBe(true);
});
