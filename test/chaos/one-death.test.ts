import { beforeAll, expect, test } from 'vitest';
import { type Backend, startBackend } from '../../models/backend.ts';
import { toySettings } from '../support-client/toy-task.ts';
import { runCourse, TENANTS } from './course.ts';
import type { Kill } from './fate.ts';
import { verdictOn } from './verdict.ts';

/*
 * Deaths of a client that cost something when it starts again as if it had lived: those of the matrix (`crash-matrix.test.ts`)
 * that are named after what they are about.
 */
let backend: Backend;
beforeAll(async () => {
  backend = await startBackend('cpu');
});

/** One task in the clear, in which bob dies once. */
async function withOneDeath(kill: Omit<Kill, 'who'>) {
  const settings = toySettings({ protocol: 'plain', rounds: 1 });
  const course = await runCourse({ settings, kills: [{ ...kill, who: 'bob' }], backend, patience: 30_000 });
  try {
    expect(course.deaths).toHaveLength(1);
    expect(await verdictOn(course, backend)).toMatchObject({ problems: [], isFinished: true });
    return course;
  } finally {
    course.remove();
  }
}

test('a client that dies before it has kept its model is told of the end again, and keeps it', async () => {
  const { models } = await withOneDeath({ at: 'keep its model', when: 'before' });
  expect(models.map(({ tenant }) => tenant).sort()).toEqual(TENANTS);
});

test('a client that dies between paying for its contribution and sending it misses that round, and not the task', async () => {
  const { events, models } = await withOneDeath({ at: 'send part 1/1/contribute/1', when: 'before' });
  expect(events.filter(({ type }) => type === 'declined')).toEqual([]);
  expect(models.map(({ tenant }) => tenant).sort()).toEqual(TENANTS);
});
