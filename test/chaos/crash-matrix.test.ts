import { beforeAll, describe, expect, test } from 'vitest';
import { SECURE_SUMS, type SecureSumName } from '../../aggregation/secure-sum.ts';
import type { Settings } from '../../aggregation/settings.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { toySettings } from '../support-client/toy-task.ts';
import { type Course, runCourse, TENANTS } from './course.ts';
import type { Death, Kill } from './fate.ts';
import { type Attempt, clientDeaths, coordinatorDeaths, deathsAtRandom, deathsLeft, LOSS, seeded } from './matrix.ts';
import { verdictOn } from './verdict.ts';

/*
 * Processes end at every single thing that they do: the coordinator before and after every commit, a client after all it writes,
 * receives and sends, both at random. They start again on what is on their disks, nobody helps, no time passes, and the task is
 * finished: with the sums that were acknowledged, each opened once, each paid for. All of it with real processes: `npm run chaos`.
 */
let backend: Backend;
beforeAll(async () => {
  backend = await startBackend('cpu');
});

const taskOf = (protocol: SecureSumName, rounds = 1) => toySettings({ protocol, rounds });

/** Runs a task, judges it, and hands on what is to be known of it. */
async function judged(
  protocol: SecureSumName,
  kills: readonly Kill[],
  rounds = 1,
  settings = taskOf(protocol, rounds),
) {
  const course = await runCourse({ settings, kills, backend });
  try {
    const { problems, books, isFinished } = await verdictOn(course, backend);
    const abandoned = books.rounds.filter((round) => round.abandoned !== undefined).length;
    return { course, problems, isFinished, abandoned, charges: books.rounds.filter(({ charged }) => charged).length };
  } finally {
    course.remove();
  }
}

/** @returns who died, and what is wrong, by attempt */
async function tried(protocol: SecureSumName, attempts: Iterable<Attempt>, mayWearOut = false, rounds = 1) {
  const deaths: Death[] = [];
  const wrong: { kills: readonly Kill[]; problems: readonly string[] }[] = [];
  let finished = 0;
  for (const { kills } of attempts) {
    const outcome = await judged(protocol, kills, rounds).catch((error: unknown) => error as Error);
    if (outcome instanceof Error) {
      wrong.push({ kills, problems: [outcome.message, String(outcome.cause)] });
      continue;
    }
    deaths.push(...outcome.course.deaths);
    if (outcome.isFinished) finished++;
    const problems = outcome.isFinished || mayWearOut ? outcome.problems : ['not finished', ...outcome.problems];
    if (problems.length > 0) wrong.push({ kills, problems });
  }
  return { deaths, wrong, finished };
}

describe.each(SECURE_SUMS)('under %s', (protocol) => {
  let lossy: Course;
  let quiet: Course;

  test('a run in which nobody dies, and one in which two are lost', async () => {
    const first = await judged(protocol, []);
    expect(first).toMatchObject({ problems: [], isFinished: true, abandoned: 0, charges: 1 });
    const second = await judged(protocol, LOSS);
    expect(second).toMatchObject({ problems: [], isFinished: true, charges: 1 });
    // in the clear nobody waits for anybody
    expect(second.abandoned).toBe(protocol === 'plain' ? 0 : 1);
    [quiet, lossy] = [first.course, second.course];
  });

  test('a coordinator may end at every commit', { timeout: 600_000 }, async () => {
    const { deaths, wrong } = await tried(protocol, coordinatorDeaths(lossy.moments, false));
    expect(wrong).toEqual([]);
    for (const when of ['before', 'after'] as const) {
      const died = deaths.filter((death) => death.who === 'coordinator' && death.when === when);
      const kill = { who: 'coordinator', when };
      const more = await tried(protocol, deathsLeft(lossy.moments, died, kill, LOSS));
      expect(more.wrong).toEqual([]);
      expect([...deathsLeft(lossy.moments, [...died, ...more.deaths], kill)]).toEqual([]);
    }
  });

  test('a client may end whatever it has just done', { timeout: 600_000 }, async () => {
    const { deaths, wrong } = await tried(protocol, clientDeaths(quiet.moments, false));
    expect(wrong).toEqual([]);
    const kill = { who: 'bob', when: 'after' } as const;
    const more = await tried(protocol, deathsLeft(quiet.moments, deaths, kill));
    expect(more.wrong).toEqual([]);
    expect([...deathsLeft(quiet.moments, [...deaths, ...more.deaths], kill)]).toEqual([]);
  });

  test('all of them may end at random', { timeout: 300_000 }, async () => {
    const random = seeded(20261122);
    const attempts = Array.from({ length: 4 }, () => deathsAtRandom(random, lossy.moments, TENANTS));
    const { wrong, finished } = await tried(protocol, attempts, true, 2);
    expect(wrong).toEqual([]);
    expect(finished).toBeGreaterThan(1);
  });
});

/** Vectors of two parts, in the clear. */
const longTask = (): Settings => {
  const { work, ...toy } = taskOf('plain');
  if (work.kind !== 'train') throw new Error('the toy task trains');
  return { ...toy, work: { ...work, model: { kind: 'mlp', hidden: [380, 380], seed: 1 } } };
};

test('a coordinator that loses power has parts of vectors sent again that it had said it has, and no others', {
  timeout: 300_000,
}, async () => {
  const kills = [1, 3].map((nth): Kill => ({ who: 'coordinator', at: 'putPart', nth, when: 'power' }));
  const { course, problems, isFinished } = await judged('plain', kills, 1, longTask());
  expect({ problems, isFinished, deaths: course.deaths.length }).toEqual({ problems: [], isFinished: true, deaths: 2 });
  const parts = course.said.flatMap((message) => (message.type === 'part' ? [`${message.by} ${message.at}`] : []));
  expect(parts.length).toBeGreaterThan(2 * TENANTS.length); // some went twice
  expect(new Set(parts).size).toBe(2 * TENANTS.length);
});
