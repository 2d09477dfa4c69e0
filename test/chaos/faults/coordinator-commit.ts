import { type Fault, upTo } from './fault.ts';

const at = (when: 'before' | 'after'): Fault => ({
  name: `coordinator killed ${when} a commit`,
  points: upTo,
  async begin(federation, nth) {
    await federation.strikes([{ when, nth }]);
    return async () => federation.strikes([]);
  },
});

/** Nothing of the commit is on disk. */
export const beforeCommit: Fault = at('before');
/** All of it is, and nobody was told. */
export const afterCommit: Fault = at('after');
