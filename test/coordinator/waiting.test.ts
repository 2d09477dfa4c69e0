import { expect, test } from 'vitest';
import { waitingInWords, waitingOf } from '../../coordinator/waiting.ts';
import { ROSTER, RULES, TaskPlay } from '../support/task-play.ts';

const waitingIn = (play: TaskPlay) => waitingOf(play.state, play.rules, play.present, play.now);

function words(play: TaskPlay): string {
  const waiting = waitingIn(play);
  return waiting === undefined ? 'nothing' : waitingInWords(waiting);
}

test('a task says what it waits for, whom, and until when, from its plan to its end', () => {
  const play = new TaskPlay({ ...RULES, stragglerMs: 400, steps: 1 });
  play.hear({ type: 'accept', tenant: 'amber' });
  expect(words(play)).toBe(
    'proposed: 1 of 5 accepted, at least 4 must, and cosign it, stops in 3 s at the latest; not yet: blue, coral, dun, ebony',
  );
  for (const tenant of ROSTER) play.hear({ type: 'accept', tenant });
  expect(words(play)).toBe(
    'keys (announce): 0 of 5 are ready, closes in 1 s at the latest; not yet: amber, blue, coral, dun, ebony',
  );
  while (play.state.phase === 'running' && !play.state.keyed) play.everyoneAnswers();
  expect(waitingIn(play)).toMatchObject({
    for: 'stage',
    round: 1,
    stage: 'ready',
    gate: 'prepare',
    answered: 0,
    fewest: 4,
  });
  play.everyoneAnswers(['amber', 'blue', 'coral']);
  expect(waitingIn(play)).toMatchObject({ answered: 3, asked: 5, on: ['dun', 'ebony'], until: play.now + 1000 });
  play.everyoneAnswers(['dun']); // its minimum
  expect(waitingIn(play)).toMatchObject({ answered: 4, until: play.now + 400, leftMs: 400 });
  play.tick(400);
  expect(words(play)).toBe(
    'round 1: 0 of 4 contributed, closes in 1 s at the latest; not yet: amber, blue, coral, dun',
  );
  play.everyoneAnswers();
  expect(words(play)).toMatch(/^round 1: 0 of 4 sent what opens it/);
  play.everyoneAnswers();
  expect(play.state.phase).toBe('finished');
  expect(words(play)).toBe('nothing');
});

test('a task that has too few tenants says how many are there, and how long it waits', () => {
  const play = new TaskPlay();
  for (const tenant of ROSTER.slice(0, 2)) play.present.delete(tenant);
  for (const tenant of ROSTER) play.hear({ type: 'accept', tenant });
  play.now += 500;
  expect(words(play)).toBe('3 of 5 are there, at least 4 must be, stops in 3 s at the latest; not yet: amber, blue');
  expect(waitingIn(play)?.leftMs).toBe(2500);
});

test('a task whose end is to be cosigned waits as long as that takes', () => {
  const play = new TaskPlay({ ...RULES, steps: 1 });
  for (const tenant of ROSTER) play.hear({ type: 'accept', tenant });
  if (play.state.phase !== 'running') throw new Error('it runs');
  const waiting = waitingOf({ ...play.state, end: 99 }, play.rules, play.present, play.now)!;
  expect(waiting).toMatchObject({ for: 'end' });
  expect(waiting).not.toHaveProperty('until');
  expect(waitingInWords(waiting)).toBe('done: waits until enough tenants have cosigned the end');
});
