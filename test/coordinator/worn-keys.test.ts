import { describe, expect, test } from 'vitest';
import { thresholdHe } from '../../aggregation/threshold-he/protocol.ts';
import type { TaskRules } from '../../coordinator/task.ts';
import { ROSTER, RULES, TaskPlay } from '../support/task-play.ts';

const within = (openingsPerEpoch: number): TaskPlay => {
  const play = new TaskPlay({ ...RULES, openingsPerEpoch } satisfies TaskRules);
  for (const tenant of ROSTER) play.hear({ type: 'accept', tenant });
  return play;
};
const toTheEnd = (play: TaskPlay): void => {
  for (let turn = 0; turn < 60 && play.state.phase === 'running'; turn++) play.everyoneAnswers();
};
/** What there was of epochs and sums, in order. */
const story = (play: TaskPlay): string =>
  play.facts.map(({ type }) => ({ 'epoch-begun': 'e', opened: 's' })[type as string] ?? '').join('');

describe('keys that may open only so often', () => {
  test.each([
    [Number.POSITIVE_INFINITY, 'essss'],
    [5, 'essss'],
    [4, 'essses'],
    [3, 'essess'],
    [2, 'eseseses'],
    [1, 'eseseses'],
    [0, 'eseseses'], // a limit below one sum is never kept by waiting
  ])('at most %d times are made anew before they would be asked again: %s', (limit, expected) => {
    const play = within(limit);
    toTheEnd(play);
    expect(story(play)).toBe(expected);
    expect(play.state).toMatchObject({ phase: 'finished', charges: 4 });
  });

  test('count both sets of openers that one sum was asked of, and a restart counts the same', () => {
    const play = within(3);
    for (let stage = 0; stage < 4; stage++) play.everyoneAnswers(); // keys, ready, contributions
    play.everyoneAnswers(['blue', 'coral', 'dun']);
    play.hear({ type: 'cannot', tenant: 'amber', epoch: 1, round: 1 });
    expect(play.state).toMatchObject({ phase: 'running', askedToOpen: 2 });
    play.restart();
    expect(play.state).toMatchObject({ phase: 'running', askedToOpen: 2 });
    play.everyoneAnswers();
    expect(play.state).toMatchObject({ phase: 'running', steps: 1, epoch: 2, askedToOpen: 0 });
  });

  test('are worn before a tenant under them refuses', () => {
    const shape = {
      ...{ dimension: 2 ** 20, tenants: 5, threshold: 3, minCohort: 3, colluders: 0 },
      maxMagnitude: 1000,
    };
    expect(thresholdHe.openingsPerEpoch(shape)).toBe(2 ** 34 / 2 ** 19);
    expect(thresholdHe.openingsPerEpoch({ ...shape, keyAgreement: 'x25519-ml-kem-768' })).toBe(2 ** 30 / 2 ** 19);
    expect(thresholdHe.openingsPerEpoch({ ...shape, maxMagnitude: 2 ** 30 })).toBe(2 ** 34 / 2 ** 20);
    expect(thresholdHe.openingsPerEpoch({ ...shape, dimension: 3 })).toBe(2 ** 34 / 4096); // a polynomial is opened whole
  });
});
