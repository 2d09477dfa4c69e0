import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createIdentity } from '../../aggregation/identity.ts';
import { taskId } from '../../aggregation/plan.ts';
import type { Stated } from '../../aggregation/wire.ts';
import { statedOf } from '../../client/spending.ts';
import { isSpent, openCounting } from '../../coordinator/counting.ts';
import { openLedgerLog } from '../../coordinator/ledger-log.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import { entryText, type LedgerEntry, NO_TASK } from '../../privacy/ledger.ts';
import { anyLife, type History, live, ME, NOW, plans, policyWith, type Step } from '../support-client/spent-history.ts';

/** A coordinator whose ledger is this one. */
function countingOver(entries: readonly LedgerEntry[]) {
  const store = openSqliteStore(':memory:');
  onTestFinished(() => store.close());
  for (const entry of entries) store.addLedgerEntry(entry.seq, entryText(entry));
  const ledger = openLedgerLog(store, createIdentity(), 'f'.repeat(64));
  return { store, ledger, counting: openCounting(store, ledger, () => NOW) };
}

const policy = policyWith(20);
const signature = new Uint8Array(64);
const stated = (
  { store }: Pick<History, 'store'>,
  pool: Stated['pool'] = 'training',
  { task = NO_TASK, by = policy, ...more }: Partial<Stated> & { by?: typeof policy } = {},
): Stated => ({
  ...{ type: 'standing', task, ledger: store.ledgerHead().size, ...statedOf(store, by, pool, NOW), signature },
  ...more,
});
const counted = (history: History, what: Partial<Stated> = {}) =>
  countingOver(history.entries).counting.hear(ME, { ...stated(history), ...what });

const on = (plan: number, ...whats: Exclude<Step['what'], 'hear'>[]): Step[] => whats.map((what) => ({ what, plan }));
const hear: Step = { what: 'hear' };

describe('the ledger’s count and the tenant’s', () => {
  test('are the same while a task runs, and after it when everybody was in every round', () => {
    for (const steps of [
      [],
      on(0, 'accept'),
      on(0, 'accept', 'held', 'lost'),
      [...on(0, 'accept', 'held', 'held', 'end'), hear],
      [...on(0, 'accept', 'held', 'end'), hear, ...on(1, 'accept', 'held')],
    ]) {
      const history = live(steps, policy);
      const { counted: byLedger, stated: byTenant, agrees } = counted(history);
      expect(agrees).toBe(true);
      expect(byLedger).toBeCloseTo(byTenant, 9);
    }
  });

  test('agree in any life: the ledger explains rounds without the tenant, lost ones, and ends it has not heard of', () => {
    fc.assert(
      fc.property(anyLife, fc.constantFrom(1.6, 2.5, 20), (steps, limit) => {
        const by = policyWith(limit);
        const history = live(steps, by);
        const { counting } = countingOver(history.entries);
        for (const pool of ['training', 'held-out'] as const) {
          const found = counting.hear(ME, stated(history, pool, { by }));
          expect(found, JSON.stringify(found)).toMatchObject({ agrees: true, pool });
        }
      }),
      { numRuns: 150 },
    );
  });

  test('agree on a task that is stated before its acceptance is in the ledger', () => {
    const history = live(on(0, 'accept'), policy);
    const without = history.entries.filter(
      ({ kind, ...entry }) => !(kind === 'accept' && 'tenant' in entry && entry.tenant === ME),
    );
    const { counting } = countingOver(without.slice(0, 3)); // the first plan, and the two others that accepted it
    expect(counting.hear(ME, stated(history)).agrees).toBe(false);
    expect(counting.hear(ME, stated(history, 'training', { task: taskId(plans[0]!) })).agrees).toBe(true);
    expect(counting.hear(ME, stated(history), new Set([taskId(plans[0]!)])).agrees).toBe(true);
  });

  test('disagree when the tenant has lost what it spent, or has spent what no ledger knows', () => {
    const spent = live([...on(0, 'accept', 'held', 'held', 'end'), hear], policy);
    const { epsilon } = stated(spent);
    expect(counted(spent, { epsilon: 0 })).toMatchObject({ agrees: false, stated: 0 });
    expect(counted(spent, { epsilon: epsilon * 0.999 }).agrees).toBe(false);
    // the task was stopped, perhaps in the middle of a round that this tenant has paid for; not of two
    expect(counted(spent, { epsilon: epsilon * 1.001 }).agrees).toBe(true);
    expect(counted(spent, { epsilon: epsilon * 2 }).agrees).toBe(false);
    expect(counted(spent, { epsilon: epsilon * (1 + 1e-9) }).agrees).toBe(true); // another processor
    const none = live([], policy);
    expect(counted(none, { epsilon: 0.1 })).toMatchObject({ agrees: false, counted: 0 });
  });
});

describe('what a tenant states', () => {
  test('is there after a restart, the newest of each pool', () => {
    const history = live(on(0, 'accept'), policy);
    const { store, ledger, counting } = countingOver(history.entries);
    counting.hear(ME, stated(history, 'training', { epsilon: 0.5 }));
    const training = counting.hear(ME, stated(history));
    const heldOut = counting.hear(ME, stated(history, 'held-out'));
    const again = openCounting(store, ledger, () => NOW);
    expect(again.last(ME, 'training')).toEqual(training);
    expect(again.last(ME, 'held-out')).toEqual(heldOut);
    expect(again.last('bob', 'training')).toBeUndefined();
  });

  test('of its limit is in the ledger when it is new, and when it changes, not each time', () => {
    const history = live([], policy);
    const { store, counting } = countingOver(history.entries);
    const budgets = () =>
      store
        .ledger(0)
        .map((text) => JSON.parse(text) as LedgerEntry)
        .flatMap((entry) =>
          entry.kind === 'budget' ? [[entry.tenant, entry.pool, entry.epsilon, entry.delta, entry.task]] : [],
        );
    counting.hear(ME, stated(history));
    counting.hear(ME, stated(history));
    counting.hear(ME, stated(history, 'held-out'));
    expect(budgets()).toEqual([
      [ME, 'training', 20, 1e-5, NO_TASK],
      [ME, 'held-out', 20, 1e-5, NO_TASK],
    ]);
    counting.hear(ME, stated(history, 'training', { limit: 3 }));
    counting.hear(ME, stated(history, 'training', { limit: 3, delta: 1e-6 }));
    counting.hear(ME, stated(history, 'training', { limit: 20 }));
    counting.hear('bob', stated(history));
    expect(budgets().slice(2)).toEqual([
      [ME, 'training', 3, 1e-5, NO_TASK],
      [ME, 'training', 3, 1e-6, NO_TASK],
      [ME, 'training', 20, 1e-5, NO_TASK],
      ['bob', 'training', 20, 1e-5, NO_TASK],
    ]);
  });

  test('with an order that no budget has is refused, and nothing is kept of it', () => {
    const history = live([], policy);
    const { store, counting } = countingOver(history.entries);
    const size = store.ledger(0).length;
    expect(() => counting.hear(ME, stated(history, 'training', { order: 1.2345 }))).toThrow('no budget is like that');
    expect(counting.last(ME, 'training')).toBeUndefined();
    expect(store.ledger(0)).toHaveLength(size);
  });

  test('says that nothing more can be paid when it is above its limit, and not when it is at it', () => {
    expect(isSpent({ stated: 2.01, limit: 2 })).toBe(true);
    expect(isSpent({ stated: 2, limit: 2 })).toBe(false);
  });
});

describe('where two people must approve, a limit', () => {
  function ofTwo() {
    const history = live(on(0, 'accept'), policy);
    const world = countingOver(history.entries);
    const say = (limit: number, delta = policy.budget.training.delta) =>
      world.counting.hear(ME, { ...stated(history), limit, delta });
    const written = (): string[] =>
      world.store.ledger(history.entries.length).flatMap((text) => {
        const entry = JSON.parse(text) as LedgerEntry;
        return entry.kind === 'budget' ? [`${entry.epsilon} ${entry.delta}`] : [entry.kind];
      });
    const rule = (approvals: number) =>
      world.ledger.commit(() => world.ledger.append({ kind: 'approval-rule', approvals }, NO_TASK, NOW));
    return { ...world, say, written, rule };
  }
  const { delta } = policy.budget.training;
  const raise = (from: number, to: number) => ({
    ...{ tenant: ME, pool: 'training', from: { epsilon: from, delta }, to: { epsilon: to, delta } },
  });

  test('that is the first, or a lower one, is in the ledger at once; a higher one waits, and is what is stated', () => {
    const { counting, say, written, rule } = ofTwo();
    rule(2);
    say(20);
    say(10);
    expect(written()).toEqual(['approval-rule', `20 ${delta}`, `10 ${delta}`]);
    expect(counting.raises()).toEqual([]);
    expect(say(15)).toMatchObject({ limit: 15 });
    say(30);
    expect(written()).toHaveLength(3);
    expect(counting.raises()).toEqual([raise(10, 30)]);
    say(10);
    expect([counting.raises(), written()]).toEqual([[], ['approval-rule', `20 ${delta}`, `10 ${delta}`]]);
  });

  test('is higher when its δ is, whatever its ε', () => {
    const { counting, say, rule } = ofTwo();
    rule(2);
    say(20);
    say(10, delta * 2);
    expect(counting.raises()).toMatchObject([{ to: { epsilon: 10, delta: delta * 2 } }]);
  });

  test('that was approved is in the ledger, after what says so', () => {
    const { counting, ledger, say, written, rule } = ofTwo();
    rule(2);
    say(20);
    say(30);
    counting.allow(raise(20, 30), () => void ledger.append({ kind: 'erasure', tenant: ME }, NO_TASK, NOW));
    expect(written()).toEqual(['approval-rule', `20 ${delta}`, 'erasure', `30 ${delta}`]);
    expect(counting.raises()).toEqual([]);
    say(30);
    expect(written()).toHaveLength(4);
  });

  test('was raised before the rule, or waits no longer when it asks for one again, and needs nobody', () => {
    const { counting, say, written, rule } = ofTwo();
    say(20);
    say(30);
    rule(2);
    expect(counting.raises()).toEqual([]);
    say(40);
    expect(counting.raises()).toEqual([raise(30, 40)]);
    rule(1);
    expect(counting.raises()).toEqual([]);
    say(40);
    expect(written()).toEqual([`20 ${delta}`, `30 ${delta}`, 'approval-rule', 'approval-rule', `40 ${delta}`]);
  });
});

test('limits change 24 times a day at most: each change is an entry that all keep for good', () => {
  const history = live([], policy);
  const { counting, ledger } = countingOver(history.entries);
  const before = ledger.head.size;
  for (let i = 1; i <= 24; i++) counting.hear(ME, stated(history, 'training', { limit: 20 + i }));
  expect(ledger.head.size).toBe(before + 24);
  expect(() => counting.hear(ME, stated(history, 'training', { limit: 50 }))).toThrow('24 times a day at most');
  expect(counting.hear(ME, stated(history, 'training', { limit: 44 })).limit).toBe(44); // no change
  expect(ledger.head.size).toBe(before + 24);
});
