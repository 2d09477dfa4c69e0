import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Budget,
  commit,
  openBudget,
  readBudget,
  release,
  reserve,
  type Spending,
  spentSoFar,
  withLimits,
  wouldSpend,
} from '../../privacy/budget.ts';
import type { PrivacyEvent } from '../../privacy/event.ts';
import { TRUNCATION_DELTA_FRACTION } from '../../privacy/guarantee.ts';
import { samplingRate } from '../../privacy/poisson.ts';
import { epsilonSpent } from '../../privacy/rdp.ts';

const round: PrivacyEvent = {
  type: 'PoissonSampled',
  rate: samplingRate(0.1),
  event: { type: 'DiscreteGaussian', noiseVariance: 6.4e12, sensitivity: 2 ** 20, dimension: 21 },
};
const histogram: PrivacyEvent = { type: 'Gaussian', noiseMultiplier: 20 };
const limits = { training: { epsilon: 2, delta: 1e-5 }, 'held-out': { epsilon: 0.5, delta: 1e-5 } };
const training = (count: number, task = 'task-1'): Spending => ({ pool: 'training', task, event: round, count });

/** ε over `tasks` tasks, each of which keeps back its part of δ. */
const epsilonOf = (events: PrivacyEvent[], tasks: number) =>
  epsilonSpent(events, 1e-5 * (1 - tasks * TRUNCATION_DELTA_FRACTION)).epsilon;
const times = (count: number, event: PrivacyEvent): PrivacyEvent => ({ type: 'SelfComposed', count, event });

test('a new budget has spent nothing', () => {
  expect(spentSoFar(openBudget(limits), 'training')).toEqual({ epsilon: 0, allowed: true });
});

test('the answer comes before, and asking changes nothing', () => {
  const budget = Object.freeze(openBudget(limits));
  const before = JSON.stringify(budget);
  const { epsilon, allowed } = wouldSpend(budget, 'training', round, 90);
  expect(allowed).toBe(true);
  expect(epsilon).toBe(epsilonOf([times(90, round)], 1));
  expect(JSON.stringify(budget)).toBe(before);
});

test('a reservation counts as if it were spent, and is refused beyond the limit', () => {
  let budget = openBudget(limits);
  let rounds = 0;
  while (wouldSpend(budget, 'training', round, 10).allowed) {
    budget = reserve(budget, training(10));
    rounds += 10;
  }
  expect(rounds).toBeGreaterThan(50);
  expect(spentSoFar(budget, 'training').epsilon).toBeLessThanOrEqual(2);
  expect(epsilonOf([times(rounds + 10, round)], 2)).toBeGreaterThan(2);
  expect(() => reserve(budget, training(10))).toThrow('budget of pool training exceeded');
});

test('events of all tasks are composed; epsilons are not added up', () => {
  const budget = reserve(reserve(openBudget(limits), training(40, 'a')), training(40, 'b'));
  const { epsilon } = spentSoFar(budget, 'training');
  expect(epsilon).toBe(epsilonOf([times(80, round)], 2));
  expect(epsilon).toBeLessThan(2 * epsilonOf([times(40, round)], 1));
});

test('every task of a pool costs its part of delta for cut batches', () => {
  const one = reserve(openBudget(limits), training(80, 'a'));
  const two = reserve(reserve(openBudget(limits), training(40, 'a')), training(40, 'b'));
  expect(spentSoFar(two, 'training').epsilon).toBeGreaterThan(spentSoFar(one, 'training').epsilon);
});

test('pools do not pay for each other', () => {
  const budget = reserve(openBudget(limits), training(80));
  expect(spentSoFar(budget, 'held-out').epsilon).toBe(0);
  expect(wouldSpend(budget, 'held-out', histogram, 1)).toEqual(
    wouldSpend(openBudget(limits), 'held-out', histogram, 1),
  );
});

test('committing keeps what is spent, releasing gives it back', () => {
  const reserved = reserve(openBudget(limits), training(90));
  const committed = commit(reserved, training(60));
  expect(spentSoFar(committed, 'training')).toEqual(spentSoFar(reserved, 'training'));
  const released = release(committed, training(30));
  expect(spentSoFar(released, 'training').epsilon).toBe(epsilonOf([times(60, round)], 1));
});

test('what was committed cannot be released, and what is not reserved cannot be committed', () => {
  const budget = commit(reserve(openBudget(limits), training(5)), training(5));
  expect(() => release(budget, training(1))).toThrow('has 0 of this event reserved, not 1');
  expect(() => commit(budget, training(1))).toThrow(RangeError);
  expect(() => commit(reserve(budget, training(2)), training(3))).toThrow('has 2');
});

test('another task’s reservation is not mine to commit or release', () => {
  const budget = reserve(openBudget(limits), training(5, 'a'));
  expect(() => commit(budget, training(1, 'b'))).toThrow(RangeError);
  expect(() => release(budget, training(1, 'b'))).toThrow(RangeError);
});

test('a reservation released entirely leaves no trace', () => {
  const budget = openBudget(limits);
  expect(release(reserve(budget, training(5)), training(5))).toEqual(budget);
});

test.each<[string, PrivacyEvent]>([
  ['unknown', { type: 'Skellam' } as unknown as PrivacyEvent],
  ['unsupported', { type: 'Unsupported' }],
  ['unprotected', { type: 'NonPrivate' }],
])('an event that is %s is refused at any limit', (_, event) => {
  const budget = openBudget({ training: { epsilon: 1e9, delta: 0.5 } });
  expect(wouldSpend(budget, 'training', event, 1)).toEqual({ epsilon: Infinity, allowed: false });
  expect(() => reserve(budget, { pool: 'training', task: 't', event, count: 1 })).toThrow('exceeded');
});

test.each([0, -1, 0.5, NaN, Infinity])('a count of %d is refused', (count) => {
  expect(() => wouldSpend(openBudget(limits), 'training', round, count)).toThrow(RangeError);
  expect(() => commit(openBudget(limits), training(count))).toThrow(RangeError);
});

test('a plan calibrated to the limit can be reserved whole or round by round', () => {
  const { epsilon } = wouldSpend(openBudget(limits), 'training', round, 30);
  let budget = openBudget({ training: { epsilon, delta: 1e-5 } });
  for (let i = 0; i < 30; i++) budget = commit(reserve(budget, training(1)), training(1));
  expect(spentSoFar(budget, 'training')).toEqual({ epsilon, allowed: true });
  expect(() => reserve(budget, training(1))).toThrow('exceeded');
});

test('a pool that is not in the budget is refused', () => {
  expect(() => wouldSpend(openBudget(limits), 'toString', round, 1)).toThrow('no pool toString');
});

test('whatever is done, nothing is lost: reserved and committed are what went in and did not come back', () => {
  const step = fc.record({
    what: fc.constantFrom('reserve', 'commit', 'release'),
    task: fc.constantFrom('a', 'b'),
    count: fc.integer({ min: 1, max: 5 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      let budget: Budget = openBudget({ training: { epsilon: 1000, delta: 1e-5 } });
      const model: Record<string, { reserved: number; committed: number }> = {
        a: { reserved: 0, committed: 0 },
        b: { reserved: 0, committed: 0 },
      };
      for (const { what, task, count } of steps) {
        const mine = model[task]!;
        const possible = what === 'reserve' || mine.reserved >= count;
        const act = () => ({ reserve, commit, release })[what]!(budget, training(count, task));
        if (!possible) {
          expect(act).toThrow(RangeError);
          continue;
        }
        const before = spentSoFar(budget, 'training').epsilon;
        budget = readBudget(JSON.parse(JSON.stringify(act())));
        mine.reserved += what === 'reserve' ? count : -count;
        mine.committed += what === 'commit' ? count : 0;
        const after = spentSoFar(budget, 'training').epsilon;
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
  const spent = reserve(openBudget(limits), training(80));
  const tighter = withLimits(spent, { training: { epsilon: 1, delta: 1e-5 }, other: { epsilon: 1, delta: 1e-6 } });
  expect(spentSoFar(tighter, 'training')).toEqual({ ...spentSoFar(spent, 'training'), allowed: false });
  expect(tighter.pools.map(({ name }) => name).sort()).toEqual(['held-out', 'other', 'training']);
});

test('a pinned order is the only one that is asked', () => {
  const pinned = openBudget({ training: { epsilon: 2, delta: 1e-5, order: 3 } });
  expect(wouldSpend(pinned, 'training', round, 50).epsilon).toBe(
    epsilonSpent([times(50, round)], 1e-5 * (1 - TRUNCATION_DELTA_FRACTION), [3]).epsilon,
  );
  expect(() => openBudget({ training: { epsilon: 2, delta: 1e-5, order: 3.05 } })).toThrow(RangeError);
});

test.each([
  ['no pools', {}],
  ['a limit of zero', { pools: [{ name: 'a', limit: { epsilon: 0, delta: 1e-5 }, held: [] }] }],
  ['a delta of one', { pools: [{ name: 'a', limit: { epsilon: 1, delta: 1 }, held: [] }] }],
  ['a pool twice', { pools: [1, 2].map(() => ({ name: 'a', limit: limits.training, held: [] })) }],
  [
    'an event of a later version',
    {
      pools: [
        {
          name: 'a',
          limit: limits.training,
          held: [{ task: 't', event: { type: 'Skellam' }, reserved: 1, committed: 0 }],
        },
      ],
    },
  ],
  [
    'a negative reservation',
    { pools: [{ name: 'a', limit: limits.training, held: [{ task: 't', event: round, reserved: -1, committed: 0 }] }] },
  ],
])('a stored budget with %s is refused, not repaired', (_, json) => {
  expect(() => readBudget(json)).toThrow('not a budget');
});
