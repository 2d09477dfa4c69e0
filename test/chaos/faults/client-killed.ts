import { setTimeout as sleep } from 'node:timers/promises';
import { TENANTS } from '../course.ts';
import type { Status } from '../killable-coordinator.ts';
import type { RealFederation } from '../real-federation.ts';
import { type Fault, upTo } from './fault.ts';

/** One client, at some moment of the task. */
export const clientKilled: Fault = {
  name: 'client killed at random',
  points: (commits) => upTo(Math.ceil(commits / 2)),
  begin: async (federation, _, commits, random) => killsOne(federation, commits, random),
};

/** One client and the coordinator, each at some moment. */
export const bothKilled: Fault = {
  name: 'client and coordinator killed at random',
  points: (commits) => upTo(Math.ceil(commits / 2)),
  async begin(federation, _, commits, random) {
    const when = random() < 0.5 ? 'before' : 'after';
    await federation.strikes([{ when, nth: 1 + Math.floor(random() * commits) }]);
    const end = killsOne(federation, commits, random);
    return async () => {
      await end();
      await federation.strikes([]);
    };
  },
};

/** Kills a client when so much of the task is done as chance will have it, and a little later. */
function killsOne(federation: RealFederation, commits: number, random: () => number): () => Promise<void> {
  const unit = TENANTS[Math.floor(random() * TENANTS.length)]!;
  const [share, pauseMs] = [random(), random() * 20];
  let isOver = false;
  const watching = (async () => {
    const before = await federation.ask<Status>({ ask: 'status' });
    const due = Math.floor(share * commits);
    for (let done = 0; done < due && !isOver; await sleep(2)) {
      const { commits: now } = await federation.ask<Status>({ ask: 'status' });
      done = now >= before.commits ? now - before.commits : due; // counted anew: the coordinator has died meanwhile
    }
    await sleep(pauseMs);
    if (!isOver) federation.killUnit(unit);
  })();
  return async () => {
    isOver = true;
    await watching;
  };
}
