import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { replay } from '../../coordinator/advance-task.ts';
import type { RoundFact } from '../../coordinator/round.ts';
import { MAX_FAILURES, type TaskFact } from '../../coordinator/task.ts';
import { ROSTER, RULES, TaskPlay, THRESHOLD } from '../support/task-play.ts';

/** What may happen, in any order. */
const anyTenant = fc.constantFrom(...ROSTER, 'stranger');
const anyStage = fc.constantFrom('announce', 'deal', 'ready', 'contribute', 'share', 'nonsense');
const happening = fc.oneof(
  { weight: 14, arbitrary: fc.record({ kind: fc.constant('everyone-answers' as const) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('answers' as const), tenant: anyTenant }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('says' as const),
      tenant: anyTenant,
      stage: anyStage,
      attempt: fc.integer({ min: 0, max: 3 }),
      epoch: fc.integer({ min: 0, max: 3 }),
      round: fc.integer({ min: 0, max: 6 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cannot' as const), tenant: anyTenant }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('accepts' as const), tenant: anyTenant }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('declines' as const), tenant: fc.constantFrom('ebony', 'stranger') }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('leaves' as const), tenant: anyTenant }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('comes' as const), tenant: anyTenant }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('tick' as const), ms: fc.constantFrom(1, 100, 101, 1000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
);
type Happening = typeof happening extends fc.Arbitrary<infer H> ? H : never;

function happen(play: TaskPlay, one: Happening): void {
  switch (one.kind) {
    case 'everyone-answers':
      return play.everyoneAnswers();
    case 'answers':
      return play.everyoneAnswers([one.tenant]);
    case 'says': {
      const { tenant, stage, attempt, epoch, round } = one;
      return void play.hear({ type: 'say', tenant, stage, attempt, epoch, round, hash: 'whatever' });
    }
    case 'cannot': {
      if (play.state.phase !== 'running') return;
      const { epoch, keyed, round } = play.state;
      return void play.hear({ type: 'cannot', tenant: one.tenant, epoch, round: keyed ? round : 0 });
    }
    case 'accepts':
      return void play.hear({ type: 'accept', tenant: one.tenant });
    case 'declines':
      return void play.hear({ type: 'decline', tenant: one.tenant, cause: 'policy', reason: 'no' });
    case 'leaves':
      return void play.present.delete(one.tenant);
    case 'comes':
      if (ROSTER.includes(one.tenant)) play.present.add(one.tenant);
      return;
    case 'tick':
      return play.tick(one.ms);
    case 'restart':
      return play.restart();
  }
}

function played(happenings: readonly Happening[], begun: boolean): TaskPlay {
  const play = new TaskPlay();
  if (begun) for (const tenant of ROSTER) play.hear({ type: 'accept', tenant });
  for (const one of happenings) happen(play, one);
  return play;
}

/** The facts of each round, by its number; round 0 for everything outside of rounds. */
function byRound(facts: readonly TaskFact[]): Map<number, RoundFact[]> {
  const rounds = new Map<number, RoundFact[]>();
  let current = 0;
  for (const fact of facts) {
    if (fact.type === 'epoch-begun') current = 0;
    if (fact.type === 'round-begun') current = fact.round;
    if (fact.type === 'in-round') rounds.set(current, [...(rounds.get(current) ?? []), fact.fact]);
  }
  rounds.delete(0);
  return rounds;
}

const anything = fc.array(happening, { maxLength: 200, size: 'max' });
const RUNS = { numRuns: 400 };

describe('whatever tenants, connections and crashes do,', () => {
  test('nobody is asked to open before the sum is charged, and only one set after the other', () => {
    fc.assert(
      fc.property(anything, (happenings) => {
        for (const facts of byRound(played(happenings, true).facts).values()) {
          const charge = facts.findIndex(({ type }) => type === 'charged');
          const opened = facts.flatMap((fact, at) => (fact.type === 'asked' && fact.stage === 2 ? [{ fact, at }] : []));
          for (const { at } of opened) expect(charge >= 0 && charge < at).toBe(true);
          const sets = opened.map(({ fact }) => [...fact.asked].sort().join());
          expect(new Set(sets).size).toBe(sets.length);
          expect(sets.length).toBeLessThanOrEqual(2);
          for (const { fact } of opened) expect(fact.asked).toHaveLength(THRESHOLD);
        }
      }),
      RUNS,
    );
  });

  test('no sum is charged below the minimum cohort, and none twice', () => {
    fc.assert(
      fc.property(anything, (happenings) => {
        for (const facts of byRound(played(happenings, true).facts).values()) {
          expect(facts.filter(({ type }) => type === 'charged').length).toBeLessThanOrEqual(1);
          const charge = facts.findIndex(({ type }) => type === 'charged');
          if (charge < 0) continue;
          const asked = facts.slice(0, charge).findLastIndex(({ type }) => type === 'asked');
          const contributed = facts.slice(asked, charge).filter(({ type }) => type === 'said');
          expect(contributed.length).toBeGreaterThanOrEqual(RULES.minCohort);
        }
      }),
      RUNS,
    );
  });

  test('never more sums are charged than the noise was calibrated for', () => {
    fc.assert(
      fc.property(anything, (happenings) => {
        const { facts, state } = played(happenings, true);
        const charged = facts.filter((fact) => fact.type === 'in-round' && fact.fact.type === 'charged').length;
        expect(charged).toBeLessThanOrEqual(RULES.openings);
        if ('charges' in state) expect(state.charges).toBe(charged);
      }),
      RUNS,
    );
  });

  test('the facts give the state', () => {
    fc.assert(
      fc.property(anything, fc.boolean(), (happenings, begun) => {
        const { facts, state, rules } = played(happenings, begun);
        expect(replay(JSON.parse(JSON.stringify(facts)), rules)).toEqual(state);
      }),
      RUNS,
    );
  });

  test('what is opened is the sum that was charged, once a round', () => {
    fc.assert(
      fc.property(anything, (happenings) => {
        const { facts, state } = played(happenings, true);
        const opened = facts.flatMap((fact) => (fact.type === 'opened' ? [fact.sumHash] : []));
        expect(new Set(opened).size).toBe(opened.length);
        expect(opened.length).toBeLessThanOrEqual(RULES.steps);
        if (state.phase === 'finished') expect(opened).toHaveLength(RULES.steps);
      }),
      RUNS,
    );
  });

  test('a task comes to an end when time goes on', () => {
    fc.assert(
      fc.property(anything, fc.boolean(), (happenings, begun) => {
        const play = played(happenings, begun);
        for (let i = 0; i < 40 * MAX_FAILURES && !['finished', 'stopped'].includes(play.state.phase); i++)
          play.tick(1000);
        expect(['finished', 'stopped']).toContain(play.state.phase);
      }),
      { numRuns: 100 },
    );
  });
});

test('the happenings reach every phase, so the properties above are about something', () => {
  const seen = new Set<string>();
  for (const happenings of fc.sample(anything, { numRuns: 400, seed: 7 }))
    for (const fact of played(happenings, true).facts)
      seen.add(
        fact.type === 'in-round' ? `${fact.fact.type}${'stage' in fact.fact ? fact.fact.stage : ''}` : fact.type,
      );
  for (const name of [
    'asked2',
    'charged',
    'lapsed',
    'withdrew',
    'abandoned',
    'opened',
    'finished',
    'stopped',
    'resumed',
  ])
    expect(seen).toContain(name);
});
