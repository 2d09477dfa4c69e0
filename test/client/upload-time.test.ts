import { expect, onTestFinished, test } from 'vitest';
import type { ClientWorld } from '../../client/participant.ts';
import { startBackend } from '../../models/backend.ts';
import { startLying } from '../support-client/lying-coordinator.ts';
import { toySettings } from '../support-client/toy-task.ts';

const EVERY_MS = 50;

test('contributions leave at whole multiples of the plan’s interval, however long the batch took', async () => {
  let now = 0; // a clock that only batches and waiting move
  const waits: { readonly ms: number; readonly leftAt: number; readonly saidBefore: number }[] = [];
  const contributions = (): number =>
    federation.tenant('ada').said.filter((m) => m.type === 'say' && m.stage === 'contribute').length;
  const slow = (world: ClientWorld): ClientWorld => ({
    ...world,
    clock: () => now,
    random: {
      kind: 'secure',
      fill(words) {
        now += 37 + waits.length;
        world.random.fill(words);
      },
    },
    async sleep(ms) {
      now += ms;
      waits.push({ ms, leftAt: now, saidBefore: contributions() });
    },
  });
  const federation = await startLying({
    backend: await startBackend('cpu'),
    tenants: ['ada', 'bob', 'cleo'],
    world: (world, name) => (name === 'ada' ? slow(world) : world),
  });
  onTestFinished(() => federation.close());
  const task = federation.run(toySettings({ rounds: 3, protocol: 'plain', timing: { uploadEveryMs: EVERY_MS } }));
  await federation.over(task);
  expect(task.state.phase).toBe('finished');
  expect(waits.map(({ saidBefore }) => saidBefore)).toEqual([0, 1, 2]);
  expect(contributions()).toBe(3);
  for (const { ms, leftAt } of waits) {
    expect(leftAt % EVERY_MS).toBe(0);
    expect(ms).toBeGreaterThan(0);
    expect(ms).toBeLessThanOrEqual(EVERY_MS);
  }
  expect(new Set(waits.map(({ ms }) => ms)).size).toBeGreaterThan(1); // not always as long as each other: neither is the work
});
