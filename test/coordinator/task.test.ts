import { describe, expect, test } from 'vitest';
import { advance, replay } from '../../coordinator/advance-task.ts';
import { decide } from '../../coordinator/decide-task.ts';
import { nextMove } from '../../coordinator/next-move.ts';
import { inRound, MAX_FAILURES, type Running, type TaskFact, type TaskState } from '../../coordinator/task.ts';
import { EMPTY_LEDGER } from '../../privacy/ledger.ts';
import { ROSTER, RULES, TaskPlay } from '../support/task-play.ts';

const started = (): TaskPlay => {
  const play = new TaskPlay();
  for (const tenant of ROSTER) play.hear({ type: 'accept', tenant });
  return play;
};

/** Keys are made; the first round's tenants are asked whether they are ready. */
const keyed = (): TaskPlay => {
  const play = started();
  play.everyoneAnswers();
  play.everyoneAnswers();
  return play;
};

const running = (play: TaskPlay): Running => {
  if (play.state.phase !== 'running') throw new Error(`the task is ${play.state.phase}`);
  return play.state;
};

const decline = (tenant: string, cause: 'policy' | 'budget' = 'policy') =>
  ({ type: 'decline', tenant, cause, reason: 'no' }) as const;

describe('a proposed task', () => {
  test('begins when the whole roster accepted', () => {
    const play = new TaskPlay();
    for (const tenant of ROSTER.slice(0, 4)) play.hear({ type: 'accept', tenant });
    expect(play.state.phase).toBe('proposed');
    play.hear({ type: 'accept', tenant: 'ebony' });
    expect(running(play).epoch).toBe(1);
  });
  test('begins without those who declined', () => {
    const play = new TaskPlay();
    play.hear(decline('ebony'));
    for (const tenant of ROSTER.slice(0, 4)) play.hear({ type: 'accept', tenant });
    expect(running(play).accepted).toEqual(ROSTER.slice(0, 4));
  });
  test('begins without the silent after a stage’s time', () => {
    const play = new TaskPlay();
    for (const tenant of ROSTER.slice(0, 4)) play.hear({ type: 'accept', tenant });
    play.tick(999);
    expect(play.state.phase).toBe('proposed');
    play.tick(1);
    expect(play.state.phase).toBe('running');
  });
  test('stops when too few accept in time', () => {
    const play = new TaskPlay();
    play.hear({ type: 'accept', tenant: 'amber' });
    play.tick(2999);
    expect(play.state.phase).toBe('proposed');
    play.tick(1);
    expect(play.state).toMatchObject({ phase: 'stopped', reason: 'too-few-accepted', charges: 0 });
  });
  test('stops at once when too many declined, and says when it was for their budgets', () => {
    const policy = new TaskPlay();
    policy.hear(decline('amber'));
    policy.hear(decline('blue'));
    policy.tick(1);
    expect(policy.state).toMatchObject({ phase: 'stopped', reason: 'tenants-declined' });
    const budget = new TaskPlay();
    budget.hear(decline('amber'));
    budget.hear(decline('blue', 'budget'));
    budget.tick(1);
    expect(budget.state).toMatchObject({ phase: 'stopped', reason: 'budget-exhausted' });
  });
  test('does not lose patience over its coordinator’s downtime', () => {
    const play = new TaskPlay();
    play.now += 100_000;
    play.restart();
    play.tick(2999);
    expect(play.state.phase).toBe('proposed');
  });
});

describe('a message is refused', () => {
  test('from a tenant that is not in the roster', () => {
    expect(started().hear({ type: 'accept', tenant: 'stranger' })).toBe('unknown-tenant');
    expect(started().hear(decline('stranger'))).toBe('unknown-tenant');
  });
  test('from a tenant that declined before; to accept twice is no offence', () => {
    const play = started();
    play.hear(decline('ebony'));
    expect(play.hear({ type: 'accept', tenant: 'ebony' })).toBe('already-answered');
    expect(play.hear({ type: 'accept', tenant: 'amber' })).toBeUndefined();
    expect(running(play).accepted).toEqual(ROSTER.slice(0, 4));
  });
  test.each(['epoch', 'round'] as const)('of another %s', (what) => {
    const play = keyed();
    const answer = play.answerOf('amber')!;
    expect(play.hear({ ...answer, [what]: answer[what] + 1 })).toBe('wrong-round');
    expect(play.hear({ type: 'cannot', tenant: 'amber', epoch: 1, round: 1, [what]: 0 })).toBe('wrong-round');
    expect(play.hear(answer)).toBeUndefined();
  });
  test('in the round before the one that is held', () => {
    const play = keyed();
    const ready = play.answerOf('amber')!;
    play.everyoneAnswers();
    play.everyoneAnswers();
    play.everyoneAnswers();
    expect(running(play).round).toBe(2);
    expect(play.hear(ready)).toBe('wrong-round');
  });
  test('before the task has begun, and when it is over', () => {
    const say = { type: 'say', tenant: 'amber', stage: 'announce', attempt: 1, epoch: 0, round: 0, hash: '' } as const;
    const play = new TaskPlay();
    expect(play.hear(say)).toBe('wrong-round');
    play.take({ type: 'stopped', reason: 'stopped-by-operator' });
    expect(play.hear(say)).toBe('task-over');
    expect(play.hear({ type: 'accept', tenant: 'amber' })).toBe('task-over');
  });
  test('never from a tenant because of its name', () => {
    const play = new TaskPlay({ ...RULES, roster: [...ROSTER, 'constructor'] });
    expect(play.hear({ type: 'accept', tenant: 'constructor' })).toBeUndefined();
  });
});

describe('a running task', () => {
  test('makes keys, then opens one sum a round, and finishes', () => {
    const play = keyed();
    for (let round = 1; round <= RULES.steps; round++) {
      expect(running(play)).toMatchObject({ round, steps: round - 1, charges: round - 1, model: `model ${round - 1}` });
      for (let stage = 0; stage < 3; stage++) play.everyoneAnswers();
    }
    expect(play.state).toEqual({
      phase: 'finished',
      end: 99,
      accepted: ROSTER,
      model: 'model 4',
      charges: 4,
      rounds: 4,
    });
  });

  test('abandons a round when a tenant is lost between ready and contribute, and retries it as a new one', () => {
    const play = keyed();
    play.everyoneAnswers();
    play.present.delete('dun');
    play.everyoneAnswers(['amber', 'blue', 'coral', 'ebony']);
    play.tick(100);
    expect(play.facts).toContainEqual(inRound({ type: 'abandoned', reason: 'tenant-lost' }));
    expect(running(play)).toMatchObject({ round: 2, charges: 0, failures: 1, epoch: 1, keyed: true });
    expect(running(play).conversation).toMatchObject({ phase: 'asking', asked: ['amber', 'blue', 'coral', 'ebony'] });
  });

  test('goes on with a round when a tenant is lost after it contributed', () => {
    const play = keyed();
    play.everyoneAnswers();
    play.everyoneAnswers(['dun']);
    play.present.delete('dun');
    play.everyoneAnswers();
    expect(running(play).conversation).toMatchObject({ asked: ['amber', 'blue', 'coral', 'ebony'], attempt: 1 });
    play.everyoneAnswers();
    expect(running(play)).toMatchObject({ steps: 1, round: 2, failures: 0 });
  });

  test('asks other openers when one is slow, never the same set, and gives the round up after two sets', () => {
    const play = keyed();
    play.everyoneAnswers();
    play.everyoneAnswers();
    expect(running(play).conversation).toMatchObject({ asked: ['amber', 'blue', 'coral', 'dun'], attempt: 1 });
    play.everyoneAnswers(['amber', 'blue', 'dun']);
    play.tick(1000); // coral is connected all the while
    expect(running(play).conversation).toMatchObject({ asked: ['amber', 'blue', 'dun', 'ebony'], attempt: 2 });
    play.tick(1000);
    expect(running(play)).toMatchObject({ round: 2, steps: 0, charges: 1, failures: 1 });
  });

  test('waits for an opener to come back before a sum that is paid for is given up', () => {
    const play = keyed();
    play.everyoneAnswers(['amber', 'blue', 'coral', 'dun']);
    play.present.delete('ebony');
    play.tick(100);
    play.everyoneAnswers();
    play.present.delete('dun');
    const { conversation } = running(play);
    expect(conversation).toMatchObject({ asked: ['amber', 'blue', 'coral', 'dun'], stage: 2 });
    play.present.add('dun');
    play.everyoneAnswers();
    expect(running(play).steps).toBe(1);
  });

  test('makes new keys when a tenant without them has come', () => {
    const play = started();
    play.present.delete('ebony');
    play.everyoneAnswers(['amber', 'blue', 'coral', 'dun']);
    play.tick(100);
    play.everyoneAnswers();
    expect(running(play)).toMatchObject({ keyed: true, members: ['amber', 'blue', 'coral', 'dun'] });
    play.present.add('ebony');
    for (let stage = 0; stage < 3; stage++) play.everyoneAnswers();
    expect(running(play)).toMatchObject({ epoch: 2, keyed: false, parties: ROSTER });
  });

  test('makes new keys when one cannot answer for want of them', () => {
    const play = keyed();
    play.hear({ type: 'cannot', tenant: 'ebony', epoch: 1, round: 1 });
    expect(running(play).members).toEqual(ROSTER.slice(0, 4));
    for (let stage = 0; stage < 3; stage++) play.everyoneAnswers();
    expect(running(play)).toMatchObject({ epoch: 2, steps: 1 });
  });

  test('makes new keys when the old ones broke', () => {
    const play = keyed();
    play.everyoneAnswers();
    play.take(inRound({ type: 'abandoned', reason: 'protocol-broken' }));
    play.settle();
    expect(running(play)).toMatchObject({ epoch: 2, keyed: false });
  });

  test('waits for tenants, and stops when they stay away', () => {
    const play = keyed();
    play.present.clear();
    play.tick(1000);
    expect(running(play).waitingSince).toBe(play.now);
    play.tick(2999);
    expect(play.state.phase).toBe('running');
    play.tick(1);
    expect(play.state).toMatchObject({ phase: 'stopped', reason: 'too-few-connected' });
  });

  test('stops when too few are left that take part, and says when their budgets are used up', () => {
    const play = keyed();
    play.hear(decline('amber', 'budget'));
    play.hear(decline('blue'));
    play.present.delete('amber');
    play.present.delete('blue');
    play.everyoneAnswers(['coral', 'dun', 'ebony']);
    play.tick(100);
    expect(play.state).toMatchObject({ phase: 'stopped', reason: 'budget-exhausted' });
  });

  test('stops when its openings are used up before its steps are taken', () => {
    const play = keyed();
    for (let round = 1; round <= RULES.openings; round++) {
      play.everyoneAnswers();
      play.everyoneAnswers();
      play.tick(1000);
      play.tick(1000);
    }
    expect(play.state).toMatchObject({ phase: 'stopped', reason: 'openings-exhausted', charges: RULES.openings });
  });

  test('goes on without who has contributed as often as there are openings, and keeps them to the end', () => {
    const play = keyed();
    for (let given = 0; given < 2; given++) {
      play.everyoneAnswers();
      play.everyoneAnswers(['amber']);
      play.tick(1000); // one is too few
    }
    expect(running(play)).toMatchObject({ steps: 0, charges: 0, round: 3 });
    const others = ROSTER.slice(1);
    while (running(play).steps < 3) play.everyoneAnswers();
    expect(Object.fromEntries(running(play).contributed)).toEqual({
      amber: RULES.openings,
      ...Object.fromEntries(others.map((name) => [name, 3])),
    });
    expect(running(play).conversation).toMatchObject({ asked: others });
    play.restart();
    expect(running(play).conversation).toMatchObject({ asked: others });
    while (play.state.phase === 'running') play.everyoneAnswers();
    expect(play.state).toMatchObject({ phase: 'finished', accepted: ROSTER, charges: 4 });
  });

  test('stops when too few can pay for another opening, whoever of them is there', () => {
    const play = keyed();
    for (let given = 0; given < RULES.openings; given++) {
      play.everyoneAnswers();
      play.everyoneAnswers(['amber', 'blue']);
      play.tick(1000);
    }
    expect(play.state).toMatchObject({ phase: 'stopped', reason: 'budget-exhausted', charges: 0 });
  });

  test('stops when its conversations fail again and again', () => {
    const play = keyed();
    for (let i = 0; i <= MAX_FAILURES; i++) play.tick(1000);
    expect(play.state).toMatchObject({ phase: 'stopped', reason: 'too-many-failures', charges: 0 });
  });
});

describe('the quorum’s cosignatures', () => {
  const unwitnessed = (): TaskPlay => {
    const play = new TaskPlay();
    play.facts.pop();
    play.restart();
    return play;
  };
  test('over the plan come before anything is asked, however many accept', () => {
    const play = unwitnessed();
    for (const tenant of ROSTER) play.hear({ type: 'accept', tenant });
    play.tick(RULES.stageTimeoutMs);
    expect(play.state.phase).toBe('proposed');
    play.hear({ type: 'witnessed' });
    expect(play.state.phase).toBe('running');
  });
  test('and enough that accept are not kept waiting for the others longer than stragglers are', () => {
    const play = new TaskPlay({ ...RULES, stragglerMs: 300 });
    for (const tenant of ROSTER.slice(0, 4)) play.hear({ type: 'accept', tenant });
    play.tick(299);
    expect(play.state.phase).toBe('proposed');
    play.tick(1);
    expect(play.state.phase).toBe('running');
  });
  test('may come first; then enough must accept', () => {
    const play = unwitnessed();
    play.hear({ type: 'witnessed' });
    play.hear({ type: 'witnessed' }); // another note over the same plan changes nothing
    expect(play.state).toMatchObject({ phase: 'proposed', witnessed: true });
    for (const tenant of ROSTER) play.hear({ type: 'accept', tenant });
    expect(play.state.phase).toBe('running');
  });
  test('that never come stop the task, and the reason is theirs', () => {
    const play = unwitnessed();
    for (const tenant of ROSTER) play.hear({ type: 'accept', tenant });
    play.tick(RULES.patienceMs);
    expect(play.state).toMatchObject({ phase: 'stopped', reason: 'not-witnessed' });
  });
  test('over the end finish the task; until then it neither goes on nor can be stopped', () => {
    const play = keyed();
    const last = {
      ...(play.state as Extract<TaskState, { phase: 'running' }>),
      steps: RULES.steps,
      conversation: undefined,
    };
    expect(nextMove(last, RULES, new Set(ROSTER), () => [])).toEqual({ type: 'complete' });
    const complete = advance(last, { type: 'completed', entry: 99 }, RULES);
    expect(nextMove(complete, RULES, new Set(ROSTER), () => [])).toBeUndefined();
    expect(decide(complete, { type: 'tick', at: 1e12, present: new Set() }, RULES)).toEqual([]);
    expect(() => advance(complete, { type: 'stopped', reason: 'stopped-by-operator' }, RULES)).toThrow('cannot follow');
    expect(decide(complete, { type: 'witnessed' }, RULES)).toEqual([{ type: 'finished' }]);
    expect(decide(last, { type: 'witnessed' }, RULES)).toEqual([]);
    expect(() => advance(last, { type: 'finished' }, RULES)).toThrow('cannot follow');
    expect(advance(complete, { type: 'finished' }, RULES)).toMatchObject({ phase: 'finished', end: 99 });
  });
});

describe('a fact that cannot be is a damaged store:', () => {
  const facts = (play: TaskPlay): TaskFact[] => play.facts;
  const head = EMPTY_LEDGER;
  const charged = inRound({ type: 'charged', sumHash: 'x' });
  test.each<[string, TaskFact[], TaskFact]>([
    ['proposed twice', facts(keyed()), { type: 'proposed', at: 0, model: '', entry: 0 }],
    ['accepted twice', facts(keyed()), { type: 'accepted', tenant: 'amber' }],
    ['begun twice', facts(keyed()), { type: 'begun' }],
    ['a round before the task has begun', [], { type: 'round-begun', round: 1, present: ROSTER, head }],
    ['a round while another is held', facts(keyed()), { type: 'round-begun', round: 2, present: ROSTER, head }],
    ['an epoch while a round is held', facts(keyed()), { type: 'epoch-begun', epoch: 2, members: ROSTER, head }],
    ['a round fact outside of a round', facts(new TaskPlay()), charged],
    ['a charge in a stage that is asked', facts(keyed()), charged],
    ['an opening without a charge', facts(keyed()), { type: 'opened', sumHash: 'sum of round 1', model: 'm' }],
    ['an end before the last step', facts(keyed()), { type: 'finished' }],
  ])('%s', (_, before, fact) => {
    expect(() => replay(before, RULES)).not.toThrow();
    expect(() => replay([...before, fact], RULES)).toThrow('event store damaged');
  });

  test('anything after the end', () => {
    const play = keyed();
    play.take({ type: 'stopped', reason: 'stopped-by-operator' });
    expect(() => play.take({ type: 'accepted', tenant: 'ebony' })).toThrow('event store damaged');
  });

  test('an opening of another sum than was charged', () => {
    const play = keyed();
    play.everyoneAnswers();
    play.everyoneAnswers();
    play.everyoneAnswers(['amber', 'blue', 'coral']);
    play.take(inRound({ type: 'said', tenant: 'dun', hash: 'h' }), inRound({ type: 'closed' }));
    play.take(inRound({ type: 'concluded' }));
    expect(() => play.take({ type: 'opened', sumHash: 'another', model: 'm' })).toThrow('event store damaged');
    play.take({ type: 'opened', sumHash: 'sum of round 1', model: 'm' });
  });

  test('one charge more than the noise was calibrated for', () => {
    const rules = { ...RULES, openings: 0 };
    const play = keyed();
    play.everyoneAnswers();
    for (const tenant of ROSTER) play.take(inRound({ type: 'said', tenant, hash: 'h' }));
    play.take(inRound({ type: 'closed' }));
    expect(() => replay([...play.facts, charged], rules)).toThrow('calibrated for 0 openings');
  });
});
