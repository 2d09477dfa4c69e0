import { inTests, type Mutation } from '../mutation.ts';

const BUDGET = 'privacy/budget.ts';
const inBudget = inTests('test/privacy/budget.test.ts');
const inSpending = inTests('test/client/spending.test.ts');

/** What may still be spent. */
export const budget: readonly Mutation[] = [
  {
    name: 'budget-not-durable',
    why: 'a client that is killed has forgotten what it spent',
    file: 'client/client-store.ts',
    find: "    setBudget: (budget) => own.set('budget', JSON.stringify(budget)),",
    replace: "    setBudget: (budget) => void process.nextTick(() => own.set('budget', JSON.stringify(budget))),",
    caughtBy: [inTests('test/client/spending.test.ts', 'a tenant that is killed')],
  },
  {
    name: 'budget-not-synced',
    why: 'a machine that loses power has forgotten what it spent',
    file: 'aggregation/sqlite-file.ts',
    find: 'pragma synchronous = full;',
    replace: 'pragma synchronous = normal;',
    caughtBy: [inTests('test/client/client-store.test.ts')],
  },
  {
    name: 'release-gives-back-what-was-committed',
    why: 'an opening that was paid for is never free again',
    file: BUDGET,
    find: 'const after = move(from, what, -what.count, 0, 0);',
    replace: 'const after = move(from, what, 0, -what.count, 0);',
    caughtBy: [inBudget],
  },
  {
    name: 'reserved-does-not-count',
    why: 'two tasks are promised the same budget',
    file: BUDGET,
    find: 'count: reserved + committed }));',
    replace: 'count: committed }));',
    caughtBy: [inBudget, inSpending],
  },
  {
    name: 'second-task-at-the-tight-price',
    why: 'a task chosen in view of results must pass the filter: composing tightly is not proven for it',
    file: BUDGET,
    find: 'const epsilon = isOneTask ? tight(limit, held) : filtered(limit, held);',
    replace:
      'const epsilon = isOneTask || tight(limit, held) <= limit.epsilon ? tight(limit, held) : filtered(limit, held);',
    caughtBy: [inBudget],
  },
  {
    name: 'period-hides-the-lifetime',
    why: 'each new year would begin from nothing',
    file: BUDGET,
    find: "    counted('lifetime', name, limits, held),",
    replace:
      "    counted('lifetime', name, limits, limits.perPeriod ? inPeriod(held, limits.perPeriod.every, latest(held, now)) : held),",
    caughtBy: [inBudget],
  },
  {
    name: 'purpose-without-a-budget-spends',
    why: 'a purpose that the policy does not name may spend nothing',
    file: BUDGET,
    find: 'Object.hasOwn(purposes, name) ? purposes[name]! : NOTHING',
    replace: 'Object.hasOwn(purposes, name) ? purposes[name]! : { epsilon: 1e9, delta: 0.5 }',
    caughtBy: [inBudget],
  },
  {
    name: 'clock-put-back',
    why: 'a period that was used up would come back with the clock',
    file: BUDGET,
    find: '  const today = latest(held, now);',
    replace: '  const today = now;',
    caughtBy: [inBudget],
  },
  {
    name: 'second-kind-of-event-free',
    why: 'all of a task’s events are composed, not the first',
    file: BUDGET,
    find: 'epsilonAtMost(eventsOf(held), accounted(limit, held));',
    replace: 'epsilonAtMost(eventsOf(held).slice(0, 1), accounted(limit, held));',
    caughtBy: [inBudget],
  },
  {
    name: 'budget-not-asked',
    why: 'a task is accepted that the customers can no longer pay',
    file: 'client/admission.ts',
    find: '  if (before === undefined) checkBudget(world, plan);\n',
    replace: '',
    caughtBy: [inTests('test/client/spending.test.ts', 'is a decline with its reason')],
  },
  {
    name: 'more-openings-than-set-aside',
    why: 'rounds beyond the plan are paid by nobody',
    file: 'client/spending.ts',
    find: '    if (reserved(budget, plan) < 1)\n',
    replace: '    if (reserved(budget, plan) < 0)\n',
    caughtBy: [inSpending],
  },
];
