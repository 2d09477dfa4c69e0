import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Policy } from '../../client/policy.ts';
import { openAccess } from '../../coordinator/access/access.ts';
import { newToken } from '../../coordinator/access/new-token.ts';
import type { CoordinatorEvent } from '../../coordinator/coordinator-event.ts';
import { viewOf } from '../../coordinator/task-view.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { openBudget } from '../../privacy/budget.ts';
import { type LedgerEntry, NO_TASK } from '../../privacy/ledger.ts';
import { createFederation, type FederationOptions } from '../../simulation/federation.ts';
import { temporaryFolder } from '../support/folder.ts';
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

  describe('upwards, where two people must approve that,', () => {
    async function raised() {
      const federation = await startLying({ backend });
      onTestFinished(() => federation.close());
      const { ledger } = federation.coordinator;
      const running = federation.run(toySettings({ rounds: 200 }));
      await federation.until(() => running.state.phase === 'running', 'the first task', 20_000);
      ledger.commit(() => ledger.append({ kind: 'approval-rule', approvals: 2 }, NO_TASK, Date.now()));
      const { participant, disconnect } = federation.tenant('ada');
      disconnect();
      await participant.idle();
      federation
        .tenant('ada')
        .restart((world) => ({ ...world, policy: training(200)(world.policy) }))
        .connect();
      await federation.until(() => federation.coordinator.raises().length === 1, 'the raise');
      return { federation, running };
    }
    const refusals = (federation: LyingCoordinator) =>
      federation.tenant('ada').events.flatMap((event) => (event.type === 'refused' ? [event.reason] : []));

    test('is not in the ledger, and its tenant in no further task; in those it had accepted it goes on', async () => {
      const { federation, running } = await raised();
      const further = federation.run(toySettings({ name: 'further', protocol: 'plain' }));
      await federation.over(further);
      expect(further.state).toMatchObject({ phase: 'finished', accepted: ['bob', 'cleo', 'dan'] });
      expect(refusals(federation)).toContain('budget-not-approved');
      expect(running.state).toMatchObject({ phase: 'running', accepted: NAMES });
      const said = () => federation.tenant('ada').said.filter(({ type }) => type === 'say').length;
      const before = said();
      await federation.until(() => said() > before, 'a word of hers in the first task', 20_000);
      expect(limits(federation)).not.toContain('ada 200');
      await running.stop('stopped-by-operator');
    });

    test('is approved as it was asked for: not another limit that its tenant has stated since', async () => {
      const { federation, running } = await raised();
      await running.stop('stopped-by-operator');
      const { coordinator, identity } = federation;
      const { approvals, tokens } = openAccess({ coordinator, identity, folder: temporaryFolder(), clock: Date.now });
      const [anna, ben] = ['Anna', 'Ben'].map((holder) => {
        const made = newToken();
        tokens.add({ ...made, role: 'operator', holder, days: 90 });
        return tokens.bearerOf(made.token)!;
      });
      const act = { kind: 'budget', tenant: 'ada', pool: 'training', delta: 1e-5 } as const;
      expect(() => approvals.ask({ ...act, epsilon: 300 }, anna!)).toThrow('does not ask for');
      const asked = approvals.ask({ ...act, epsilon: 200 }, anna!);
      const id = 'pending' in asked ? asked.pending.id : '';
      const ada = federation.tenant('ada');
      ada.disconnect();
      await ada.participant.idle();
      ada.restart((world) => ({ ...world, policy: training(300)(world.policy) })).connect();
      await federation.until(() => coordinator.raises()[0]?.to.epsilon === 300, 'the other limit');
      const before = coordinator.ledger.head.size;
      expect(() => approvals.approve(id, ben!)).toThrow('ada does not ask for a training budget of ε 200, δ 0.00001');
      expect(coordinator.ledger.head.size).toBe(before);
      expect(approvals.pending()).toHaveLength(1);
    });

    test('lets its tenant into the tasks that wait for it as soon as it is approved', async () => {
      const { federation, running } = await raised();
      await running.stop('stopped-by-operator');
      const everybody = { ...toySettings({ name: 'further', protocol: 'plain' }) };
      const further = federation.run({ ...everybody, secureSum: { ...everybody.secureSum, minCohort: NAMES.length } });
      await federation.until(() => refusals(federation).length > 0, 'the refusal');
      await federation.until(() => 'accepted' in further.state && further.state.accepted.length === 3, 'the others');
      expect(further.state.phase).toBe('proposed');
      const [raise] = federation.coordinator.raises();
      expect(raise).toMatchObject({ tenant: 'ada', pool: 'training', from: { epsilon: 20 }, to: { epsilon: 200 } });
      federation.coordinator.allow(raise!, () => {});
      await federation.over(further);
      expect(further.state).toMatchObject({ phase: 'finished', accepted: NAMES });
      expect(limits(federation).at(-1)).toBe('ada 200');
    });
  });
});
