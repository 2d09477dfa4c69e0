import type { Fault } from './fault.ts';

/** Killed again as soon as it has done a little, all through the task. */
export const again: Fault = {
  name: 'coordinator killed again and again',
  points: () => [1, 2],
  async begin(federation, point, commits) {
    const when = (i: number): 'before' | 'after' => ((i + point) % 2 === 0 ? 'before' : 'after');
    const each = 5 + point;
    const count = Math.ceil(commits / (each - 1));
    await federation.strikes(Array.from({ length: count }, (_, i) => ({ when: when(i), nth: each })));
    return async () => federation.strikes([]);
  },
};
