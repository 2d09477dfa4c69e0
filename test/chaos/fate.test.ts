import { expect, test } from 'vitest';
import { Fate } from './fate.ts';

/** Which times of all that happens to bob he dies. */
function deaths(fate: Fate, ...happens: string[]): string[] {
  fate.letLoose();
  for (const what of happens) fate.strikes(fate.begins('bob', what), 'after');
  return fate.deaths.map(({ what, nth }) => `${what} ${nth}`);
}

test('who is to die when a thing happens for the second time does not die of the first', () => {
  for (const at of ['write addLedger', 'send say contribute/1']) {
    const [first, second] = at.startsWith('send')
      ? ['send say 1/1/contribute/1', 'send say 1/2/contribute/1']
      : [at, at];
    const fate = new Fate([{ who: 'bob', at, nth: 2, when: 'after' }]);
    expect(deaths(fate, first, second, second)).toEqual([`${second} 2`]);
  }
});

test('what has a name and a number of its own happens once', () => {
  const fate = new Fate([{ who: 'bob', at: 'send say 1/2/contribute/1', when: 'after' }]);
  expect(deaths(fate, 'send say 1/1/contribute/1', 'send say 1/2/contribute/1')).toEqual([
    'send say 1/2/contribute/1 2',
  ]);
});
