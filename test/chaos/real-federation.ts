import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { fingerprint } from '../../aggregation/identity.ts';
import { SECURE_SUMS, type TenantId } from '../../aggregation/secure-sum.ts';
import type { Settings } from '../../aggregation/settings.ts';
import { identityIn, policyFile } from '../../client/folder.ts';
import { type FaultyProxy, startFaultyProxy } from '../support/faulty-proxy.ts';
import { csvOf, type PolicyFile } from '../support-client/processes.ts';
import { toyFeatures, toyTable } from '../support-client/toy-task.ts';
import { TENANTS } from './course.ts';
import { type Disk, openDisk } from './files.ts';
import type { Asked, Status, Strike } from './killable-coordinator.ts';
import type { Opened } from './network/kinds.ts';

/**
 * A coordinator and four clients, each a process of its own, and somebody who starts again whoever has died: what systemd does,
 * and no more.
 */
export interface RealFederation {
  readonly units: readonly TenantId[];
  readonly folder: string;
  readonly disk: Disk;
  readonly coordinatorFolder: string;
  /** a file for each task: what was said, line by line */
  readonly journal: string;
  unitFolder(unit: TenantId): string;
  /** Of the coordinator: it is asked again when it died before it answered. */
  ask<Answer>(asked: Asked): Promise<Answer>;
  /** Kills a client, which is started again. */
  killUnit(unit: TenantId): void;
  /** The same for the coordinator, at whatever it does. */
  killCoordinator(): void;
  /** Of the process that lives now. */
  pidOf(who: TenantId | 'coordinator'): number;
  /** When the coordinator is to die, life after life: the first from now on, each of the others from when it is back. */
  strikes(strikes: readonly Strike[]): Promise<void>;
  /** Proposes a task and waits for its end. @returns its id @throws Error when it does not come */
  run(settings: Settings, patienceMs?: number): Promise<string>;
  /** databases that dying coordinators left, in order */
  readonly left: readonly string[];
  /** ms from the start of a coordinator's process to the first thing it serves */
  readonly starts: readonly number[];
  readonly deaths: { coordinator: number; clients: number };
  /** Puts these between each client and the coordinator, in place of a network that does nothing; each client connects anew. */
  network(faults: ReadonlyMap<TenantId, Opened> | undefined): void;
  /** where the coordinator listens */
  readonly port: () => number;
  /** Ends all processes: clients when they have written what they have in hand, the coordinator as it stands. */
  stop(): Promise<void>;
  remove(): void;
}

const PARLEY = join(import.meta.dirname, '../../parley.js');
const COORDINATOR = join(import.meta.dirname, 'killable-coordinator.ts');

export interface ProcessOptions {
  /** a module that each process loads before it begins */
  readonly preload?: string;
  /** of each process, beside what this one has */
  readonly env?: Readonly<Record<string, string>>;
}

export async function startRealFederation(
  names: readonly TenantId[] = TENANTS,
  { preload, env: added = {} }: ProcessOptions = {},
): Promise<RealFederation> {
  const execArgv = preload === undefined ? [] : ['--import', pathToFileURL(preload).href];
  const env = { ...process.env, ...added };
  const disk = openDisk();
  const { folder } = disk;
  const [coordinatorFolder, journal] = [join(folder, 'coordinator'), join(folder, 'journal')];
  const unitFolder = (unit: TenantId): string => join(folder, 'units', unit);
  const units = new Map<TenantId, ChildProcess>();
  const left: string[] = [];
  const starts: number[] = [];
  const deaths = { coordinator: 0, clients: 0 };
  const pending = new Map<number, (answer: unknown) => void>();
  let planned: readonly Strike[] = [];
  let asks = 0;
  let port = 0;
  let ended = false;
  let coordinator: ChildProcess | undefined;
  let isUp = false;
  /** resolves when the coordinator's process is gone */
  let gone = Promise.withResolvers<undefined>();
  let between: ReadonlyMap<TenantId, Opened> | undefined;
  const proxies = new Map<TenantId, FaultyProxy>();
  for (const unit of names)
    proxies.set(unit, await startFaultyProxy({ to: () => between?.get(unit)?.port ?? port, weather: () => ({}) }));

  const logged = (child: ChildProcess, name: string): void => {
    const log = createWriteStream(join(folder, `${name}.log`), { flags: 'a' });
    child.stdout!.pipe(log, { end: false });
    child.stderr!.pipe(log, { end: false });
  };
  const startCoordinator = (): void => {
    const startedAt = performance.now();
    const [strike, ...others] = planned;
    planned = others;
    const args = [coordinatorFolder, String(port), journal, ...(strike === undefined ? [] : [JSON.stringify(strike)])];
    const child = fork(COORDINATOR, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], execArgv, env });
    coordinator = child;
    gone = Promise.withResolvers<undefined>();
    const { resolve } = gone;
    logged(child, 'coordinator');
    child.on('message', (message: { url: string } | { id: number; answer: unknown }) => {
      if ('url' in message) {
        port = Number(new URL(message.url).port);
        starts.push(performance.now() - startedAt);
        isUp = true;
      } else {
        pending.get(message.id)?.(message.answer);
        pending.delete(message.id);
      }
    });
    child.once('exit', (_, signal) => {
      isUp = false;
      resolve(undefined);
      if (ended || signal !== 'SIGKILL') return; // by itself: whoever waits for it will say what it said last
      deaths.coordinator++;
      left.push(disk.copyOf(join(coordinatorFolder, 'events.db')));
      startCoordinator();
    });
  };
  const startUnit = (unit: TenantId, code?: string): void => {
    const codes = code === undefined ? [] : ['--code', code];
    const args = ['client', '--folder', unitFolder(unit), '--backend', 'cpu', '--json', ...codes];
    const child = spawn(process.execPath, [...execArgv, PARLEY, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env });
    units.set(unit, child);
    logged(child, unit);
    child.once('exit', (_, signal) => {
      if (ended || signal !== 'SIGKILL') return;
      deaths.clients++;
      startUnit(unit);
    });
  };
  const until = async (holds: () => boolean | Promise<boolean>, what: string, patienceMs: number): Promise<void> => {
    for (const end = performance.now() + patienceMs; !(await holds()); await sleep(20)) {
      if (performance.now() < end) continue;
      const logs = ['coordinator', ...names].map((name) => `${name}: ${lastOf(join(folder, `${name}.log`))}`);
      throw new Error(`${what} did not happen\n${logs.join('\n')}`);
    }
  };
  const ask = async <Answer>(asked: Asked): Promise<Answer> => {
    for (;;) {
      await until(() => isUp, 'its start', 300_000);
      const id = ++asks;
      const child = coordinator!;
      const answered = new Promise<{ answer: unknown }>((resolve) => pending.set(id, (answer) => resolve({ answer })));
      child.send({ id, asked }, () => {});
      const first = await Promise.race([answered, gone.promise]);
      if (first !== undefined) return first.answer as Answer;
      if (asked.ask === 'propose' || asked.ask === 'strike') return '' as Answer; // it may have been heard
    }
  };

  // interrupted, it leaves no client that tries for ever
  const killAll = (): void => {
    for (const child of [coordinator, ...units.values()]) child?.kill('SIGKILL');
  };
  process.once('exit', killAll);
  startCoordinator();
  await until(() => isUp, 'its start', 300_000);
  const key = identityIn(coordinatorFolder).publicKey;
  const urls = new Map([...proxies].map(([unit, proxy]) => [unit, `http://127.0.0.1:${proxy.port}`]));
  writeUnits(names, unitFolder, urls, fingerprint(key));
  for (const unit of names) startUnit(unit, await ask<string>({ ask: 'invite', tenant: unit }));
  const allThere = async () => (await ask<Status>({ ask: 'status' })).present.length === names.length;
  await until(allThere, 'their meeting', 300_000);

  return {
    ...{ folder, disk, coordinatorFolder, journal, unitFolder, ask, left, starts, deaths, units: names },
    killUnit: (unit) => void units.get(unit)!.kill('SIGKILL'),
    killCoordinator: () => void coordinator!.kill('SIGKILL'),
    pidOf: (who) => (who === 'coordinator' ? coordinator! : units.get(who)!).pid!,
    port: () => port,
    network(faults) {
      between = faults;
      for (const proxy of proxies.values()) proxy.strike('reset');
    },
    async strikes([first, ...others]) {
      planned = others;
      if (first !== undefined) await ask({ ask: 'strike', strike: first });
    },
    async run(settings, patienceMs = 120_000) {
      await until(allThere, 'their meeting', patienceMs);
      const before = new Set((await ask<Status>({ ask: 'status' })).tasks.map(({ id }) => id));
      const isNew = ({ id, name }: Status['tasks'][number]): boolean => !before.has(id) && name === settings.name;
      let task = '';
      // who proposes and hears no answer looks, and proposes again
      while (task === '') {
        await ask({ ask: 'propose', settings });
        task = (await ask<Status>({ ask: 'status' })).tasks.find(isNew)?.id ?? '';
      }
      const isOver = async (): Promise<boolean> => {
        const { tasks } = await ask<Status>({ ask: 'status' });
        const { phase, accepted = [] } = tasks.find(({ id }) => id === task) ?? {};
        if (phase === 'stopped') return true;
        // who was in so many rounds that were held again that it can pay for no more is told nothing further
        return phase === 'finished' && accepted.every((unit) => existsSync(modelOf(unitFolder(unit), settings, task)));
      };
      await until(isOver, `the end of task ${task}`, patienceMs);
      return task;
    },
    async stop() {
      ended = true;
      // a client keeps its model before it notes that the task is over: told to end in between, it does both
      await Promise.all([...units.values()].map((unit) => end(unit, 'SIGTERM')));
      await end(coordinator!, 'SIGKILL');
      process.off('exit', killAll);
      await Promise.all([...proxies.values()].map((proxy) => proxy.close()));
    },
    remove: disk.remove,
  };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

/** Where a client leaves the model of a finished task. */
export const modelOf = (unitFolder: string, { name }: Settings, task: string): string =>
  join(unitFolder, 'models', `${name}-${task.slice(0, 8)}`, 'parameters.f64');

const lastOf = (file: string): string =>
  existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n').slice(-3).join('\n  ') : 'nothing';

function writeUnits(
  names: readonly TenantId[],
  unitFolder: (unit: TenantId) => string,
  urls: ReadonlyMap<TenantId, string>,
  coordinator: string,
): void {
  const prints = new Map(names.map((unit) => [unit, fingerprint(identityIn(unitFolder(unit)).publicKey)]));
  for (const unit of names) {
    mkdirSync(unitFolder(unit), { recursive: true });
    writeFileSync(join(unitFolder(unit), 'customers.csv'), csvOf(toyTable(unit)));
    writeFileSync(join(unitFolder(unit), 'schema.json'), JSON.stringify(toyFeatures));
    const policy: PolicyFile = {
      tenant: unit,
      coordinator: { url: urls.get(unit)!, fingerprint: coordinator },
      ...{ data: 'customers.csv', schema: 'schema.json', maxCustomers: 100 },
      peers: Object.fromEntries([...prints].filter(([other]) => other !== unit)),
      accept: {
        ...{ work: ['train'], secureSum: [...SECURE_SUMS], mode: ['record-distributed'] },
        ...{ maxEpsilon: 8, maxDelta: 1e-3, minCohort: 1, minColluders: 0, minUploadEveryMs: 1 },
      },
      budget: { training: { epsilon: 1000, delta: 1e-3 }, 'held-out': { epsilon: 1, delta: 1e-5 } },
    };
    writeFileSync(policyFile(unitFolder(unit)), JSON.stringify(policy));
  }
}
