import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Policy } from '../../client/policy.ts';
import type { CoordinatorEvent } from '../../coordinator/coordinator-event.ts';
import { viewOf } from '../../coordinator/task-view.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { openBudget } from '../../privacy/budget.ts';
import type { LedgerEntry } from '../../privacy/ledger.ts';
import { createFederation, type FederationOptions } from '../../simulation/federation.ts';
import { type LyingCoordinator, startLying } from '../support-client/lying-coordinator.ts';
import { toyFeatures, toySettings, toyTable } from '../support-client/toy-task.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await startBackend('cpu');
});

const NAMES = ['ada', 'bob', 'cleo', 'dan'];

/** Clients and coordinator as in production, and what the coordinator told its log. */
async function begin(options: Partial<FederationOptions> = {}) {
  const told: CoordinatorEvent[] = [];
  const federation = await createFederation({
    tables: new Map(NAMES.map((name) => [name, toyTable(name)])),
    schema: toyFeatures,
    backend,
    secureSum: ['plain'],
    policy: (policy) => ({ ...policy, maxCustomers: 100 }),
    onCoordinatorEvent: (event) => told.push(event),
    ...options,
  });
  onTestFinished(() => federation.close());
  return { federation, told, differs: () => told.filter(({ type }) => type === 'budget-differs') };
}

describe('the view of a task', () => {
  test('has of each tenant what it states, what the ledger gives, and its limit; of an honest one the same', async () => {
    const { federation, differs } = await begin();
    const first = await federation.run(toySettings({ protocol: 'plain' }));
    const second = await federation.run(toySettings({ name: 'second', protocol: 'plain' }));
    const { budgets } = viewOf(second, federation.coordinator.present());
    expect(Object.keys(budgets)).toEqual(NAMES);
    for (const { counted, stated, limit, delta, agrees } of Object.values(budgets)) {
      expect({ agrees, limit, delta }).toEqual({ agrees: true, limit: 100, delta: 1e-3 });
      expect(counted).toBeCloseTo(stated, 9);
      expect(stated).toBeGreaterThan(viewOf(first, new Set()).privacy.epsilonSoFar.coalition); // set aside for the second, too
    }
    expect(differs()).toEqual([]);
  });

  test('shows a tenant that has lost what it spent: it goes by what it says, and the log is told', async () => {
    const { federation, differs } = await begin();
    await federation.run(toySettings({ protocol: 'plain' }));
    const [ada] = federation.tenants;
    ada!.world.store.setBudget(openBudget(ada!.world.policy.budget));
    const second = await federation.run(toySettings({ name: 'second', protocol: 'plain' }));
    expect(second.state.phase).toBe('finished');
    const { budgets } = viewOf(second, new Set());
    expect(budgets['ada']).toMatchObject({ agrees: false });
    expect(budgets['ada']!.stated).toBeLessThan(budgets['ada']!.counted as number);
    expect(budgets['bob']).toMatchObject({ agrees: true });
    expect(differs()).toMatchObject([
      { tenant: 'ada', pool: 'training', stated: budgets['ada']!.stated, counted: budgets['ada']!.counted },
    ]);
  });

  test('agrees with a tenant that was away for rounds: its customers paid less than the ledger charged', async () => {
    const federation = await startLying({ backend });
    onTestFinished(() => federation.close());
    const task = federation.run(toySettings({ rounds: 60 }));
    const rounds = () => federation.tenant('bob').events.filter(({ type }) => type === 'round-opened').length;
    await federation.until(() => rounds() >= 3, 'three rounds', 20_000);
    federation.tenant('ada').disconnect();
    await federation.until(() => rounds() >= 10, 'ten rounds', 20_000);
    await task.stop('stopped-by-operator');
    await federation.over(task);
    federation.tenant('ada').connect();
    await federation.until(() => federation.coordinator.present().size === 4, 'everybody');
    const second = federation.run(toySettings({ name: 'second', protocol: 'plain' }));
    await federation.over(second);
    const { ada, bob } = viewOf(second, new Set()).budgets;
    expect(ada).toMatchObject({ agrees: true });
    expect(ada!.stated).toBeLessThan(ada!.counted as number);
    expect(bob!.stated).toBeGreaterThan(ada!.stated);
  });
});

describe('a limit that a policy has changed', () => {
  const training = (epsilon: number) => (policy: Policy) => ({
    ...policy,
    budget: { ...policy.budget, training: { epsilon, delta: 1e-5 } },
  });
  const limits = ({ coordinator }: LyingCoordinator) =>
    coordinator.ledger
      .newsSince(0)
      .entries.map((text) => JSON.parse(text) as LedgerEntry)
      .flatMap((entry) =>
        entry.kind === 'budget' && entry.pool === 'training' ? [`${entry.tenant} ${entry.epsilon}`] : [],
      );

  async function tightened(names: readonly string[]) {
    const federation = await startLying({ backend });
    onTestFinished(() => federation.close());
    const task = federation.run(toySettings({ rounds: 200 })); // three of four
    const rounds = () => federation.tenant('bob').events.filter(({ type }) => type === 'round-opened').length;
    await federation.until(() => rounds() >= 3, 'three rounds', 20_000);
    for (const name of names) {
      const { participant, disconnect } = federation.tenant(name);
      disconnect();
      await participant.idle();
      federation
        .tenant(name)
        .restart((world) => ({ ...world, policy: training(0.5)(world.policy) }))
        .connect();
    }
    return { federation, task, rounds };
  }

  test('is told on the next connection, and in the ledger from there on', async () => {
    const { federation, task } = await tightened(['ada']);
    const before = NAMES.map((name) => `${name} 20`).sort();
    await federation.until(() => limits(federation).length === 5, 'the new limit');
    expect(limits(federation).slice(0, 4).sort()).toEqual(before);
    expect(limits(federation)[4]).toBe('ada 0.5');
    await task.stop('stopped-by-operator');
  });

  test('takes its tenant out of the rounds it cannot pay any more; the others go on', async () => {
    const { federation, task, rounds } = await tightened(['ada']);
    await federation.until(() => limits(federation).length === 5, 'the new limit');
    const now = rounds();
    await federation.until(() => rounds() >= now + 5, 'five more rounds', 20_000);
    expect(task.state.phase).toBe('running');
    const said = federation.tenant('ada').said.map(({ type }) => type);
    for (const type of ['say', 'decline']) expect(said).not.toContain(type); // it is not even asked
    await task.stop('stopped-by-operator');
  });

  test('ends a task of which too few can pay the next opening, before anybody is asked for it', async () => {
    const { federation, task } = await tightened(['ada', 'bob']);
    await federation.until(() => task.isOver, 'the end', 20_000);
    expect(task.state).toMatchObject({ phase: 'stopped', reason: 'budget-exhausted' });
    const entries = federation.coordinator.ledger.newsSince(0).entries.map((text) => JSON.parse(text) as LedgerEntry);
    expect(entries.find(({ kind }) => kind === 'stop')).toMatchObject({ task: task.id, reason: 'budget-exhausted' });
    for (const name of ['ada', 'bob'])
      expect(federation.tenant(name).said.map(({ type }) => type)).not.toContain('decline');
  });
});
