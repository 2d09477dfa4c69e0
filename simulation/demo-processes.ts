import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { z } from 'zod';
import { fingerprint } from '../aggregation/identity.ts';
import { PROTECTING_SUMS } from '../aggregation/secure-sum.ts';
import type { Settings } from '../aggregation/settings.ts';
import { openClientStore } from '../client/client-store.ts';
import { csvLine } from '../client/csv-line.ts';
import { identityIn, modelsFolder, policyFile, storeFile } from '../client/folder.ts';
import { type policySchema, readPolicy } from '../client/policy.ts';
import { standingOf } from '../client/spending.ts';
import { operatorTokenFile } from '../coordinator/access/first-token.ts';
import type { TaskResult, TaskView } from '../coordinator/task-view.ts';
import type { Table } from '../models/encode.ts';
import { churnSettings } from './telco.ts';

/** The processes of the demonstration, driven as people would: with the `parley` command and over HTTP. */
export interface Processes {
  readonly pids: readonly number[];
  propose(settings: Settings): Promise<string>;
  watch(task: string): AsyncGenerator<TaskView>;
  result(task: string): Promise<TaskResult>;
  parameters(hash: string): Promise<Float64Array>;
  /** What one customer paid over all tasks, as its unit counts it. Stops the clients: a unit's books are open to one process. */
  total(): Promise<Total>;
  verifyLedger(): Promise<{ entries: number; signedBy: string }>;
  modelFolder(unit: string, task: TaskView): string;
  scoreCommand(model: string, segments: string): string;
  stop(): Promise<void>;
}

/** ε of one customer over all tasks, and what its unit allows. */
export interface Total {
  readonly training: number;
  readonly heldOut: number;
  readonly delta: number;
  readonly limit: { readonly training: number; readonly heldOut: number };
}

const PARLEY = fileURLToPath(new URL('../parley.js', import.meta.url));

export async function startProcesses(folder: string, tables: ReadonlyMap<string, Table>): Promise<Processes> {
  const children: ChildProcess[] = [];
  const start = (name: string, args: readonly string[]): ChildProcess => {
    // the keys of the demonstration are plain: a passphrase of the person's own is not for them
    const env = { ...process.env, PARLEY_PASSPHRASE: undefined };
    const child = spawn(process.execPath, [PARLEY, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env });
    child.stderr!.pipe(createWriteStream(join(folder, `${name}.log`)));
    children.push(child);
    return child;
  };
  const stop = async (which: (child: ChildProcess) => boolean = () => true): Promise<void> => {
    const alive = children.filter((child) => child.exitCode === null && which(child));
    const ends = alive.map((child) => once(child, 'exit'));
    for (const child of alive) child.kill('SIGTERM');
    await Promise.race([Promise.all(ends), sleep(5_000, undefined, { ref: false })]);
    for (const child of alive) if (child.exitCode === null) child.kill('SIGKILL');
  };
  try {
    const url = await listening(
      start('coordinator', ['coordinator', '--folder', join(folder, 'coordinator'), '--port', '0', '--json']),
    );
    const tokenFile = operatorTokenFile(join(folder, 'coordinator'));
    const token = readFileSync(tokenFile, 'utf8').trim();
    const http = client(url, token);
    const { fingerprint: pinned } = (await http.get('/federation')) as { fingerprint: string };
    writeUnits(folder, tables, url, pinned);
    for (const unit of tables.keys()) {
      const { code } = (await http.post('/invitations', { tenant: unit })) as { code: string };
      start(unit, ['client', '--folder', unitFolder(folder, unit), '--code', code, '--json']);
    }
    await everyoneConnected(http, tables.size, children);
    return processes(folder, [...tables.keys()], http, url, pinned, children, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

const unitFolder = (folder: string, unit: string): string => join(folder, 'units', unit);

/** The coordinator says on stdout where it listens. */
async function listening(child: ChildProcess): Promise<string> {
  const gone = once(child, 'exit').then(() => {
    throw new Error('the coordinator did not start; see coordinator.log');
  });
  const [line] = (await Promise.race([once(child.stdout!, 'data'), gone])) as [Buffer];
  gone.catch(() => {});
  return (JSON.parse(line.toString()) as { url: string }).url;
}

/** Every unit's own files: key, customers, policy. Fingerprints are compared here, where all files are made. */
function writeUnits(folder: string, tables: ReadonlyMap<string, Table>, url: string, coordinator: string): void {
  const prints = new Map(
    [...tables.keys()].map((unit) => [unit, fingerprint(identityIn(unitFolder(folder, unit)).publicKey)]),
  );
  for (const [unit, table] of tables) {
    mkdirSync(unitFolder(folder, unit), { recursive: true });
    writeFileSync(
      join(unitFolder(folder, unit), 'customers.csv'),
      [table.columns, ...table.rows].map(csvLine).join(''),
    );
    writeFileSync(join(unitFolder(folder, unit), 'schema.json'), JSON.stringify(churnSettings.features, null, 2));
    const peers = Object.fromEntries([...prints].filter(([other]) => other !== unit));
    writeFileSync(
      policyFile(unitFolder(folder, unit)),
      `${JSON.stringify(policyFor(unit, peers, url, coordinator), null, 2)}\n`,
    );
  }
}

function policyFor(
  tenant: string,
  peers: Record<string, string>,
  url: string,
  coordinator: string,
): z.input<typeof policySchema> {
  return {
    tenant,
    coordinator: { url, fingerprint: coordinator },
    data: 'customers.csv',
    schema: 'schema.json',
    maxCustomers: 2500,
    peers,
    accept: {
      work: ['train', 'segment', 'evaluate'],
      secureSum: [...PROTECTING_SUMS],
      mode: ['record-distributed'],
      maxEpsilon: 2,
      maxDelta: 1e-5,
      minCohort: 4,
      minColluders: 1,
      minUploadEveryMs: 10,
    },
    budget: { training: { epsilon: 3, delta: 1e-5 }, 'held-out': { epsilon: 2.5, delta: 1e-5 } },
  };
}

interface Http {
  get(path: string): Promise<unknown>;
  post(path: string, body: object): Promise<unknown>;
  bytes(path: string): Promise<ArrayBuffer>;
}

function client(url: string, token: string): Http {
  const authorization = `Bearer ${token}`;
  const ask = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const response = await fetch(`${url}${path}`, { ...init, headers: { authorization, ...init.headers } });
    if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
    return response;
  };
  const headers = { 'content-type': 'application/json' };
  return {
    get: async (path) => (await ask(path)).json(),
    post: async (path, body) => (await ask(path, { method: 'POST', headers, body: JSON.stringify(body) })).json(),
    bytes: async (path) => (await ask(path)).arrayBuffer(),
  };
}

async function everyoneConnected(http: Http, units: number, children: readonly ChildProcess[]): Promise<void> {
  for (;;) {
    const { tenants } = (await http.get('/federation')) as { tenants: { connected: boolean }[] };
    if (tenants.filter(({ connected }) => connected).length === units) return;
    if (children.some((child) => child.exitCode !== null))
      throw new Error('a client did not start; see its log in the demo folder');
    await sleep(50);
  }
}

function processes(
  folder: string,
  units: readonly string[],
  http: Http,
  url: string,
  pinned: string,
  children: readonly ChildProcess[],
  stop: (which?: (child: ChildProcess) => boolean) => Promise<void>,
): Processes {
  return {
    pids: children.map((child) => child.pid!),
    propose: async (settings) => ((await http.post('/tasks', settings)) as TaskView).id,
    async *watch(task) {
      for (;;) {
        yield (await http.get(`/tasks/${task}`)) as TaskView;
        await sleep(150);
      }
    },
    result: async (task) => (await http.get(`/tasks/${task}/result`)) as TaskResult,
    parameters: async (hash) => new Float64Array(await http.bytes(`/parameters/${hash}`)),
    async total() {
      await stop((child) => child !== children[0]);
      const own = unitFolder(folder, units[0]!);
      const policy = readPolicy(policyFile(own));
      const store = openClientStore(storeFile(own));
      const training = standingOf(store, policy, 'training', Date.now()).epsilon;
      const heldOut = standingOf(store, policy, 'held-out', Date.now()).epsilon;
      store.close();
      const limit = { training: policy.budget.training.epsilon, heldOut: policy.budget['held-out'].epsilon };
      return { training, heldOut, delta: policy.budget.training.delta, limit };
    },
    async verifyLedger() {
      const child = spawn(process.execPath, [
        PARLEY,
        'ledger',
        'verify',
        '--coordinator',
        url,
        '--fingerprint',
        pinned,
        '--token-file',
        operatorTokenFile(join(folder, 'coordinator')),
        '--json',
      ]);
      let text = '';
      let errors = '';
      child.stdout.on('data', (data: Buffer) => {
        text += data;
      });
      child.stderr.on('data', (data: Buffer) => {
        errors += data;
      });
      const [code] = (await once(child, 'close')) as [number];
      if (code !== 0) throw new Error(`the ledger does not verify: ${errors}`);
      return JSON.parse(text) as { entries: number; signedBy: string };
    },
    modelFolder: (unit, task) => {
      const models = modelsFolder(unitFolder(folder, unit));
      const found = readdirSync(models).find((name) => name === `${task.name}-${task.id.slice(0, 8)}`);
      if (found === undefined) throw new Error(`${unit} kept no model of task ${task.name}`);
      return relative(process.cwd(), resolve(models, found));
    },
    scoreCommand: (model, segments) =>
      `npx parley predict --model ${model} --segments ${segments} --input ${relative(process.cwd(), join(unitFolder(folder, 'fiber-monthly'), 'customers.csv'))} --output scored.csv`,
    stop: () => stop(),
  };
}
