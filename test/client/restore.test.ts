import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { taskId } from '../../aggregation/plan.ts';
import { type ClientStore, openClientStore } from '../../client/client-store.ts';
import { restore } from '../../client/restore-command.ts';
import { setAside, standingOf } from '../../client/spending.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { type Count, standing } from '../../privacy/budget.ts';
import { EMPTY_LEDGER, type LedgerEntry, verifyChain } from '../../privacy/ledger.ts';
import { temporaryFolder } from '../support/folder.ts';
import { type LyingCoordinator, startLying } from '../support-client/lying-coordinator.ts';
import { anyLife, type History, live, ME, NOW, plans, policyWith } from '../support-client/spent-history.ts';
import { toySettings } from '../support-client/toy-task.ts';

const POOLS = ['training', 'held-out'] as const;
const newStore = (): ClientStore => openClientStore(':memory:');

/** What a budget was restored to, from what everybody has: the ledger. */
function restored(
  { entries, head }: Pick<History, 'entries' | 'head'>,
  policy = policyWith(20),
  now = NOW,
): ClientStore {
  const store = newStore();
  restore(store, policy, entries, head, now);
  return store;
}

describe('a restored budget', () => {
  const purposes = { retention: { epsilon: 9, delta: 1e-5 }, credit: { epsilon: 9, delta: 1e-5 } };
  const perPeriod = { every: 'month', epsilon: 9, delta: 1e-5 } as const;

  test('is never smaller than the one that was lost: not for a lifetime, not for a period, not for a purpose', () => {
    fc.assert(
      fc.property(anyLife, fc.constantFrom(1.6, 2.5, 20), fc.boolean(), (steps, limit, isLater) => {
        const policy = policyWith(limit, { perPeriod, purposes });
        const lost = live(steps, policy);
        const again = restored(lost, policy, isLater ? NOW + 40 * 86_400_000 : NOW);
        for (const pool of POOLS) {
          const before = standingOf(lost.store, policy, pool, NOW).counts;
          const after = standing(again.budget()!, pool, NOW).counts;
          for (const count of before)
            expect(same(after, count).epsilon, count.scope).toBeGreaterThanOrEqual(count.epsilon * (1 - 1e-9));
        }
      }),
      { numRuns: 150 },
    );
  });

  /** The period that pays is the one of the restoring. */
  const same = (counts: readonly Count[], { scope, name }: Count): Count =>
    counts.find((one) => one.scope === scope && (scope === 'period' || one.name === name))!;

  test('counts every opening of every accepted task, used or not, and none of a task that was not accepted', () => {
    const { entries, head } = live(
      [
        { what: 'accept', plan: 0 },
        { what: 'held', plan: 0 },
        { what: 'end', plan: 0 },
        { what: 'accept', plan: 2 },
        { what: 'held-without', plan: 1 },
      ],
      policyWith(20),
    );
    const [training, heldOut] = restored({ entries, head }).budget()!.pools;
    expect(training!.held.map(({ task, reserved, committed, at }) => ({ task, reserved, committed, at }))).toEqual([
      { task: taskId(plans[0]!), reserved: 0, committed: plans[0]!.derived.openings, at: NOW },
      { task: taskId(plans[2]!), reserved: 0, committed: plans[2]!.derived.openings, at: NOW },
    ]);
    expect(heldOut!.held).toEqual([]);
  });

  test('may be beyond its limit, and then lets nothing more be spent', () => {
    const lost = live([{ what: 'accept', plan: 1 }], policyWith(20));
    const tight = policyWith(0.5);
    const store = restored(lost, tight);
    expect(standingOf(store, tight, 'training', NOW)).toMatchObject({ allowed: false });
    expect(() => setAside(store, tight, plans[2]!, NOW)).toThrow('exceeded');
  });

  test('brings the ledger with it, and takes up none of the tasks that ran', () => {
    const lost = live([{ what: 'accept', plan: 0 }], policyWith(20));
    const store = restored(lost);
    expect(store.ledgerHead()).toEqual(lost.head);
    expect(store.ledger()).toEqual(lost.entries);
    expect(store.pinned(`declined/${taskId(plans[0]!)}`)).toBe('budget');
    expect(store.pinned(`declined/${taskId(plans[1]!)}`)).toBeUndefined();
  });

  test('goes on from the part of the ledger that the store has, and from no other ledger', () => {
    const { entries, head } = live([{ what: 'accept', plan: 0 }], policyWith(20));
    const part = entries.slice(0, 2);
    const chain = verifyChain(part);
    if (!chain.intact) throw new Error(chain.problem);
    const store = newStore();
    store.addLedger(part, chain.head);
    restore(store, policyWith(20), entries, head, NOW);
    expect(store.ledger()).toEqual(entries);

    const forked = newStore();
    forked.addLedger(part, { ...chain.head, hash: 'f'.repeat(64) });
    expect(() => restore(forked, policyWith(20), entries, head, NOW)).toThrow('does not continue the 2 entries');
    const longer = newStore();
    longer.addLedger(entries, head);
    expect(() => restore(longer, policyWith(20), part, chain.head, NOW)).toThrow('does not continue');
    expect(forked.budget()).toBeUndefined();
    expect(longer.budget()).toBeUndefined();
  });
});

describe('a tenant whose store was lost', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await startBackend('cpu');
  });

  async function afterATask(): Promise<LyingCoordinator> {
    const federation = await startLying({ backend });
    onTestFinished(() => federation.close());
    await federation.over(federation.run(toySettings({ protocol: 'plain' })));
    return federation;
  }
  const left = (federation: LyingCoordinator): string | undefined => {
    const found = federation.tenant(ME).events.find(({ type }) => type === 'left');
    return found?.type === 'left' ? found.reason : undefined;
  };

  test('takes part in nothing with a new one, and says what to do', async () => {
    const federation = await afterATask();
    const again = federation.tenant(ME).restart((world) => ({ ...world, store: newStore() }));
    again.connect();
    const second = federation.run(toySettings({ name: 'second', protocol: 'plain' }));
    await federation.until(() => left(federation) !== undefined, 'leaving');
    expect(left(federation)).toMatch(/ledger entry \d+: this tenant accepted a task that its store knows nothing of/);
    expect(left(federation)).toContain('parley client restore-budget');
    await federation.over(second);
    expect(again.said.filter(({ type }) => type === 'say')).toEqual([]);
    expect(again.store.ledgerHead()).toEqual(EMPTY_LEDGER);
  });

  test('takes part in what comes with a restored one', async () => {
    const federation = await afterATask();
    const { world } = federation.tenant(ME);
    const store = newStore();
    const entries = federation.coordinator.ledger.newsSince(0).entries.map((text) => JSON.parse(text) as LedgerEntry);
    restore(store, world.policy, entries, federation.coordinator.ledger.head, Date.now());
    federation
      .tenant(ME)
      .restart((same) => ({ ...same, store }))
      .connect();
    await federation.until(() => federation.coordinator.present().size === 4, 'everybody');
    const second = federation.run(toySettings({ name: 'second', protocol: 'plain' }));
    await federation.over(second);
    expect(second.state.phase).toBe('finished');
    expect(federation.tenant(ME).events.map(({ type }) => type)).toContain('finished');
  });

  test('and that was shown a ledger that is cut off, stops at the first news', async () => {
    const federation = await afterATask();
    const { world } = federation.tenant(ME);
    const all = federation.coordinator.ledger.newsSince(0).entries.map((text) => JSON.parse(text) as LedgerEntry);
    const cut = all.slice(
      0,
      all.findIndex((entry) => entry.kind === 'accept' && entry.tenant === ME),
    );
    const chain = verifyChain(cut);
    if (!chain.intact) throw new Error(chain.problem);
    const store = newStore();
    restore(store, world.policy, cut, chain.head, Date.now());
    expect(standingOf(store, world.policy, 'training', NOW).epsilon).toBe(0); // too little, but nothing can be done with it
    const again = federation.tenant(ME).restart((same) => ({ ...same, store }));
    again.connect();
    federation.run(toySettings({ name: 'second', protocol: 'plain' }));
    await federation.until(() => left(federation) !== undefined, 'leaving');
    expect(left(federation)).toContain('accepted a task that its store knows nothing of');
    expect(again.said.filter(({ type }) => type === 'say')).toEqual([]);
  });
});

test('what is no ledger export is said to be none, by file and field', async () => {
  const { readExport } = await import('../../client/ledger-commands.ts');
  const file = join(temporaryFolder(), 'ledger.json');
  writeFileSync(file, '{"format":"other"}');
  await expect(readExport(file, 'http://127.0.0.1:9')).rejects.toThrow('ledger.json: not a ledger export: format');
});
