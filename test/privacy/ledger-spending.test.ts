import { describe, expect, test } from 'vitest';
import { openBudget, standing } from '../../privacy/budget.ts';
import { type LedgerBody, type LedgerEntry, NO_TASK } from '../../privacy/ledger.ts';
import { type AcceptedTask, budgetAfter, followSpending } from '../../privacy/ledger-spending.ts';
import { aCharge, aFinish, anAbort, aPlan, chainOf } from './ledgers.ts';

const accept = (tenant: string): LedgerBody => ({
  ...{ kind: 'accept', tenant, dataset: 'd'.repeat(64), signature: '0'.repeat(128) },
});
const charge = (round: number, contributions: number): LedgerBody => ({ ...aCharge(round), contributions });
const seen = (entries: readonly LedgerEntry[]) => {
  const spending = followSpending();
  for (const entry of entries) spending.see(entry);
  return spending;
};
const of = (tenant: string, ...bodies: LedgerBody[]): AcceptedTask | undefined =>
  seen(chainOf(bodies).entries).tasksOf(tenant)[0];

const three = [aPlan(5), accept('amber'), accept('blue'), accept('coral')];

describe('of a task, the ledger says', () => {
  test('what it is, and that nothing is paid for but set aside, before its first round', () => {
    expect(of('blue', ...three)).toEqual({
      ...{ task: 'task-1', pool: 'training', purpose: 'retention', event: aCharge(1).event, openings: 5 },
      ...{ acceptedAt: 2, endedAt: undefined, certain: 0, charged: 0, possible: 0 },
    });
  });

  test('nothing of a tenant that did not accept it', () => {
    expect(of('dun', ...three, charge(1, 3))).toBeUndefined();
    expect(of('dun', aPlan(5), charge(1, 3))).toBeUndefined();
  });

  test('that a sum over all who accepted has everybody in it, and one over fewer may not', () => {
    expect(of('amber', ...three, charge(1, 3), charge(2, 2), charge(3, 3))).toMatchObject({
      ...{ certain: 2, charged: 3, possible: 3 },
    });
  });

  test('that a round which was aborted may have been paid for, once, and never beyond the plan', () => {
    expect(of('amber', ...three, anAbort(1), charge(2, 3), anAbort(2), anAbort(3))).toMatchObject({
      ...{ certain: 1, charged: 1, possible: 3 }, // round 2 was charged before it was aborted
    });
    const lost = Array.from({ length: 9 }, (_, i) => anAbort(i + 1));
    expect(of('amber', ...three, ...lost)).toMatchObject({ charged: 0, possible: 5 });
  });

  test('that a round under way when the task was stopped may have been paid for, of which there is no entry', () => {
    const stop: LedgerBody = { kind: 'stop', reason: 'stopped-by-operator' };
    expect(of('amber', ...three, charge(1, 3), stop)).toMatchObject({ certain: 1, charged: 1, possible: 2 });
    expect(of('amber', ...three, charge(1, 3), aFinish(1))).toMatchObject({ charged: 1, possible: 1 });
  });

  test('that nobody took part before it accepted', () => {
    const late = [aPlan(5), accept('amber'), charge(1, 1), anAbort(2), accept('blue'), charge(3, 2)];
    expect(of('amber', ...late)).toMatchObject({ certain: 2, charged: 2, possible: 3 });
    expect(of('blue', ...late)).toMatchObject({ certain: 1, charged: 1, possible: 1, acceptedAt: 4 });
  });

  test('when it ended; entries of no task, and a second plan or acceptance, change nothing', () => {
    const more: LedgerBody[] = [accept('amber'), aPlan(3), charge(1, 3), aFinish(1)];
    expect(of('amber', ...three, ...more)).toMatchObject({ acceptedAt: 1, openings: 5, charged: 1, endedAt: 7 });
    const { entries } = chainOf([{ kind: 'erasure', tenant: 'amber', task: NO_TASK }, ...three]);
    expect(seen(entries).tasksOf('amber')).toHaveLength(1);
  });
});

describe('as it was at an earlier size, the ledger', () => {
  const spending = seen(chainOf([...three, charge(1, 3), anAbort(2), charge(3, 3), aFinish(2)]).entries);
  const at = (size: number) => spending.tasksOf('amber', size)[0];

  test('has not ended what ended later, and not charged what was charged later', () => {
    expect(at(7)).toMatchObject({ endedAt: undefined, charged: 2, possible: 3 });
    expect(at(6)).toMatchObject({ endedAt: undefined, charged: 1, possible: 2 });
    expect(at(5)).toMatchObject({ charged: 1, possible: 1 });
    expect(at(8)).toMatchObject({ endedAt: 7 });
  });

  test('has all acceptances: its tenant knows its own', () => {
    expect(at(0)).toMatchObject({ acceptedAt: 1, charged: 0 });
  });

  test('has the one that is about to be made, as the last', () => {
    expect(spending.tasksOf('dun', 8)).toEqual([]);
    const accepting = new Set(['task-1', 'task-2']);
    expect(spending.tasksOf('dun', 7, accepting)).toMatchObject([{ acceptedAt: 8, charged: 0, endedAt: undefined }]);
    expect(spending.tasksOf('dun', 8, accepting)).toEqual([]); // it knows the end
  });
});

describe('a budget after tasks', () => {
  const NOW = Date.UTC(2026, 10, 22);
  const limits = (epsilon: number) => openBudget({ training: { epsilon, delta: 1e-5 } });
  const tasks = (...bodies: (LedgerBody & { task?: string })[]) => seen(chainOf(bodies).entries).tasksOf('amber');
  const epsilonOf = (found: readonly AcceptedTask[], paid = ({ charged }: AcceptedTask) => charged, limit = 20) =>
    standing(budgetAfter(limits(limit), found, paid, NOW), 'training', NOW).epsilon;

  test('holds one that runs whole, however much of it was charged', () => {
    const whole = epsilonOf(tasks(...three));
    expect(whole).toBe(aPlan(5).epsilon.coalition);
    expect(epsilonOf(tasks(...three, charge(1, 3), charge(2, 3)))).toBe(whole);
    expect(epsilonOf(tasks(...three), () => 0)).toBe(whole);
  });

  test('of one that is over holds what was paid, and nothing when that was nothing', () => {
    const over = tasks(...three, charge(1, 3), charge(2, 2), aFinish(2));
    const [all, one] = [epsilonOf(over), epsilonOf(over, ({ certain }) => certain)];
    expect(all).toBeGreaterThan(one);
    expect(one).toBeGreaterThan(0);
    expect(epsilonOf(over, () => 0)).toBe(0);
    expect(epsilonOf(over, () => 5)).toBe(epsilonOf(tasks(...three)));
  });

  test('is refused by no limit', () => {
    expect(epsilonOf(tasks(...three), undefined, 0.01)).toBe(epsilonOf(tasks(...three)));
  });

  test('gives back in the order of the ledger: a first task beyond the filter leaves nothing behind that could be', () => {
    const second = [
      { ...aPlan(5), task: 'task-2' },
      { ...accept('amber'), task: 'task-2' },
    ];
    const whole = epsilonOf(tasks(...three));
    // let in by the tight accountant alone, it stays whole although it ended unused (budget.ts)
    expect(epsilonOf(tasks(...three, aFinish(0)), undefined, whole * 1.0001)).toBe(whole);
    expect(epsilonOf(tasks(...three, aFinish(0)), undefined, 20)).toBe(0);
    const both = tasks(...three, aFinish(0), ...second);
    expect(epsilonOf(both, undefined, 20)).toBe(whole);
    expect(epsilonOf(both, undefined, whole * 1.0001)).toBeGreaterThan(whole);
    // one that the filter lets in gives back, unless another was accepted before it ended, and both are beyond the filter
    expect(epsilonOf(both, undefined, whole * 1.5)).toBe(whole);
    expect(epsilonOf(tasks(...three, ...second, aFinish(0)), undefined, whole * 1.5)).toBeGreaterThan(whole * 1.5);
  });
});
