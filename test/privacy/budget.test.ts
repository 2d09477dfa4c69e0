import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Budget,
  commit,
  filterOrder,
  type Limits,
  openBudget,
  periodName,
  readBudget,
  release,
  reserve,
  type Spending,
  standing,
  withLimits,
  wouldSpend,
} from '../../privacy/budget.ts';
import type { PrivacyEvent } from '../../privacy/event.ts';
import { TRUNCATION_DELTA_FRACTION } from '../../privacy/guarantee.ts';
import { epsilonAtMost } from '../../privacy/pld-accountant.ts';
import { samplingRate } from '../../privacy/poisson.ts';
import { epsilonSpent } from '../../privacy/rdp.ts';

const round: PrivacyEvent = {
  type: 'PoissonSampled',
  rate: samplingRate(0.1),
  event: { type: 'DiscreteGaussian', noiseVariance: 6.4e12, sensitivity: 2 ** 20, dimension: 21 },
};
const histogram: PrivacyEvent = { type: 'Gaussian', noiseMultiplier: 20 };
const limits = { training: { epsilon: 2, delta: 1e-5 }, 'held-out': { epsilon: 0.5, delta: 1e-5 } };
const NOW = Date.UTC(2026, 10, 22);
const training = (count: number, task = 'task-1', purpose = 'retention'): Spending => ({
  ...{ pool: 'training', task, purpose, event: round, count },
});
const other = (event: PrivacyEvent, count = 1, pool = 'training'): Spending => ({
  ...{ pool, task: 'other', purpose: 'retention', event, count },
});
const spent = (budget: Budget, pool = 'training') => standing(budget, pool, NOW);

const kept = (tasks: number): number => 1e-5 * (1 - tasks * TRUNCATION_DELTA_FRACTION);
/** ε of one task, which keeps back its part of δ. */
const tight = (...events: PrivacyEvent[]): number => epsilonAtMost(events, kept(1));
/** ε by the filter over `tasks` tasks, each of which keeps back its part of δ. */
const filtered = (tasks: number, limit: Limits, ...events: PrivacyEvent[]): number =>
  epsilonSpent(events, kept(tasks), [limit.order ?? filterOrder(limit)]).epsilon;
const times = (count: number, event: PrivacyEvent): PrivacyEvent => ({ type: 'SelfComposed', count, event });

test('a new budget has spent nothing', () => {
  expect(spent(openBudget(limits))).toEqual({
    epsilon: 0,
    allowed: true,
    counts: [{ scope: 'lifetime', name: 'training', epsilon: 0, limit: 2, delta: 1e-5, allowed: true }],
  });
});

test('the answer comes before, and asking changes nothing', () => {
  const budget = Object.freeze(openBudget(limits));
  const before = JSON.stringify(budget);
  const { epsilon, allowed } = wouldSpend(budget, training(90), NOW);
  expect(allowed).toBe(true);
  expect(epsilon).toBe(tight(times(90, round)));
  expect(JSON.stringify(budget)).toBe(before);
});

test('a reservation counts as if it were spent, and is refused beyond the limit', () => {
  let budget = openBudget(limits);
  let rounds = 0;
  while (wouldSpend(budget, training(10), NOW).allowed) {
    budget = reserve(budget, training(10), NOW);
    rounds += 10;
  }
  expect(rounds).toBeGreaterThan(50);
  expect(spent(budget).epsilon).toBeLessThanOrEqual(2);
  expect(tight(times(rounds + 10, round))).toBeGreaterThan(2);
  expect(() => reserve(budget, training(10), NOW)).toThrow('budget of pool training exceeded');
});

test('events of all tasks are composed; epsilons are not added up', () => {
  const budget = reserve(reserve(openBudget(limits), training(40, 'a'), NOW), training(40, 'b'), NOW);
  const { epsilon } = spent(budget);
  expect(epsilon).toBe(filtered(2, limits.training, times(80, round)));
  expect(epsilon).toBeLessThan(2 * tight(times(40, round)));
});

test('two kinds of events of one task are composed', () => {
  const both = reserve(reserve(openBudget(limits), training(40), NOW), { ...training(3), event: histogram }, NOW);
  expect(spent(both).epsilon).toBe(tight(times(40, round), times(3, histogram)));
  expect(spent(both).epsilon).toBeGreaterThan(tight(times(40, round)));
});

test('every task of a pool costs its part of delta for cut batches', () => {
  const one = reserve(openBudget(limits), training(80, 'a'), NOW);
  const two = reserve(reserve(openBudget(limits), training(40, 'a'), NOW), training(40, 'b'), NOW);
  expect(spent(two).epsilon).toBeGreaterThan(spent(one).epsilon);
});

test('pools do not pay for each other', () => {
  const budget = reserve(openBudget(limits), training(80), NOW);
  expect(spent(budget, 'held-out').epsilon).toBe(0);
  const ask = other(histogram, 1, 'held-out');
  expect(wouldSpend(budget, ask, NOW)).toEqual(wouldSpend(openBudget(limits), ask, NOW));
});

test('committing keeps what is spent, releasing gives it back', () => {
  const reserved = reserve(openBudget(limits), training(90), NOW);
  const committed = commit(reserved, training(60));
  expect(spent(committed)).toEqual(spent(reserved));
  const released = release(committed, training(30));
  expect(spent(released).epsilon).toBe(tight(times(60, round)));
});

test('what was committed cannot be released, and what is not reserved cannot be committed', () => {
  const budget = commit(reserve(openBudget(limits), training(5), NOW), training(5));
  expect(() => release(budget, training(1))).toThrow('has 0 of this event reserved, not 1');
  expect(() => commit(budget, training(1))).toThrow(RangeError);
  expect(() => commit(reserve(budget, training(2), NOW), training(3))).toThrow('has 2');
});

test('another task’s reservation is not mine to commit or release', () => {
  const budget = reserve(openBudget(limits), training(5, 'a'), NOW);
  expect(() => commit(budget, training(1, 'b'))).toThrow(RangeError);
  expect(() => release(budget, training(1, 'b'))).toThrow(RangeError);
});

test('a reservation released entirely leaves no trace', () => {
  const budget = openBudget(limits);
  expect(release(reserve(budget, training(5), NOW), training(5))).toEqual(budget);
});

test.each<[string, PrivacyEvent]>([
  ['unknown', { type: 'Skellam' } as unknown as PrivacyEvent],
  ['unsupported', { type: 'Unsupported' }],
  ['unprotected', { type: 'NonPrivate' }],
])('an event that is %s is refused at any limit', (_, event) => {
  const budget = openBudget({ training: { epsilon: 1e9, delta: 0.5 } });
  expect(wouldSpend(budget, other(event), NOW)).toMatchObject({ epsilon: Infinity, allowed: false });
  expect(() => reserve(budget, other(event), NOW)).toThrow('exceeded');
  expect(() => reserve(reserve(budget, training(1), NOW), other(event), NOW)).toThrow('exceeded');
});

test.each([0, -1, 0.5, NaN, Infinity])('a count of %d is refused', (count) => {
  expect(() => wouldSpend(openBudget(limits), training(count), NOW)).toThrow(RangeError);
  expect(() => commit(openBudget(limits), training(count))).toThrow(RangeError);
});

test('a plan calibrated to the limit can be reserved whole or round by round', () => {
  const { epsilon } = wouldSpend(openBudget(limits), training(30), NOW);
  let budget = openBudget({ training: { epsilon, delta: 1e-5 } });
  for (let i = 0; i < 30; i++) budget = commit(reserve(budget, training(1), NOW), training(1));
  expect(spent(budget)).toMatchObject({ epsilon, allowed: true });
  expect(() => reserve(budget, training(1), NOW)).toThrow('exceeded');
});

test('a pool that is not in the budget is refused', () => {
  expect(() => wouldSpend(openBudget(limits), { ...training(1), pool: 'toString' }, NOW)).toThrow('no pool toString');
});

test('whatever is done, nothing is lost: reserved and committed are what went in and did not come back', () => {
  const step = fc.record({
    what: fc.constantFrom('reserve', 'commit', 'release'),
    task: fc.constantFrom('a', 'b'),
    count: fc.integer({ min: 1, max: 5 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      let budget: Budget = openBudget({ training: { epsilon: 1000, delta: 1e-5, order: 8 } });
      const model: Record<string, { reserved: number; committed: number }> = {
        a: { reserved: 0, committed: 0 },
        b: { reserved: 0, committed: 0 },
      };
      for (const { what, task, count } of steps) {
        const mine = model[task]!;
        const possible = what === 'reserve' || mine.reserved >= count;
        const act = () => ({ reserve, commit, release })[what]!(budget, training(count, task), NOW);
        if (!possible) {
          expect(act).toThrow(RangeError);
          continue;
        }
        const before = spent(budget).epsilon;
        budget = readBudget(JSON.parse(JSON.stringify(act())));
        mine.reserved += what === 'reserve' ? count : -count;
        mine.committed += what === 'commit' ? count : 0;
        const after = spent(budget).epsilon;
        if (what === 'commit') expect(after).toBe(before);
        else if (what === 'reserve') expect(after).toBeGreaterThan(before);
        else expect(after).toBeLessThan(before);
      }
      for (const [task, { reserved, committed }] of Object.entries(model)) {
        const held = budget.pools[0]!.held.find((entry) => entry.task === task);
        expect([held?.reserved ?? 0, held?.committed ?? 0]).toEqual([reserved, committed]);
      }
    }),
    { numRuns: 100 },
  );
});

test('a new policy changes limits and forgets nothing', () => {
  const before = reserve(openBudget(limits), training(80), NOW);
  const tighter = withLimits(before, { training: { epsilon: 1, delta: 1e-5 }, other: { epsilon: 1, delta: 1e-6 } });
  expect(spent(tighter)).toMatchObject({ epsilon: spent(before).epsilon, allowed: false });
  expect(tighter.pools.map(({ name }) => name).sort()).toEqual(['held-out', 'other', 'training']);
});

test('the first task is priced tightly; a second may have been chosen after it, and both go through the filter', () => {
  const one = reserve(openBudget(limits), training(40, 'a'), NOW);
  expect(spent(one).epsilon).toBe(tight(times(40, round)));
  const two = wouldSpend(one, training(10, 'b'), NOW).epsilon;
  expect(two).toBe(filtered(2, limits.training, times(50, round)));
  expect(two).toBeGreaterThan(tight(times(50, round)));
});

test('a pinned order is the only one the filter asks', () => {
  const pinned: Limits = { epsilon: 2, delta: 1e-5, order: 3 };
  const one = reserve(openBudget({ training: pinned }), training(5, 'a'), NOW);
  expect(wouldSpend(one, training(5, 'b'), NOW).epsilon).toBe(filtered(2, pinned, times(10, round)));
  expect(filtered(2, pinned, times(10, round))).not.toBe(filtered(2, limits.training, times(10, round)));
  expect(() => openBudget({ training: { epsilon: 2, delta: 1e-5, order: 3.05 } })).toThrow(RangeError);
});

test('the filter’s order is the one at which a Gaussian mechanism of that ε and δ is proven', () => {
  // Gaussian noise whose best order is known: the order of the limit reaches the best ε over all orders
  const gaussian: PrivacyEvent = { type: 'Gaussian', noiseMultiplier: 2.5 };
  const best = epsilonSpent([gaussian], 1e-5);
  expect(filterOrder({ epsilon: best.epsilon, delta: 1e-5 })).toBe(best.order);
});

test('a first task that the filter would not have let in uses its limit up for good', () => {
  let most = 1;
  while (tight(times(most + 1, round)) <= 2) most++;
  const full = reserve(openBudget(limits), training(most), NOW);
  expect(filtered(1, limits.training, times(most, round))).toBeGreaterThan(2);
  expect(wouldSpend(full, training(1, 'b'), NOW).allowed).toBe(false);
  const ended = release(commit(full, training(1)), training(most - 1));
  expect(spent(ended)).toEqual(spent(full)); // nothing comes back
  expect(wouldSpend(ended, training(1, 'b'), NOW).allowed).toBe(false);
  // where the filter holds, it does
  const half = reserve(openBudget(limits), training(Math.floor(most / 2)), NOW);
  expect(spent(release(half, training(5))).epsilon).toBeLessThan(spent(half).epsilon);
});

describe('a limit besides the lifetime’s', () => {
  const limited: Limits = {
    epsilon: 2,
    delta: 1e-5,
    perPeriod: { every: 'quarter', epsilon: 0.9, delta: 1e-5 },
    purposes: { retention: { epsilon: 1.5, delta: 1e-5 }, pricing: { epsilon: 0.5, delta: 1e-5 } },
  };
  const empty = openBudget({ training: limited });
  const later = Date.UTC(2027, 0, 1);

  test('for a purpose counts that purpose alone, and one that is not named may spend nothing', () => {
    const spentOn = reserve(empty, training(10), NOW);
    const counts = standing(spentOn, 'training', NOW).counts.map(({ scope, name, epsilon }) => [scope, name, epsilon]);
    const ten = tight(times(10, round));
    expect(counts).toEqual([
      ['lifetime', 'training', ten],
      ['period', '2026-Q4', ten],
      ['purpose', 'retention', ten],
      ['purpose', 'pricing', 0],
    ]);
    expect(wouldSpend(spentOn, training(1, 'b', 'pricing'), NOW).allowed).toBe(true);
    const unnamed = wouldSpend(spentOn, training(1, 'b', 'research'), NOW);
    expect(unnamed.counts.find(({ allowed }) => !allowed)).toMatchObject({
      scope: 'purpose',
      name: 'research',
      limit: 0,
    });
    expect(() => reserve(spentOn, training(1, 'b', 'toString'), NOW)).toThrow('purpose toString');
    expect(() => reserve(spentOn, training(60, 'b', 'pricing'), NOW)).toThrow('exceeded');
  });

  test('for a period is free again in the next; the lifetime never is', () => {
    let rounds = 1;
    while (wouldSpend(empty, training(rounds + 1), NOW).allowed) rounds++;
    const used = reserve(empty, training(rounds), NOW);
    expect(() => reserve(used, training(rounds, 'b'), NOW)).toThrow('period 2026-Q4');
    expect(wouldSpend(used, training(rounds, 'b'), later).counts[1]).toMatchObject({ name: '2027-Q1', allowed: true });
    expect(standing(used, 'training', later).epsilon).toBe(spent(used).epsilon);
  });

  test('for a period is not freed by a clock that is put back, nor by one put back after a task', () => {
    let rounds = 1;
    while (wouldSpend(empty, training(rounds + 1), NOW).allowed) rounds++;
    const used = reserve(empty, training(rounds), NOW);
    const before = Date.UTC(2026, 5, 1);
    expect(() => reserve(used, training(rounds, 'b'), before)).toThrow('period 2026-Q4');
    expect(standing(used, 'training', before).counts[1]!.name).toBe('2026-Q4');
  });

  test('is asked when what is left is given back', () => {
    let rounds = 1;
    while (wouldSpend(empty, training(rounds + 1), NOW).allowed) rounds++;
    const used = reserve(empty, training(rounds), NOW); // fills the quarter, by the tight ε alone
    expect(release(used, training(1))).toEqual(used);
  });

  test.each([
    ['month', '2026-11'],
    ['quarter', '2026-Q4'],
    ['year', '2026'],
  ] as const)('a %s has a name', (every, name) => {
    expect(periodName(every, NOW)).toBe(name);
    expect(periodName(every, Date.UTC(2026, 11, 31, 23, 59, 59, 999))).toBe(name.replace('-11', '-12'));
    expect(periodName(every, Date.UTC(2027, 0, 1))).not.toBe(name);
  });
});

test.each([
  ['no pools', {}],
  ['a limit of zero', { pools: [{ name: 'a', limits: { epsilon: 0, delta: 1e-5 }, held: [] }] }],
  ['a delta of one', { pools: [{ name: 'a', limits: { epsilon: 1, delta: 1 }, held: [] }] }],
  ['a pool twice', { pools: [1, 2].map(() => ({ name: 'a', limits: limits.training, held: [] })) }],
  [
    'an event of a later version',
    {
      pools: [
        {
          name: 'a',
          limits: limits.training,
          held: [{ task: 't', purpose: 'p', at: 0, event: { type: 'Skellam' }, reserved: 1, committed: 0 }],
        },
      ],
    },
  ],
  [
    'a negative reservation',
    {
      pools: [
        {
          name: 'a',
          limits: limits.training,
          held: [{ task: 't', purpose: 'p', at: 0, event: round, reserved: -1, committed: 0 }],
        },
      ],
    },
  ],
])('a stored budget with %s is refused, not repaired', (_, json) => {
  expect(() => readBudget(json)).toThrow('not a budget');
});
