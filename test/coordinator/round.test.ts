import { describe, expect, test } from 'vitest';
import type { Stage } from '../../aggregation/secure-sum.ts';
import { advance, decide, opening, type RoundFact, type RoundRules, type RoundState } from '../../coordinator/round.ts';

const stages: readonly Stage[] = [
  { name: 'ready', gate: 'prepare', answers: 'enough', attempts: 0 },
  { name: 'contribute', gate: 'contribute', answers: 'all', attempts: 0 },
  { name: 'share', gate: 'open', answers: 'all', attempts: 2 },
];
const rules: RoundRules = { stages, minCohort: 3, threshold: 3, stageTimeoutMs: 1000, graceMs: 100 };
const COHORT = ['amber', 'blue', 'coral', 'dun'];
const nobody: ReadonlySet<string> = new Set();

const stateAfter = (...facts: RoundFact[]): RoundState =>
  facts.reduce((state, fact) => advance(state, fact, rules), opening(COHORT));

const asked = (stage: number, tenants = COHORT, attempt = 1): RoundFact => ({
  type: 'asked',
  stage,
  attempt,
  asked: tenants,
  at: 5000,
});
const said = (...tenants: string[]): RoundFact[] =>
  tenants.map((tenant) => ({ type: 'said', tenant, hash: `hash of ${tenant}` }));
const closed: RoundFact = { type: 'closed' };
const charged: RoundFact = { type: 'charged', sumHash: 'sum' };
const say = (tenant: string, stage = 'ready', attempt = 1) =>
  ({ type: 'say', tenant, stage, attempt, hash: `hash of ${tenant}` }) as const;
const tick = (at: number, present: Iterable<string> = COHORT) =>
  ({ type: 'tick', at, present: new Set(present) }) as const;

const ready: RoundFact[] = [asked(0), ...said(...COHORT), closed];
const contributed: RoundFact[] = [...ready, asked(1), ...said(...COHORT), closed];
const toOpen: RoundFact[] = [...contributed, charged, asked(2, COHORT.slice(0, 3))];

describe('a stage that is asked', () => {
  test('takes one statement of each tenant', () => {
    expect(decide(stateAfter(asked(0)), say('blue'), rules)).toEqual(said('blue'));
    expect(stateAfter(asked(0), ...said('blue'))).toMatchObject({
      phase: 'asking',
      said: new Map([['blue', 'hash of blue']]),
    });
  });

  test('closes with the last one', () => {
    const state = stateAfter(asked(0), ...said('amber', 'blue', 'coral'));
    expect(decide(state, say('dun'), rules)).toEqual([...said('dun'), closed]);
  });

  test('closes over those who spoke, in the order of their names', () => {
    expect(stateAfter(asked(0), ...said('dun', 'amber', 'coral'), closed)).toMatchObject({
      phase: 'closed',
      cohort: ['amber', 'coral', 'dun'],
    });
  });

  test.each([
    ['who was not asked', say('ebony'), 'not-asked'],
    ['who speaks of another stage', say('amber', 'contribute'), 'wrong-stage'],
    ['who speaks of another attempt', say('amber', 'ready', 2), 'wrong-stage'],
    ['who has spoken', say('blue'), 'already-said'],
  ])('refuses a tenant %s', (_, message, refusal) => {
    expect(decide(stateAfter(asked(0), ...said('blue')), message, rules)).toBe(refusal);
  });

  test('refuses who cannot answer but was not asked, or has answered', () => {
    const state = stateAfter(asked(0), ...said('blue'));
    expect(decide(state, { type: 'cannot', tenant: 'ebony' }, rules)).toBe('not-asked');
    expect(decide(state, { type: 'cannot', tenant: 'blue' }, rules)).toBe('already-said');
  });
});

test.each([
  ['closed', stateAfter(...ready)],
  ['lapsed', stateAfter(...toOpen, { type: 'lapsed' })],
  ['done', stateAfter(...toOpen, ...said('amber', 'blue', 'coral'), closed, { type: 'concluded' })],
  ['abandoned', stateAfter(asked(0), { type: 'abandoned', reason: 'too-few-tenants' })],
])('a round that is %s refuses every statement and lets time pass', (phase, state) => {
  expect(state.phase).toBe(phase);
  expect(decide(state, say('amber'), rules)).toBe('round-over');
  expect(decide(state, { type: 'cannot', tenant: 'amber' }, rules)).toBe('round-over');
  expect(decide(state, tick(1e9, nobody), rules)).toEqual([]);
});

describe('a stage that needs enough', () => {
  const three = stateAfter(asked(0), ...said('amber', 'blue', 'coral'));
  const two = stateAfter(asked(0), ...said('amber', 'blue'));

  test('waits while a silent tenant is connected', () => {
    expect(decide(three, tick(5999), rules)).toEqual([]);
  });
  test('closes without the silent when their connection is gone and the grace is over', () => {
    expect(decide(three, tick(5099, ['amber', 'blue', 'coral']), rules)).toEqual([]);
    expect(decide(three, tick(5100, ['amber', 'blue', 'coral']), rules)).toEqual([closed]);
  });
  test('closes without the silent at its timeout', () => {
    expect(decide(three, tick(6000), rules)).toEqual([closed]);
  });
  test('that has its minimum waits for who is still at work as long as the plan says, and not longer', () => {
    const hurried = { ...rules, stragglerMs: 400 };
    expect(decide(three, tick(5399), hurried)).toEqual([]);
    expect(decide(three, tick(5400), hurried)).toEqual([closed]);
    expect(decide(two, tick(5999), hurried)).toEqual([]); // nothing is given up for being slow
    expect(decide(three, tick(6000), { ...rules, stragglerMs: 9000 })).toEqual([closed]); // the timeout comes first
  });
  test('below its minimum at the timeout is abandoned, never closed', () => {
    expect(decide(two, tick(6000), rules)).toEqual([{ type: 'abandoned', reason: 'too-few-tenants' }]);
  });
  test('goes on without a tenant that cannot answer', () => {
    expect(decide(two, { type: 'cannot', tenant: 'dun' }, rules)).toEqual([{ type: 'withdrew', tenant: 'dun' }]);
    expect(stateAfter(asked(0), { type: 'withdrew', tenant: 'dun' })).toMatchObject({
      asked: ['amber', 'blue', 'coral'],
    });
  });
  test('closes when the last silent tenant cannot answer', () => {
    expect(decide(three, { type: 'cannot', tenant: 'dun' }, rules)).toEqual([
      { type: 'withdrew', tenant: 'dun' },
      closed,
    ]);
  });
  test('is abandoned when everyone has spoken but those who withdrew, and they are too few', () => {
    const state = stateAfter(
      asked(0),
      { type: 'withdrew', tenant: 'coral' },
      { type: 'withdrew', tenant: 'dun' },
      ...said('amber'),
    );
    expect(decide(state, say('blue'), rules)).toEqual([
      ...said('blue'),
      { type: 'abandoned', reason: 'too-few-tenants' },
    ]);
  });
  test('is abandoned when the last silent tenant cannot answer and too few have', () => {
    const state = stateAfter(asked(0, ['amber', 'blue', 'dun']), ...said('amber', 'blue'));
    expect(decide(state, { type: 'cannot', tenant: 'dun' }, rules)).toEqual([
      { type: 'withdrew', tenant: 'dun' },
      { type: 'abandoned', reason: 'too-few-tenants' },
    ]);
  });
});

describe('a stage that needs everyone', () => {
  const state = stateAfter(...ready, asked(1), ...said('amber', 'blue', 'coral'));

  test('is abandoned when a tenant is lost: what was contributed cannot be opened', () => {
    expect(decide(state, tick(5100, ['amber', 'blue', 'coral']), rules)).toEqual([
      { type: 'abandoned', reason: 'tenant-lost' },
    ]);
  });
  test('is abandoned when a tenant cannot answer', () => {
    expect(decide(state, { type: 'cannot', tenant: 'dun' }, rules)).toEqual([
      { type: 'withdrew', tenant: 'dun' },
      { type: 'abandoned', reason: 'tenant-lost' },
    ]);
  });
});

describe('a stage that opens', () => {
  const first = stateAfter(...toOpen, ...said('amber', 'blue'));

  test('lapses when an opener is lost, and says who was silent', () => {
    expect(decide(first, tick(5100, ['amber', 'blue', 'dun']), rules)).toEqual([{ type: 'lapsed' }]);
    expect(advance(first, { type: 'lapsed' }, rules)).toMatchObject({
      phase: 'lapsed',
      silent: ['coral'],
      charge: { sumHash: 'sum', cohort: COHORT },
    });
  });
  test('is asked again of others, and forgets what was said before', () => {
    const again = stateAfter(...toOpen, ...said('amber'), { type: 'lapsed' }, asked(2, ['amber', 'coral', 'dun'], 2));
    expect(again).toMatchObject({ phase: 'asking', attempt: 2, said: new Map(), charge: { sumHash: 'sum' } });
    expect(decide(again, say('amber', 'share', 1), rules)).toBe('wrong-stage');
  });
  test('is not asked a third time', () => {
    const second = stateAfter(...toOpen, { type: 'lapsed' }, asked(2, ['amber', 'coral', 'dun'], 2));
    expect(decide(second, tick(6000), rules)).toEqual([{ type: 'abandoned', reason: 'openers-lost' }]);
    const lapsed = advance(second, { type: 'lapsed' }, rules);
    expect(() => advance(lapsed, asked(2, COHORT, 3), rules)).toThrow('event store damaged');
  });
  test('keeps its charge to the end', () => {
    const done = stateAfter(...toOpen, ...said('amber', 'blue', 'coral'), closed, { type: 'concluded' });
    expect(done).toEqual({ phase: 'done', charge: { sumHash: 'sum', cohort: COHORT } });
    const abandoned = stateAfter(...toOpen, { type: 'abandoned', reason: 'openers-lost' });
    expect(abandoned).toMatchObject({ phase: 'abandoned', charge: { sumHash: 'sum' } });
  });
});

describe('a stage that needs a quorum', () => {
  const quorum: RoundRules = {
    ...rules,
    minCohort: 4,
    threshold: 2,
    stages: [
      { name: 'contribute', gate: 'contribute', answers: 'enough', attempts: 0 },
      { name: 'agree', gate: 'agree', answers: 'quorum', attempts: 0 },
      { name: 'reveal', gate: 'open', answers: 'quorum', attempts: 0 },
    ],
  };
  const reached = (...facts: RoundFact[]) =>
    facts.reduce((state, fact) => advance(state, fact, quorum), opening(COHORT));
  const agreeing: RoundFact[] = [asked(0), ...said(...COHORT), closed, charged, asked(1)];
  const revealing: RoundFact[] = [...agreeing, ...said('amber', 'blue', 'coral'), closed, asked(2)];
  const gone = tick(5100, nobody);

  test('goes on with the threshold, fewer than a cohort needs', () => {
    expect(decide(reached(...agreeing, ...said('amber', 'dun')), gone, quorum)).toEqual([closed]);
    expect(reached(...agreeing, ...said('amber', 'dun'), closed)).toMatchObject({ cohort: ['amber', 'dun'] });
    expect(decide(reached(...revealing, ...said('blue', 'coral')), gone, quorum)).toEqual([closed]);
  });
  test('waits for everyone while they are there', () => {
    expect(decide(reached(...agreeing, ...said('amber', 'dun')), tick(5999), quorum)).toEqual([]);
  });
  test('below the threshold is abandoned: nobody agreed to open, or nobody can', () => {
    const few = [{ type: 'abandoned', reason: 'too-few-tenants' }];
    expect(decide(reached(...agreeing, ...said('amber')), gone, quorum)).toEqual(few);
    const lost = [{ type: 'abandoned', reason: 'openers-lost' }];
    expect(decide(reached(...revealing, ...said('amber')), gone, quorum)).toEqual(lost);
    expect(() => reached(...agreeing, ...said('amber'), closed)).toThrow('event store damaged');
  });
  test('goes on without one that cannot answer', () => {
    const state = reached(...agreeing, ...said('amber', 'blue'));
    expect(decide(state, { type: 'cannot', tenant: 'dun' }, quorum)).toEqual([{ type: 'withdrew', tenant: 'dun' }]);
  });
  test('keeps the charge over all that contributed, whoever agrees', () => {
    expect(reached(...revealing)).toMatchObject({ charge: { cohort: COHORT } });
  });
});

describe('tenants that were not there when they were asked', () => {
  test('have the whole timeout to come back, not only the grace', () => {
    const fact: RoundFact = { ...(asked(0) as Extract<RoundFact, { type: 'asked' }>), patient: true };
    expect(decide(stateAfter(fact, ...said('amber')), tick(5999, nobody), rules)).toEqual([]);
    expect(decide(stateAfter(fact, ...said('amber')), tick(6000, nobody), rules)).not.toEqual([]);
  });
  test('have it from the moment the coordinator is back', () => {
    const state = stateAfter(asked(0), ...said('amber', 'blue', 'coral'), { type: 'resumed', at: 90_000 });
    expect(decide(state, tick(90_999, nobody), rules)).toEqual([]);
    expect(decide(state, tick(91_000, nobody), rules)).toEqual([closed]);
    expect(stateAfter(...ready, { type: 'resumed', at: 90_000 })).toEqual(stateAfter(...ready));
  });
});

describe('nobody is asked to open', () => {
  test('before the charge is in the ledger', () => {
    expect(() => advance(stateAfter(...contributed), asked(2), rules)).toThrow('before the charge is in the ledger');
  });
});

describe('a sum is not charged', () => {
  test('below the minimum cohort', () => {
    const two = ['amber', 'blue'];
    const few = stateAfter(asked(0), ...said(...COHORT), closed, asked(1, two), ...said(...two), closed);
    expect(() => advance(few, charged, rules)).toThrow('a sum over 2 tenants is never opened');
  });
  test('twice', () => {
    expect(() => advance(stateAfter(...contributed, charged), charged, rules)).toThrow('event store damaged');
  });
  test('before the contributions are closed, or after another stage', () => {
    for (const facts of [[], ready, [...ready, asked(1), ...said(...COHORT)]])
      expect(() => advance(stateAfter(...facts), charged, rules)).toThrow('event store damaged');
  });
});

describe('a fact that cannot be is a damaged store:', () => {
  const lapsed: RoundFact = { type: 'lapsed' };
  const concluded: RoundFact = { type: 'concluded' };
  const abandoned: RoundFact = { type: 'abandoned', reason: 'too-few-tenants' };
  const withdrew: RoundFact = { type: 'withdrew', tenant: 'dun' };
  test.each<[string, RoundFact[]]>([
    ['a statement before anyone was asked', said('amber')],
    ['a statement of one who was not asked', [asked(0), ...said('ebony')]],
    ['a statement of one who has spoken', [asked(0), ...said('amber', 'amber')]],
    ['a withdrawal before anyone was asked', [withdrew]],
    ['a withdrawal of one who has spoken', [asked(0), ...said('dun'), withdrew]],
    ['a withdrawal twice', [asked(0), withdrew, withdrew]],
    ['a stage skipped', [asked(1)]],
    ['a stage asked while another is', [asked(0), asked(1)]],
    ['a stage that starts at its second attempt', [asked(0, COHORT, 2)]],
    ['a stage asked again that did not lapse', [...toOpen, asked(2, COHORT, 2)]],
    ['a stage after the last', [...toOpen, ...said('amber', 'blue', 'coral'), closed, asked(3)]],
    ['a close before anyone was asked', [closed]],
    ['a close below the minimum cohort', [asked(0), ...said('amber', 'blue'), closed]],
    ['a close without everyone who is needed', [...ready, asked(1), ...said('amber', 'blue', 'coral'), closed]],
    ['a lapse before anyone was asked', [lapsed]],
    ['a lapsed stage that goes on with the next', [asked(0), lapsed, asked(1)]],
    ['an end before the last stage', [...ready, concluded]],
    ['an end while tenants are asked', [...toOpen, concluded]],
    ['an end after the end', [...toOpen, ...said('amber', 'blue', 'coral'), closed, concluded, concluded]],
    ['abandoned twice', [abandoned, abandoned]],
    ['abandoned when done', [...toOpen, ...said('amber', 'blue', 'coral'), closed, concluded, abandoned]],
  ])('%s', (_, facts) => {
    expect(() => stateAfter(...facts)).toThrow('event store damaged');
    expect(() => stateAfter(...facts.slice(0, -1))).not.toThrow();
  });
});
