import { describe, expect, test } from 'vitest';
import type { TenantId } from '../../aggregation/secure-sum.ts';
import { ROSTER, TaskPlay } from '../support/task-play.ts';

/** Three of these open; the others contribute and never do. */
const COMMITTEE: readonly TenantId[] = ['amber', 'blue', 'coral', 'dun'];
const openersIn = (present: readonly TenantId[]): readonly TenantId[] => {
  const able = COMMITTEE.filter((name) => present.includes(name));
  return able.length < 3 ? [] : able.slice(0, 3);
};

const keyed = (openers = openersIn): TaskPlay => {
  const play = new TaskPlay(undefined, openers);
  for (const tenant of ROSTER) play.hear({ type: 'accept', tenant });
  play.everyoneAnswers();
  play.everyoneAnswers();
  return play;
};
const facts = (play: TaskPlay) =>
  play.facts.flatMap((fact) => (fact.type === 'in-round' && fact.fact.type !== 'said' ? [fact.fact] : []));
const types = (play: TaskPlay) => play.facts.map(({ type }) => type);

describe('a committee that opens', () => {
  test('is asked though fewer than the ledger’s quorum, and nobody else is', () => {
    const play = keyed();
    for (let stage = 0; stage < 3; stage++) play.everyoneAnswers();
    expect(facts(play).findLast((fact) => fact.type === 'asked' && fact.stage === 2)).toMatchObject({
      asked: COMMITTEE.slice(0, 3),
    });
    expect(types(play)).toContain('opened');
  });

  test('of which too few are ready costs the round and the keys, and no opening', () => {
    const play = keyed((present) => (present.includes('dun') ? openersIn(present) : []));
    play.everyoneAnswers(ROSTER.filter((name) => name !== 'dun')); // which is there, and says nothing
    play.tick(1000);
    expect(facts(play).findLast(({ type }) => type === 'abandoned')).toMatchObject({ reason: 'openers-lost' });
    expect(play.state).toMatchObject({ phase: 'running', charges: 0, epoch: 2, keyed: false });
  });

  test('of which too few are connected between rounds makes way for a new one', () => {
    const play = keyed((present) => (present.includes('dun') ? openersIn(present) : []));
    play.present.delete('dun');
    for (let stage = 0; stage < 3; stage++) play.everyoneAnswers();
    expect(types(play)).toContain('opened');
    expect(play.state).toMatchObject({ phase: 'running', steps: 1, epoch: 2, keyed: false });
    expect(types(play).filter((type) => type === 'round-begun')).toHaveLength(1);
  });
});
