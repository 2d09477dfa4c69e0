import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createIdentity } from '../../aggregation/identity.ts';
import { type Settings, settingsSchema } from '../../aggregation/settings.ts';
import { type FromCoordinator, PART_BYTES } from '../../aggregation/wire.ts';
import { operatorTokenFile } from '../../coordinator/access/first-token.ts';
import type { TaskView } from '../../coordinator/task-view.ts';
import type { Noised } from '../../privacy/steps.ts';
import { SpeakingTenant } from '../bench/large-task/speaking-tenant.ts';
import { bearer, enrolOverHttp } from '../support/serving.ts';
import { startWorld, type World } from '../support-client/processes.ts';
import { toySettings } from '../support-client/toy-task.ts';

/*
 * One coordinator process, and a model of four megabytes. Four tenants read what they are told; two read 64 KB every few seconds, and
 * one of these sends parts of a vector as fast as its line takes them. A seventh is never there, so that evaluations wait for it. The
 * tests below are one story, told in order.
 *
 * What an unread queue without end would come to stands beside each bound.
 */
const [READERS, SLOW, ROUNDS, EVALUATIONS] = [4, 2, 4, 16];
const MODEL = { kind: 'mlp', hidden: [700, 710] } as const;
const MODEL_MIB = 4;

let made: Noised | undefined;
const numbers = (length: number): Noised =>
  (made ??= Float64Array.from({ length }, (_, i) => (i % 2001) - 1000) as Noised);

const timing = { uploadEveryMs: 1, stageTimeoutMs: 60_000, stragglerMs: 100, graceMs: 200, patienceMs: 600_000 };
const toy = toySettings({ protocol: 'plain', minCohort: READERS, rounds: ROUNDS });
const training: Settings = settingsSchema.parse({ ...toy, work: { ...toy.work, model: MODEL }, timing });

const evaluation = (trainedBy: string, parameters: string, i: number): Settings =>
  settingsSchema.parse({
    ...{ ...toy, name: `evaluation-${i}`, timing },
    work: { kind: 'evaluate', model: MODEL, parameters, trainedBy, bins: 8 },
    secureSum: { ...toy.secureSum, minCohort: READERS + SLOW + 1 },
  });

describe.skipIf(process.platform !== 'linux')('who reads slowly', () => {
  let folder: string;
  let world: World;
  let coordinator: OfProcess;
  const tenant = (name: string) => new SpeakingTenant(name, numbers);
  const readers = Array.from({ length: READERS }, (_, i) => tenant(`reader-${i}`));
  const slow = Array.from({ length: SLOW }, (_, i) => tenant(`slow-${i}`));
  const connect = (one: SpeakingTenant): void => one.connect(`${world.url.replace('http', 'ws')}/federation`);
  const start = async (settings: Settings): Promise<string> => {
    const answer = (await (await coordinator.post('/tasks', settings)).json()) as { id: string };
    return answer.id;
  };
  let trained: TaskView;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'parley-slow-'));
    world = await startWorld(folder);
    coordinator = ofProcess(world);
    for (const one of [...readers, ...slow]) await enrolOverHttp(coordinator, one.name, one.identity);
    await enrolOverHttp(coordinator, 'absent', createIdentity());
    for (const one of [...readers, ...slow]) connect(one);
    await Promise.all([...readers, ...slow].map(({ welcomed }) => welcomed));
  });
  afterAll(async () => {
    await world.stop();
    rmSync(folder, { recursive: true });
  });

  test('holds up no round, and has one sum waiting for it', async () => {
    for (const one of slow) void slowlyAfter(one, 'plan');
    const task = await start(training);
    flood(slow[0]!, task, 100);
    expect(await Promise.all(readers.map(({ over }) => over))).toEqual(readers.map(() => 'finished'));
    trained = await world.task(task);
    expect(await coordinator.unreadMiB()).toBeLessThan(SLOW * MODEL_MIB + 1); // or three times as much
  });

  test('has one plan with a model waiting for it, and keeps none from the others', async () => {
    for (let i = 0; i < EVALUATIONS; i++) await start(evaluation(trained.id, trained.model, i));
    await expect
      .poll(() => readers.map(({ tasks }) => tasks), { timeout: 60_000 })
      .toEqual(readers.map(() => EVALUATIONS + 1));
    expect(await coordinator.unreadMiB()).toBeLessThan(SLOW * 2 * MODEL_MIB + 1); // or eight times as much
  });

  test('has one of each waiting for it when it comes back, and gets all as it reads', async () => {
    const [reader, ...others] = [...readers, ...slow];
    for (const one of others) {
      const slowly = slowlyAfter(one, 'plan');
      connect(one);
      await slowly;
    }
    connect(reader!);
    const all = Array.from({ length: ROUNDS }, (_, i) => i + 1);
    await expect.poll(() => reader!.opened, { timeout: 60_000 }).toEqual(all);
    expect(await coordinator.unreadMiB()).toBeLessThan((READERS + SLOW) * 2 * MODEL_MIB + 1); // or six times as much
    expect(coordinator.peakMiB()).toBeLessThan(640); // or 1,000
    for (const one of others) one.readAgain();
    await expect.poll(() => others.map(({ opened }) => opened), { timeout: 60_000 }).toEqual(others.map(() => all));
    await expect
      .poll(() => others.map(({ tasks }) => tasks), { timeout: 60_000 })
      .toEqual(others.map(() => EVALUATIONS + 1));
  });
});

/** Resolves when it has heard this; it reads slowly from then on. */
function slowlyAfter(one: SpeakingTenant, heard: FromCoordinator['type']): Promise<void> {
  return new Promise((resolve) => {
    one.onHeard = ({ type }) => {
      if (type !== heard) return;
      one.onHeard = () => {};
      one.readSlowly();
      resolve();
    };
  });
}

/** Sends the first part of its vector again and again, as fast as its line takes it. */
function flood(one: SpeakingTenant, task: string, times: number): void {
  const place = { epoch: 1, round: 1, stage: 'contribute', attempt: 1, at: 0 } as const;
  if (times > 0)
    one.say({ type: 'part', task, ...place, bytes: new Uint8Array(PART_BYTES) }, () => flood(one, task, times - 1));
}

/** The coordinator's process, from outside. */
interface OfProcess {
  get(path: string, init?: RequestInit): Promise<Response>;
  post(path: string, body: unknown): Promise<Response>;
  /** What waits there for somebody to read it. */
  unreadMiB(): Promise<number>;
  /** of its memory (proc(5), VmHWM) */
  peakMiB(): number;
}

function ofProcess(world: World): OfProcess {
  const headers = bearer(readFileSync(operatorTokenFile(world.coordinatorFolder), 'utf8').trim());
  const get = (path: string, init: RequestInit = { headers }): Promise<Response> => fetch(`${world.url}${path}`, init);
  const json = { ...headers, 'content-type': 'application/json' };
  return {
    get,
    post: (path, body) => get(path, { method: 'POST', headers: json, body: JSON.stringify(body) }),
    async unreadMiB() {
      const metrics = await (await get('/metrics')).text();
      return Number(/^parley_unsent_bytes (.+)$/m.exec(metrics)![1]) / 2 ** 20;
    },
    peakMiB() {
      const [, pid] = /"pid":(\d+)/.exec(world.log('coordinator'))!;
      return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
    },
  };
}
