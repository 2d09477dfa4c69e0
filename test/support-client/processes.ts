import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { fingerprint } from '../../aggregation/identity.ts';
import { identityIn, policyFile } from '../../client/folder.ts';
import type { policySchema } from '../../client/policy.ts';
import { operatorTokenFile } from '../../coordinator/access/first-token.ts';
import type { TaskView } from '../../coordinator/task-view.ts';
import type { Table } from '../../models/encode.ts';
import type { FeatureSchema } from '../../models/schema.ts';

/** `parley`, as people start it: one process, its exit code and what it printed. */
const PARLEY = join(import.meta.dirname, '../../parley.js');

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function parley(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const child = spawn(process.execPath, [PARLEY, ...args], { env: { ...process.env, ...env } });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => {
    stdout += data;
  });
  child.stderr.on('data', (data: Buffer) => {
    stderr += data;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

/** A federation of processes in one folder. */
export interface World {
  readonly folder: string;
  readonly url: string;
  /** the coordinator's */
  readonly fingerprint: string;
  readonly coordinatorFolder: string;
  unitFolder(unit: string): string;
  /** Starts a unit's client, and waits until the coordinator sees it. */
  startUnit(unit: string, code?: string): Promise<ChildProcess>;
  /** As `kill -9`; resolves when the process is gone. */
  kill(unit: string): Promise<void>;
  /** Tells a unit's client, or 'coordinator', to end. @returns its exit code, or the signal that ended it */
  end(name: string): Promise<number | NodeJS.Signals>;
  /** Resolves when a unit's client has ended by itself. */
  ended(unit: string): Promise<void>;
  killCoordinator(): Promise<void>;
  restartCoordinator(): Promise<void>;
  task(id: string): Promise<TaskView>;
  /** Looks at a task until this holds. @throws Error with the last view when it does not in time */
  until(id: string, holds: (view: TaskView) => boolean, timeoutMs?: number): Promise<TaskView>;
  get(path: string): Promise<unknown>;
  log(unit: string): string;
  stop(): Promise<void>;
}

/** @param more - options besides those that a world needs */
export async function startWorld(
  folder: string,
  more: { readonly coordinator?: readonly string[]; readonly client?: readonly string[] } = {},
): Promise<World> {
  const children = new Map<string, ChildProcess>();
  const coordinatorFolder = join(folder, 'coordinator');
  const logFile = (name: string) => join(folder, `${name}.log`);
  const start = (name: string, args: readonly string[]): ChildProcess => {
    const child = spawn(process.execPath, [PARLEY, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const log = createWriteStream(logFile(name), { flags: 'a' });
    child.stdout!.pipe(log, { end: false });
    child.stderr!.pipe(log, { end: false });
    children.set(name, child);
    return child;
  };
  const kill = async (name: string): Promise<void> => {
    const child = children.get(name)!;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  const startCoordinator = async (port: number): Promise<string> => {
    const args = [
      'coordinator',
      '--folder',
      coordinatorFolder,
      '--port',
      String(port),
      '--json',
      ...(more.coordinator ?? []),
    ];
    const child = start('coordinator', args);
    let text = '';
    child.stdout!.on('data', (data: Buffer) => {
      text += data;
    });
    for (const end = performance.now() + 20_000; performance.now() < end; await sleep(20)) {
      const line = text.split('\n').find((one) => one.startsWith('{"url"'));
      if (line !== undefined) return (JSON.parse(line) as { url: string }).url;
      if (child.exitCode !== null) break;
    }
    throw new Error(`the coordinator did not start: ${readFileSync(logFile('coordinator'), 'utf8')}`);
  };
  const url = await startCoordinator(0);
  const get = async (path: string): Promise<unknown> => {
    const authorization = `Bearer ${readFileSync(operatorTokenFile(coordinatorFolder), 'utf8').trim()}`;
    return (await fetch(`${url}${path}`, { headers: { authorization } })).json();
  };
  const { fingerprint: print } = (await get('/federation')) as { fingerprint: string };
  const connected = async (unit: string): Promise<boolean> => {
    const { tenants } = (await get('/federation')) as { tenants: { tenant: string; connected: boolean }[] };
    return tenants.some((one) => one.tenant === unit && one.connected);
  };
  const world: World = {
    folder,
    url,
    fingerprint: print,
    coordinatorFolder,
    unitFolder: (unit) => join(folder, 'units', unit),
    async startUnit(unit, code) {
      const codes = code === undefined ? [] : ['--code', code];
      const args = ['client', '--folder', world.unitFolder(unit), '--backend', 'cpu', '--json', ...(more.client ?? [])];
      const child = start(unit, [...args, ...codes]);
      for (const end = performance.now() + 20_000; !(await connected(unit)); await sleep(30)) {
        if (child.exitCode !== null || performance.now() > end) await sleep(100); // its last words
        if (child.exitCode !== null || performance.now() > end)
          throw new Error(`${unit} did not start: ${readFileSync(logFile(unit), 'utf8')}`);
      }
      return child;
    },
    kill,
    async end(name) {
      const child = children.get(name)!;
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      const [code, signal] = (await gone) as [number | null, NodeJS.Signals | null];
      return code ?? signal!;
    },
    async ended(unit) {
      const child = children.get(unit)!;
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
    killCoordinator: () => kill('coordinator'),
    restartCoordinator: async () => void (await startCoordinator(Number(new URL(url).port))),
    task: async (id) => (await get(`/tasks/${id}`)) as TaskView,
    async until(id, holds, timeoutMs = 40_000) {
      let view: TaskView | undefined;
      for (const end = performance.now() + timeoutMs; performance.now() < end; await sleep(40)) {
        view = await world.task(id);
        if (holds(view)) return view;
      }
      throw new Error(`not in time: ${JSON.stringify(view)}`);
    },
    get,
    log: (unit) => (existsSync(logFile(unit)) ? readFileSync(logFile(unit), 'utf8') : ''),
    async stop() {
      await Promise.all([...children.keys()].map(kill));
    },
  };
  return world;
}

/** Each unit's key, customers and policy, as its own people would write them. */
export function writeUnits(
  world: Pick<World, 'unitFolder' | 'url' | 'fingerprint'>,
  tables: ReadonlyMap<string, Table>,
  contract: FeatureSchema,
): void {
  const prints = new Map(
    [...tables.keys()].map((unit) => [unit, fingerprint(identityIn(world.unitFolder(unit)).publicKey)]),
  );
  for (const [unit, table] of tables) {
    mkdirSync(world.unitFolder(unit), { recursive: true });
    writeFileSync(join(world.unitFolder(unit), 'customers.csv'), csvOf(table));
    writeFileSync(join(world.unitFolder(unit), 'schema.json'), JSON.stringify(contract));
    const policy: PolicyFile = {
      tenant: unit,
      coordinator: { url: world.url, fingerprint: world.fingerprint },
      data: 'customers.csv',
      schema: 'schema.json',
      maxCustomers: 2500,
      peers: Object.fromEntries([...prints].filter(([other]) => other !== unit)),
      accept: {
        work: ['train', 'segment', 'evaluate'],
        secureSum: ['threshold-he'],
        mode: ['record-distributed'],
        maxEpsilon: 2,
        maxDelta: 1e-5,
        minCohort: 4,
        minColluders: 1,
        minUploadEveryMs: 10,
      },
      budget: { training: { epsilon: 20, delta: 1e-5 }, 'held-out': { epsilon: 20, delta: 1e-5 } },
    };
    writePolicy(world, policy);
  }
}

export type PolicyFile = z.input<typeof policySchema>;

export function writePolicy(world: Pick<World, 'unitFolder'>, policy: PolicyFile): void {
  writeFileSync(policyFile(world.unitFolder(policy.tenant)), JSON.stringify(policy, null, 2));
}

export function policyIn(world: Pick<World, 'unitFolder'>, unit: string): PolicyFile {
  return JSON.parse(readFileSync(policyFile(world.unitFolder(unit)), 'utf8')) as PolicyFile;
}

export function csvOf({ columns, rows }: Pick<Table, 'columns' | 'rows'>): string {
  const cell = (value: string | null): string =>
    value === null ? '' : /[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
  return `${[columns, ...rows].map((cells) => cells.map(cell).join(',')).join('\n')}\n`;
}
