import { expect, test } from 'vitest';
import type { TaskFact } from '../../coordinator/task.ts';
import { phasesOf, quantile } from './load/phases.ts';

const head = { size: 0, hash: '' };
const asked = (stage: number, at: number): TaskFact => ({
  type: 'in-round',
  fact: { type: 'asked', stage, attempt: 1, asked: [], at },
});
const round = (n: number): TaskFact => ({ type: 'round-begun', round: n, present: [], head });

test('a stage lasts until the next question, a round until the next round’s first', () => {
  const facts: TaskFact[] = [
    { type: 'epoch-begun', epoch: 1, members: [], head },
    ...[asked(0, 100), asked(1, 130)],
    ...[round(1), asked(0, 200), asked(1, 250)],
    ...[round(2), asked(0, 300), asked(1, 380)],
  ];
  const { stages, rounds } = phasesOf(facts, ['ready', 'contribute']);
  expect([...stages]).toEqual([
    ['keys', [30, 70]],
    ['ready', [50, 80]],
    ['contribute', [50]],
  ]);
  expect(rounds).toEqual([100]);
});

test('a quantile is the least value that the share is no greater than', () => {
  const values = [9, 1, 5, 3, 7];
  expect([0, 0.2, 0.21, 0.5, 0.99, 1].map((share) => quantile(values, share))).toEqual([1, 1, 3, 5, 9, 9]);
});
