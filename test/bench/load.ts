import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { protocolNamed } from '../../aggregation/protocols.ts';
import { SECURE_SUMS, type SecureSumName } from '../../aggregation/secure-sum.ts';
import { type Settings, settingsSchema } from '../../aggregation/settings.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import { churnSettings } from '../../simulation/telco.ts';
import { phasesOf, quantile } from './load/phases.ts';
import type { SiteOrder, SiteReport } from './load/site.ts';

/**
 * `npm run load`: what one coordinator process bears. A federation of 200 tenants holds rounds while 1,000 others are enrolled,
 * connected and idle; real WebSockets, a real `parley coordinator`, its store on disk, all on this machine.
 *
 * The tenants speak the whole protocol and contribute numbers instead of training. They verify no statements of each other, which
 * every client does: what a round takes here is the network's and the coordinator's part, and the tenants' own arithmetic.
 *
 *   --tenants N   --idle N   --rounds N   --secure-sum NAME (all three when left out)   --json
 */
const { values: flags } = parseArgs({
  options: {
    tenants: { type: 'string', default: '200' },
    idle: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '10' },
    'secure-sum': { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const [TENANTS, IDLE, ROUNDS] = [Number(flags.tenants), Number(flags.idle), Number(flags.rounds)];
const PARLEY = join(import.meta.dirname, '..', '..', 'parley.js');
const SITE = join(import.meta.dirname, 'load', 'site.ts');
/** A site has its addresses in a block of 254. */
const TO_A_SITE = 500;

export interface LoadFigures {
  readonly secureSum: SecureSumName;
  readonly tenants: number;
  readonly idle: number;
  readonly rounds: number;
  readonly roundsPerMinute: number;
  /** milliseconds */
  readonly phases: Readonly<Record<string, { readonly p50: number; readonly p99: number }>>;
  /** of the coordinator: CPU seconds a round, and MiB at most (VmHWM) */
  readonly cpuPerRound: number;
  readonly peakMiB: number;
}

const chosen =
  flags['secure-sum'] === undefined
    ? (['threshold-he', 'masking', 'lattice-mask'] as const)
    : [named(flags['secure-sum'])];
const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.version}`;
if (!flags.json) console.log(machine);
const all: LoadFigures[] = [];
for (const protocol of chosen) {
  const figures = await measure(protocol);
  all.push(figures);
  if (!flags.json) console.log(inWords(figures));
}
if (flags.json) console.log(JSON.stringify({ machine, figures: all }));

async function measure(protocol: SecureSumName): Promise<LoadFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'parley-load-'));
  const coordinator = spawn(process.execPath, [PARLEY, 'coordinator', '--folder', folder, '--port', '0', '--json'], {
    stdio: ['ignore', 'pipe', process.env['PARLEY_LOG'] ? 'inherit' : 'ignore'],
  });
  const sites: ChildProcess[] = [];
  try {
    const url = await listening(coordinator);
    const token = readFileSync(join(folder, 'operator.token'), 'utf8').trim();
    const open = async (prefix: string, count: number): Promise<ChildProcess[]> => {
      const names = Array.from({ length: count }, (_, i) => `${prefix}-${i}`);
      const parts = Array.from({ length: Math.ceil(count / TO_A_SITE) }, (_, i) =>
        names.slice(i * TO_A_SITE, (i + 1) * TO_A_SITE),
      );
      return Promise.all(
        parts.map((part) => enrolledSite({ url, token, names: part, block: 1 + sites.length }, sites)),
      );
    };
    const federation = await open('tenant', TENANTS);
    const { id } = (await post(`${url}/tasks`, loadTask(protocol), token)) as { id: string };
    // they enrol after the plan is made: its roster has two hundred places
    const idle = await open('idle', IDLE);
    await Promise.all(idle.map(connected));
    const over = Promise.all(federation.map((site) => reported(site, 'over')));
    const before = cpuSeconds(coordinator);
    await Promise.all(federation.map(connected));
    const ends = new Set((await over).flatMap((report) => (report.type === 'over' ? report.ends : [])));
    if ([...ends].join() !== 'finished') throw new Error(`${protocol}: ${[...ends].join(', ')}`);
    const cpu = cpuSeconds(coordinator) - before;
    const peakMiB = Math.ceil(status(coordinator, 'VmHWM') / 1024);
    coordinator.kill('SIGTERM');
    await once(coordinator, 'exit');
    return {
      ...timesOf(folder, id, protocol),
      secureSum: protocol,
      tenants: TENANTS,
      idle: IDLE,
      cpuPerRound: cpu / ROUNDS,
      peakMiB,
    };
  } finally {
    for (const site of sites) site.kill('SIGKILL');
    if (coordinator.exitCode === null) coordinator.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

function timesOf(
  folder: string,
  task: string,
  protocol: SecureSumName,
): Pick<LoadFigures, 'rounds' | 'roundsPerMinute' | 'phases'> {
  const store = openSqliteStore(join(folder, 'events.db'));
  const names = protocolNamed(protocol).summing.map(({ name }) => name);
  const { stages, rounds } = phasesOf(store.facts(task), names);
  store.close();
  const spread = (values: readonly number[]) => ({ p50: quantile(values, 0.5), p99: quantile(values, 0.99) });
  const phases = Object.fromEntries(
    [...stages, ['round', rounds] as const].map(([name, values]) => [name, spread(values)]),
  );
  const mean = rounds.reduce((sum, each) => sum + each, 0) / rounds.length;
  return { rounds: ROUNDS, roundsPerMinute: 60_000 / mean, phases };
}

function inWords({
  secureSum,
  tenants,
  idle,
  rounds,
  roundsPerMinute,
  phases,
  cpuPerRound,
  peakMiB,
}: LoadFigures): string {
  const lines = Object.entries(phases).map(
    ([name, { p50, p99 }]) => `  ${name.padEnd(12)} ${seconds(p50)} ${seconds(p99)}`,
  );
  return `${secureSum}: ${tenants} tenants, ${idle} idle connections, ${rounds} rounds: ${roundsPerMinute.toFixed(1)} rounds a minute
  coordinator: ${cpuPerRound.toFixed(2)} s of CPU time a round, ${peakMiB} MiB at most
  phase          p50 s    p99 s
${lines.join('\n')}`;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(2).padStart(8);
}

function loadTask(protocol: SecureSumName): Settings {
  return settingsSchema.parse({
    ...churnSettings,
    name: 'load',
    work: { ...churnSettings.work, rounds: ROUNDS, averageLast: 1 },
    features: { ...churnSettings.features, customer: 'row' },
    secureSum: { protocol, minCohort: Math.ceil(0.9 * TENANTS), colluders: Math.floor(0.1 * TENANTS) },
    timing: { uploadEveryMs: 1, stageTimeoutMs: 600_000, graceMs: 10_000, patienceMs: 3_600_000 },
  });
}

async function enrolledSite(order: SiteOrder, sites: ChildProcess[]): Promise<ChildProcess> {
  const site = fork(SITE);
  sites.push(site);
  const enrolled = reported(site, 'enrolled');
  site.send(order);
  await enrolled;
  return site;
}

async function connected(site: ChildProcess): Promise<void> {
  const done = reported(site, 'connected');
  site.send('connect');
  await done;
}

/** @throws Error when the site ends first */
function reported(site: ChildProcess, type: SiteReport['type']): Promise<SiteReport> {
  return new Promise((resolve, reject) => {
    site.on('message', (message: SiteReport) => message.type === type && resolve(message));
    site.once('exit', () => reject(new Error('the tenants went away; what they said stands above')));
  });
}

async function post(url: string, body: object, token: string): Promise<unknown> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${url}: ${await response.text()}`);
  return response.json();
}

async function listening(child: ChildProcess): Promise<string> {
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  child.stdout!.resume();
  return (JSON.parse(line.toString().split('\n')[0]!) as { url: string }).url;
}

/** User and system time so far. */
function cpuSeconds({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100; // proc(5): utime, stime in ticks of 10 ms
}

/** KiB. */
function status({ pid }: ChildProcess, field: string): number {
  return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

function named(name: string): SecureSumName {
  if ((SECURE_SUMS as readonly string[]).includes(name)) return name as SecureSumName;
  throw new Error(`there is no secure sum "${name}": use ${SECURE_SUMS.join(', ')}`);
}
