import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { inTests, type Mutation, mutated } from './mutate/mutation.ts';
import { mutations } from './mutate/mutations.ts';
import { judged, type Outcome, runMutations } from './mutate/run-mutations.ts';

/*
 * Every mistake of the list is made by `npm run mutate`. Here: that the list fits the code, that a few of them are caught, and
 * that one which nobody catches would be called so.
 */
const root = fileURLToPath(new URL('..', import.meta.url));
const clip = mutations.find(({ name }) => name === 'forgot-clip')!;

describe('the list of mistakes', () => {
  test.each(mutations)('can make its mistake: $name', (mutation) => {
    const text = readFileSync(`${root}/${mutation.file}`, 'utf8');
    expect(mutated(mutation, text)).not.toBe(text);
    for (const catcher of mutation.caughtBy)
      if (typeof catcher === 'object') expect(existsSync(`${root}/${catcher.file}`), catcher.file).toBe(true);
  });

  test('names each once, in words', () => {
    const names = mutations.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[a-z]+(-[a-z]+)*$/);
  });

  test('is behind the code when what it replaces is gone, or stands there twice', () => {
    expect(() => mutated(clip, 'something else')).toThrow(
      'forgot-clip: what it replaces stands in privacy/clip.ts 0 times',
    );
    expect(() => mutated(clip, `${clip.find}\n${clip.find}`)).toThrow('2 times, not once');
  });
});

test('the few that are tried every time are caught', { timeout: 120_000 }, () => {
  const { stdout, stderr, status } = mutate('--fast', '--json', '--jobs', '1');
  expect(status, stderr).toBe(0);
  const few = mutations.filter(({ fast }) => fast).map(({ name }) => name);
  const outcomes = JSON.parse(stdout) as Outcome[];
  expect(few.length).toBeGreaterThanOrEqual(5);
  expect(outcomes.map(({ name, verdict }) => [name, verdict])).toEqual(few.map((name) => [name, 'caught']));
  expect(outcomes[0]).toMatchObject({
    name: 'forgot-clip',
    by: ['a long vector keeps its direction and gets the clip norm'],
  });
});

test('a name that no mistake has is said to be none', { timeout: 30_000 }, () => {
  const { stderr, status } = mutate('--only', 'invented');
  expect(status).toBe(2);
  expect(stderr).toContain('there is no mistake called invented');
});

describe('a mistake', () => {
  const inClip = inTests('test/privacy/clip.test.ts');
  const harmless: Mutation = { ...clip, replace: `/* nothing */ ${clip.find}`, caughtBy: [inClip] };

  test('that changes nothing survives; one that cannot be judged is not called caught', {
    timeout: 120_000,
  }, async () => {
    const tried = [
      { ...harmless, name: 'harmless' },
      { ...harmless, name: 'never-asked', caughtBy: [inTests(inClip.file, 'no test has this name')] as const },
      { ...harmless, name: 'does-not-load', replace: ') this is no code (' },
    ];
    const seen = await runMutations(tried, { root, jobs: 1 });
    expect(seen.map(({ name, verdict, by: [first] }) => [name, verdict, first])).toEqual([
      ['harmless', 'SURVIVED', inClip.file],
      ['never-asked', 'unjudged', expect.stringContaining('no such test')],
      ['does-not-load', 'unjudged', expect.stringContaining('not a test failed, but the file')],
    ]);
  });

  const [green, red] = [{ colour: 'green' }, { colour: 'red', by: 'a test' }] as const;
  test.each([
    ['whose catcher is red without it is not caught', [red], [red], 'unjudged'],
    ['whose catcher turns red is caught', [red], [green], 'caught'],
    ['that one of two catchers lets pass survives', [red, green], [green, green], 'SURVIVED'],
    ['whose catcher does not end is not caught', [{ colour: 'none', because: 'x' }], [green], 'unjudged'],
  ] as const)('%s', (_, found, before, verdict) => {
    const catchers = ['types', 'audit'] as const;
    const without = new Map(before.map((finding, i) => [catchers[i]!, finding]));
    expect(
      judged(
        found.map((finding, i) => [catchers[i]!, finding] as const),
        without,
      ).verdict,
    ).toBe(verdict);
  });
});

function mutate(...args: string[]): { stdout: string; stderr: string; status: number | null } {
  return spawnSync(process.execPath, [`${root}/test/mutate/mutate.ts`, ...args], { encoding: 'utf8' });
}
