import Fastify from 'fastify';
import { expect, test } from 'vitest';
import { EXIT, exitOf } from '../../aggregation/exit.ts';
import { answerWithProblems } from '../../coordinator/http/problem.ts';

test('a full disk is told as one, with a status that scripts see as storage, and nothing of the inside', async () => {
  const app = Fastify();
  answerWithProblems(app);
  app.get('/full', () => {
    throw Object.assign(new Error('database or disk is full at /var/lib/parley'), { errcode: 13 });
  });
  app.get('/bug', () => {
    throw new Error('undefined is not a function at /var/lib/parley');
  });
  const full = await app.inject('/full');
  expect(full.statusCode).toBe(507);
  expect(full.json()).toMatchObject({
    title: 'Storage',
    detail: expect.stringContaining('nothing of this was recorded'),
  });
  expect(exitOf(full.statusCode)).toBe(EXIT.storage);
  const bug = await app.inject('/bug');
  expect(bug.statusCode).toBe(500);
  expect(exitOf(bug.statusCode)).toBe(EXIT.failed);
  expect(full.body + bug.body).not.toContain('/var/lib');
  await app.close();
});
