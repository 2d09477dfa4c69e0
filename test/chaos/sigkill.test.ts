import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { toySettings } from '../support-client/toy-task.ts';
import type { Strike } from './killable-coordinator.ts';
import { startRealFederation } from './real-federation.ts';
import { realVerdict } from './real-verdict.ts';

/*
 * Real processes and real SIGKILLs: a coordinator that dies ten times in one task, before and after commits, from its proposal to
 * its end. Every point of it, and clients too: `npm run chaos`.
 */
test('a coordinator that is killed ten times in a task loses nothing, and opens nothing twice', {
  timeout: 400_000,
}, async () => {
  const federation = await startRealFederation();
  onTestFinished(async () => {
    await federation.stop();
    federation.remove();
  });
  const strikes = Array.from({ length: 10 }, (_, i): Strike => ({ when: i % 2 === 0 ? 'after' : 'before', nth: 5 }));
  await federation.strikes(strikes);
  const task = await federation.run(
    toySettings({ rounds: 3, timing: { stageTimeoutMs: 60_000, patienceMs: 60_000 } }),
    360_000,
  );
  await federation.stop();
  expect(federation.deaths).toEqual({ coordinator: 10, clients: 0 });
  const verdict = await realVerdict(federation, task);
  expect(verdict).toMatchObject({
    lost: [],
    counted: [],
    other: [],
    isFinished: true,
    opened: 3,
    abandoned: 0,
    releases: 3,
  });
});

test('a fault that there is no file for is said to be none', () => {
  const chaos = join(import.meta.dirname, 'chaos.ts');
  const { status, stderr } = spawnSync(process.execPath, [chaos, '--only', 'invented'], { encoding: 'utf8' });
  expect(status).toBe(2);
  expect(stderr).toContain('there is no fault called invented');
});
