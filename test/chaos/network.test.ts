import { beforeAll, describe, expect, test } from 'vitest';
import { shapeOf } from '../../aggregation/plan.ts';
import { protocolNamed } from '../../aggregation/protocols.ts';
import { PART_BYTES } from '../../aggregation/wire.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { startFaultyProxy } from '../support/faulty-proxy.ts';
import { FIVE, smallTask } from '../support/small-task.ts';
import { startNetworked } from './network/federation.ts';
import { NETWORK_FAULTS } from './network/kinds.ts';
import { runTask } from './network/trial.ts';
import { meetUnder } from './network/under.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await startBackend('cpu');
});

// whoever is lost has long to come back: a round that is given up was not resumed
const timing = { stageTimeoutMs: 45_000, graceMs: 30_000, patienceMs: 60_000 };
const PROTOCOLS = ['threshold-he', 'masking', 'lattice-mask'] as const;

const finished = (rounds: number) => ({ phase: 'finished', rounds, abandoned: 0, releases: rounds, violations: [] });

describe('sessions resume where they were, and no round is given up, with', () => {
  test.concurrent.each(NETWORK_FAULTS.map((fault, i) => [fault.name, fault, i] as const))('%s', async (_, fault, i) => {
    const { federation, faults, close } = await meetUnder(fault, { names: FIVE, backend, seed: i + 2, scale: 0.01 });
    const settings = smallTask(PROTOCOLS[i % 3]!, { rounds: 3, timing });
    const outcome = await runTask(federation, settings);
    expect(outcome).toMatchObject(finished(3));
    expect(faults()).toBeGreaterThan(0);
    await close();
  });
});

test('an upload resumes at the last part that was acknowledged, as often as it is cut, in the same round', async () => {
  const window = 2 * PART_BYTES;
  const cuts = 2;
  let proxy: Awaited<ReturnType<typeof startFaultyProxy>> | undefined;
  const federation = await startNetworked({
    names: FIVE,
    backend,
    async via(tenant, port) {
      const url = `http://127.0.0.1:${port}`;
      if (tenant !== 'amber') return url;
      // each cut comes later than the grace after the question: what counts is when the connection was lost
      const weather = (connection: number) => ({
        bytesPerSecond: 2 ** 21,
        ...(connection < cuts ? { fault: { how: 'reset' as const, afterBytes: 2_700_000 } } : {}),
      });
      proxy = await startFaultyProxy({ to: () => port, weather });
      return `http://127.0.0.1:${proxy.port}`;
    },
  });
  for (const name of FIVE) federation.connect(name);
  await federation.until(() => federation.serving.coordinator.present().size === 5, 'their meeting');
  const small = smallTask('masking', { rounds: 1, timing: { ...timing, graceMs: 1_000 } });
  if (small.work.kind !== 'train') throw new Error('it trains');
  const work = { ...small.work, model: { kind: 'mlp', hidden: [1024, 1024], seed: 1 } as const, averageLast: 1 };
  const outcome = await runTask(federation, { ...small, work });
  expect(outcome).toEqual({ ...finished(1), contributions: [5] });
  expect(proxy!.passages.filter(({ fault }) => fault === 'reset')).toHaveLength(cuts);
  const { plan } = federation.serving.coordinator.tasks()[0]!;
  const bytes = protocolNamed('masking').vectorBytes('contribute', shapeOf(plan));
  expect(bytes).toBeGreaterThan(3 * PART_BYTES);
  expect(proxy!.up).toBeGreaterThan(bytes);
  expect(proxy!.up).toBeLessThan(bytes + cuts * window + 100_000);
  await federation.close();
  await proxy!.close();
});
