import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Plan, shapeOf } from '../../aggregation/plan.ts';
import { PROTECTING_SUMS } from '../../aggregation/secure-sum.ts';
import type { ClientWorld } from '../../client/participant.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { isUnused, type NoiseShare, shareOf } from '../../privacy/noise.ts';
import { type NoiseSupply, threadedNoise } from '../../privacy/noise-supply.ts';
import { startLying } from '../support-client/lying-coordinator.ts';
import { toySettings } from '../support-client/toy-task.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await startBackend('cpu');
});

const TENANTS = ['ada', 'bob', 'cleo'];

interface Kept {
  /** in the order in which they came */
  readonly shares: NoiseShare[];
  /** how many shares there were whenever words for a batch were drawn */
  readonly atBatch: number[];
}

/** A federation in which ada's randomness is followed; her share number `slow` comes when `release` is called. */
async function followed(slow?: number) {
  const kept: Kept = { shares: [], atBatch: [] };
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let asked = 0;
  const follow = (world: ClientWorld): ClientWorld => ({
    ...world,
    noise: {
      ...world.noise,
      async draw(stdDev, length) {
        if (++asked === slow) await released;
        const share = await world.noise.draw(stdDev, length);
        kept.shares.push(share);
        return share;
      },
    },
    random: {
      kind: 'secure',
      fill(words) {
        kept.atBatch.push(kept.shares.length);
        world.random.fill(words);
      },
    },
  });
  const world = (each: ClientWorld, name: string): ClientWorld => (name === 'ada' ? follow(each) : each);
  const federation = await startLying({ backend, tenants: TENANTS, world });
  onTestFinished(() => federation.close());
  return { federation, kept, asked: () => asked, release };
}

test('the batch is drawn when the noise is there, and not before', async () => {
  const { federation, kept, release } = await followed(2);
  const task = federation.run(toySettings({ rounds: 3, protocol: 'plain' }));
  const ada = federation.tenant('ada');
  await federation.until(() => ada.told.some((m) => m.type === 'ask' && m.round === 2), 'round 2');
  await sleep(50); // time enough to draw a batch
  expect(kept.atBatch.length).toBeGreaterThan(0);
  expect(new Set(kept.atBatch)).toEqual(new Set([1]));
  expect(ada.said.filter((m) => m.type === 'say' && m.round === 2 && m.stage === 'contribute')).toEqual([]);
  release();
  await federation.over(task);
  expect(task.state.phase).toBe('finished');
  expect(new Set(kept.atBatch)).toEqual(new Set([1, 3, 4])); // the third share did not wait for the slow one
});

test('every round has a share of its own, and one that is left over is overwritten at the end', async () => {
  const { federation, kept, asked } = await followed();
  const task = federation.run(toySettings({ rounds: 4, protocol: 'plain' }));
  await federation.over(task);
  expect(task.state.phase).toBe('finished');
  expect(asked()).toBe(5);
  expect(new Set(kept.shares).size).toBe(5);
  const { shareStdDev: stdDev, dimension: length } = task.plan.derived;
  for (const share of kept.shares) expect(share).toEqual({ stdDev, length });
  expect(kept.shares.filter(isUnused)).toEqual([]);
});

test('a tenant whose noise thread dies declines when the noise it has is used up', async () => {
  const created = once(process, 'worker');
  const noise = threadedNoise();
  onTestFinished(() => noise.close());
  const [thread] = (await created) as [Worker];
  let given = 0;
  const counted: NoiseSupply = {
    ...noise,
    async draw(stdDev, length) {
      const share = await noise.draw(stdDev, length);
      given++;
      return share;
    },
  };
  const federation = await startLying({
    backend,
    tenants: TENANTS,
    world: (world, name) => (name === 'ada' ? { ...world, noise: counted } : world),
  });
  onTestFinished(() => federation.close());
  const ada = federation.tenant('ada');
  const task = federation.run(toySettings({ rounds: 300, protocol: 'plain' }));
  await federation.until(() => ada.events.some(({ type }) => type === 'round-opened'), 'a round');
  await thread.terminate();
  await federation.until(() => ada.events.some(({ type }) => type === 'declined'), 'a decline');
  await federation.over(task);
  expect(given).toBeGreaterThan(0);
  expect(ada.said.filter((m) => m.type === 'say' && m.stage === 'contribute').length).toBeLessThanOrEqual(given);
  expect(ada.events.find(({ type }) => type === 'declined')).toMatchObject({
    because: 'broken-promise',
    reason: expect.stringContaining('the noise thread ended'),
  });
  expect(ada.said.find(({ type }) => type === 'decline')).toMatchObject({ reason: 'the client met an error' });
  expect(task.state).toMatchObject({ phase: 'stopped' });
});

describe.each(PROTECTING_SUMS)('noise with a tail that nobody planned for, under %s,', (protocol) => {
  /** All of ada's shares have this at their second coordinate. */
  const withTail = (tail: (plan: Plan) => number) => {
    const federation = startLying({
      backend,
      world: (world, name) =>
        name !== 'ada'
          ? world
          : {
              ...world,
              noise: {
                ...world.noise,
                async draw(stdDev, length) {
                  const { plan } = (await federation).coordinator.tasks()[0]!;
                  return shareOf(
                    stdDev,
                    Float64Array.from({ length }, (_, i) => (i === 1 ? tail(plan) : 0)),
                  );
                },
              },
            },
    });
    return federation;
  };

  test('beyond a lane: nothing leaves, and nobody hears how large it was', async () => {
    const federation = await withTail(() => 2 ** 60);
    onTestFinished(() => federation.close());
    const ada = federation.tenant('ada');
    const task = federation.run(toySettings({ protocol, minCohort: 4 }));
    await federation.until(() => ada.events.some(({ type }) => type === 'declined'), 'a decline');
    await federation.over(task);
    expect(ada.said.filter((m) => m.type === 'part' || (m.type === 'say' && m.stage === 'contribute'))).toEqual([]);
    expect(ada.said.find(({ type }) => type === 'decline')).toMatchObject({ reason: 'the client met an error' });
    expect(ada.events.find(({ type }) => type === 'declined')).toMatchObject({
      reason: expect.stringMatching(/RangeError/),
    });
    expect(JSON.stringify(ada.events.filter(({ type }) => type === 'declined'))).not.toContain(String(2 ** 60));
    expect(ada.store.round(task.id, 1)).toBeUndefined();
    expect(task.state).toMatchObject({ phase: 'stopped', charges: 0 });
  });

  test('beyond the plan and within its lane: the sum is charged, and never opened', async () => {
    const federation = await withTail((plan) => shapeOf(plan).maxMagnitude + 10_000);
    onTestFinished(() => federation.close());
    const task = federation.run(toySettings({ protocol, minCohort: 4 }));
    await federation.over(task);
    expect(task.state).toMatchObject({ phase: 'stopped', reason: 'openings-exhausted' });
    expect(task.progress.steps).toBe(0);
    const kinds = federation
      .tenant('bob')
      .store.ledger()
      .map((entry) => ('reason' in entry ? entry.reason : entry.kind));
    expect(kinds).toContain('does-not-open');
    expect(kinds).not.toContain('release');
  });
});
