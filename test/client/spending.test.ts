import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { chargedEvent, makePlan, type Plan, planText, taskId } from '../../aggregation/plan.ts';
import { planEntry } from '../../aggregation/plan-entry.ts';
import { type ClientStore, openClientStore } from '../../client/client-store.ts';
import type { Policy } from '../../client/policy.ts';
import { followLedger, payRound, setAside, standingOf, wouldPay } from '../../client/spending.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { ACCOUNTED_DELTA_FRACTION } from '../../privacy/guarantee.ts';
import { appendEntry, EMPTY_LEDGER, type LedgerBody, type LedgerEntry } from '../../privacy/ledger.ts';
import { epsilonAtMost } from '../../privacy/pld-accountant.ts';
import { dyingPlan, dyingPolicy, type Point } from '../support-client/killed.ts';
import { startLying } from '../support-client/lying-coordinator.ts';
import { toySettings } from '../support-client/toy-task.ts';

const policy = dyingPolicy;
const plan = dyingPlan; // 20 rounds, 21 openings
const task = taskId(plan);
const openings = plan.derived.openings;

/** ε of this many openings of the plan, and of nothing else. */
const epsilonOf = (count: number, of: Plan = plan): number =>
  count === 0
    ? 0
    : epsilonAtMost([{ type: 'SelfComposed', event: chargedEvent(of), count }], 1e-5 * ACCOUNTED_DELTA_FRACTION);
const NOW = Date.UTC(2026, 10, 22);
const clock = (): number => NOW;

const charge = (round: number): LedgerBody => ({
  kind: 'charge',
  round,
  event: chargedEvent(plan),
  sumHash: 'a'.repeat(64),
  contributions: 3,
});
const abort = (round: number): LedgerBody => ({ kind: 'abort', round, reason: 'tenant-lost' });
const pay = (round: number, by: ClientStore = store): void =>
  payRound({ store: by, policy, clock }, plan, round, 'cohort');
const finish: LedgerBody = { kind: 'finish', rounds: 20, modelHash: 'b'.repeat(64) };

let store: ClientStore;
beforeEach(() => {
  store = openClientStore(':memory:');
});

const entries = (...bodies: LedgerBody[]): LedgerEntry[] =>
  bodies.map((body) => appendEntry(EMPTY_LEDGER, body, { federation: 'f', task, time: 0 }).entry);
const follow = (...bodies: LedgerBody[]): void => followLedger(store, policy, entries(...bodies), () => plan);
const accept = (accepted: Plan = plan, by: Policy = policy): void =>
  store.commit(() => {
    store.accept(taskId(accepted), { plan: planText(accepted), data: 'd'.repeat(64) });
    setAside(store, by, accepted, NOW);
  });
const paid = (from: ClientStore = store): number => standingOf(from, policy, 'training', NOW).epsilon;
const held = (from: ClientStore = store) => {
  const [one] = from.budget()!.pools.find(({ name }) => name === 'training')!.held;
  return one === undefined ? { reserved: 0, committed: 0 } : { reserved: one.reserved, committed: one.committed };
};

describe('a plan that is accepted', () => {
  test('is set aside whole: all its openings, spare ones included, count as paid at once', () => {
    accept();
    expect(held()).toEqual({ reserved: openings, committed: 0 });
    expect(paid()).toBe(epsilonOf(openings));
    expect(paid()).toBeCloseTo(plan.derived.epsilon.coalition, 6);
    expect(standingOf(store, policy, 'held-out', NOW).epsilon).toBe(0); // the other pool pays nothing
  });

  test('leaves less for the next: two tasks on one budget compose, and the third is too much', () => {
    const next = (name: string): Plan => makePlan(toySettings({ name, rounds: 20 }), plan.roster, plan.federation, 0);
    const tight: Policy = { ...policy, budget: { ...policy.budget, training: { epsilon: 3.5, delta: 1e-5 } } };
    accept(plan, tight);
    const two = wouldPay(store, tight, next('second'), NOW);
    expect(two.allowed).toBe(true);
    expect(two.epsilon).toBeGreaterThan(plan.derived.epsilon.coalition);
    expect(two.epsilon).toBeLessThan(2 * plan.derived.epsilon.coalition); // composed, not added up
    accept(next('second'), tight);
    expect(wouldPay(store, tight, next('third'), NOW).allowed).toBe(false);
    expect(() => accept(next('third'), tight)).toThrow(/budget of pool training exceeded/);
    expect(store.accepted(taskId(next('third')))).toBeUndefined(); // the acceptance went with it
  });

  test('is not forgotten when the policy’s limits change', () => {
    accept();
    const tighter: Policy = { ...policy, budget: { ...policy.budget, training: { epsilon: 0.5, delta: 1e-5 } } };
    expect(standingOf(store, tighter, 'training', NOW).epsilon).toBe(epsilonOf(openings));
    expect(
      wouldPay(store, tighter, makePlan(toySettings({ name: 'x' }), plan.roster, plan.federation, 0), NOW).allowed,
    ).toBe(false);
  });
});

describe('a round', () => {
  beforeEach(() => accept());

  test('is paid for before it is answered, and answered once', () => {
    pay(2);
    expect(store.round(task, 2)).toEqual({ cohort: 'cohort', sumHash: '', openerSets: [] });
    expect(held()).toEqual({ reserved: openings - 1, committed: 1 });
    expect(paid()).toBe(epsilonOf(openings));
    expect(() => pay(2)).toThrow(/round 2 was answered before/);
    expect(() => pay(1)).toThrow(/round 1 was answered before/);
    expect(held().committed).toBe(1); // what was refused cost nothing
    pay(3);
    expect(held().committed).toBe(2);
  });

  test.each([
    ['charged', [charge(1)]],
    ['aborted', [abort(1)]],
    ['charged after it was aborted', [abort(1), charge(1)]],
    ['never mentioned', []],
  ] as const)('stays paid for, once, when the ledger says it was %s', (_, told) => {
    pay(1);
    follow(...told, finish);
    expect(held()).toEqual({ reserved: 0, committed: 1 });
    expect(paid()).toBe(epsilonOf(1));
  });

  test('that every tenant was in cannot be forgotten: a store that paid for fewer is an old copy', () => {
    const all = plan.roster.map(({ tenant }) => ({
      kind: 'accept' as const,
      tenant,
      dataset: 'd'.repeat(64),
      signature: 'e'.repeat(128),
    }));
    const told = [planEntry(plan), ...all, { ...charge(1), contributions: plan.roster.length }, finish];
    let head = EMPTY_LEDGER;
    const chained = told.map((body) => {
      const appended = appendEntry(head, body as LedgerBody, { federation: 'f', task, time: 0 });
      head = appended.head;
      return appended.entry;
    });
    store.addLedger(chained, head);
    expect(() => followLedger(store, policy, chained, () => plan)).toThrow(/took part in 1 openings .* an old copy/);
    expect(held()).toEqual({ reserved: openings, committed: 0 }); // nothing came back
    expect(() => pay(2)).toThrow('the ledger has ended this task');
  });

  test('that others held without this tenant costs its customers nothing', () => {
    follow(charge(1), finish);
    expect(paid()).toBe(0);
  });

  test('is not held beyond the openings that were set aside, aborted rounds included', () => {
    for (let round = 1; round <= openings; round++) pay(round);
    follow(abort(1), abort(2));
    expect(() => pay(openings + 1)).toThrow(/all 21 openings set aside for this task are used up/);
    expect(held()).toEqual({ reserved: 0, committed: openings });
  });

  test.each([
    ['finish', finish],
    ['stop', { kind: 'stop', reason: 'stopped-by-operator' }],
  ] as const)(
    'is not held after the ledger says %s: what was unused came back, and may be promised again',
    (_, end) => {
      pay(1);
      follow(end);
      expect(paid()).toBe(epsilonOf(1));
      expect(() => pay(2)).toThrow(/used up/);
      follow(end); // told twice, given back once
      expect(paid()).toBe(epsilonOf(1));
    },
  );

  test('of a task of others changes nothing here', () => {
    pay(1);
    followLedger(store, policy, entries(finish), () => undefined);
    expect(held()).toEqual({ reserved: openings - 1, committed: 1 });
  });
});

describe('a tenant that is killed', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'parley-killed-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Runs a tenant until it dies at this point. @returns its disk, opened again */
  function killedAt(point: Point): { disk: ClientStore; seen: string[] } {
    const file = join(folder, `${point}.db`);
    const script = join(import.meta.dirname, '../support-client/killed.ts');
    const { signal, stdout, stderr } = spawnSync(process.execPath, [script, file, point], { encoding: 'utf8' });
    expect(signal, stderr).toBe('SIGKILL');
    return { disk: openClientStore(file), seen: stdout.trim().split('\n') };
  }

  test('after it set the plan aside has paid for all of it', () => {
    const { disk } = killedAt('reserved');
    expect(disk.accepted(task)).toBeDefined();
    expect(paid(disk)).toBe(epsilonOf(openings));
  });

  test('while it pays for a round has not paid, and nothing has left', () => {
    const { disk } = killedAt('paying');
    expect(disk.round(task, 1)).toBeUndefined();
    expect(held(disk)).toEqual({ reserved: openings, committed: 0 });
    pay(1, disk);
  });

  test('between paying for a round and sending has paid for it, and never answers it again', () => {
    const { disk } = killedAt('paid');
    expect(disk.round(task, 1)).toMatchObject({ cohort: 'cohort' });
    expect(() => payRound({ store: disk, policy, clock }, plan, 1, 'another')).toThrow(/answered before/);
    followLedger(disk, policy, entries(finish), () => plan);
    expect(held(disk)).toEqual({ reserved: 0, committed: 1 });
  });

  test('before its answer to an opening was on disk has not answered; after, it has', () => {
    expect(killedAt('share-half').disk.round(task, 1)).toMatchObject({ sumHash: '', openerSets: [] });
    expect(killedAt('shared').disk.round(task, 1)).toMatchObject({ openerSets: ['ada,bob,cleo'] });
  });

  test('between noting the end and giving back has done neither, and does both when it is told again', () => {
    const { disk } = killedAt('end-half');
    expect(disk.ledgerHead()).toEqual(EMPTY_LEDGER);
    expect(disk.endOf(task)).toBeUndefined();
    expect(held(disk)).toEqual({ reserved: openings - 2, committed: 2 });
  });

  test('later still has all of it', () => {
    for (const point of ['over', 'nowhere'] as const) {
      const { disk, seen } = killedAt(point);
      expect(seen).toContain('shared');
      expect(disk.lastRound(task)).toBe(2);
      expect(disk.endOf(task)).toBeDefined();
      expect(held(disk)).toEqual({ reserved: 0, committed: 2 });
      expect(paid(disk)).toBe(epsilonOf(2));
    }
  });
});

test('one budget is kept by one process at a time', () => {
  const folder = mkdtempSync(join(tmpdir(), 'parley-two-'));
  const first = openClientStore(join(folder, 'tenant.db'));
  expect(() => openClientStore(join(folder, 'tenant.db'))).toThrow(
    /tenant\.db is locked: another client runs on this folder/,
  );
  first.close();
  openClientStore(join(folder, 'tenant.db')).close();
  rmSync(folder, { recursive: true });
});

describe('a budget that is used up', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await startBackend('cpu');
  });

  async function usedUp() {
    const federation = await startLying({
      backend,
      tenants: ['ada', 'bob', 'cleo'],
      policy: (one) => ({ ...one, budget: { ...one.budget, training: { epsilon: 2.5, delta: 1e-5 } } }),
    });
    const first = federation.run(toySettings({ name: 'first', protocol: 'plain' }));
    await federation.over(first);
    expect(first.state.phase).toBe('finished');
    const second = federation.run(toySettings({ name: 'second', protocol: 'plain' }));
    await federation.over(second);
    const { entries: lines } = federation.coordinator.ledger.newsSince(0);
    const { events, said } = federation.tenant('ada');
    federation.close();
    return { events, said, second, lines };
  }

  test('is a decline with its reason, and the task stops for it', async () => {
    const { events, said, second } = await usedUp();
    expect(events.find(({ type }) => type === 'declined')).toMatchObject({
      because: 'budget',
      reason: expect.stringMatching(
        /with this task for the training customers' lifetime ε would be \d\.\d{3}, the budget is 2\.5/,
      ),
    });
    expect(said.find(({ type }) => type === 'decline')).toMatchObject({ cause: 'budget' });
    expect(second.state).toMatchObject({ phase: 'stopped', reason: 'budget-exhausted' });
  });

  test('is why the ledger says the task was stopped', async () => {
    const { lines, second } = await usedUp();
    const last = JSON.parse(lines.at(-1)!) as LedgerEntry;
    expect(last).toMatchObject({ kind: 'stop', task: second.id, reason: 'budget-exhausted' });
  });

  test('by a task that was stopped is there again: only what this tenant took part in stays spent', async () => {
    const federation = await startLying({ backend, tenants: ['ada', 'bob', 'cleo'] });
    const long = federation.run(toySettings({ rounds: 300 }));
    const rounds = () => federation.tenant('ada').events.filter(({ type }) => type === 'round-opened').length;
    await federation.until(() => rounds() >= 3, 'three rounds');
    await long.stop('stopped-by-operator');
    await federation.over(long);
    const { store: disk, world } = federation.tenant('ada');
    const charges = federation.coordinator.ledger
      .newsSince(0)
      .entries.map((text) => JSON.parse(text) as LedgerEntry)
      .filter(({ kind }) => kind === 'charge').length;
    const mine = held(disk);
    expect(mine.reserved).toBe(0);
    expect(mine.committed).toBeGreaterThanOrEqual(charges);
    expect(mine.committed).toBeLessThanOrEqual(charges + 1); // the round that was under way
    expect(charges).toBeGreaterThanOrEqual(3);
    expect(standingOf(disk, world.policy, 'training', NOW).epsilon).toBe(epsilonOf(mine.committed, long.plan));
    federation.close();
  });
});
