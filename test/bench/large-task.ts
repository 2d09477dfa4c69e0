import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { enrolmentDigest, enrolmentProof, invitationHash } from '../../aggregation/enrolment.ts';
import { hex } from '../../aggregation/plan.ts';
import { SECURE_SUMS, type SecureSumName } from '../../aggregation/secure-sum.ts';
import { type Settings, settingsSchema } from '../../aggregation/settings.ts';
import type { Noised } from '../../privacy/steps.ts';
import { churnSettings } from '../../simulation/telco.ts';
import { SpeakingTenant } from './large-task/speaking-tenant.ts';

/**
 * `npm run bench:large-task`: the memory that one coordinator process needs for a model of 10,000,000 parameters and 50 tenants.
 *
 * The coordinator is `parley coordinator`, its folder on disk, the plan a real one; the tenants are one other process,
 * speak over WebSockets, and contribute numbers instead of training. Memory is what the kernel counted at most for the
 * coordinator (VmHWM).
 *
 *   --tenants N   --values N   --secure-sum NAME
 */
const { values: flags } = parseArgs({
  options: {
    tenants: { type: 'string', default: '50' },
    values: { type: 'string', default: '10000000' },
    'secure-sum': { type: 'string', default: 'masking' },
    rounds: { type: 'string', default: '1' },
  },
});
const TENANTS = Number(flags.tenants);
const protocol = flags['secure-sum'] as SecureSumName;
if (!SECURE_SUMS.includes(protocol)) throw new Error(`no secure sum ${protocol}`);

let made: Noised | undefined;

const folder = mkdtempSync(join(tmpdir(), 'parley-large-'));
const coordinator = spawn(
  process.execPath,
  [join(import.meta.dirname, '..', '..', 'parley.js'), 'coordinator', '--folder', folder, '--port', '0', '--json'],
  { stdio: ['ignore', 'pipe', process.env.PARLEY_LOG ? 'inherit' : 'ignore'] },
);
try {
  const started = performance.now();
  const url = await listening(coordinator);
  const empty = peakMiB(coordinator);
  const tenants = Array.from({ length: TENANTS }, (_, i) => new SpeakingTenant(`tenant-${i}`, numbers));
  for (const tenant of tenants) await enrol(url, tenant);
  // from an address each, as tenants are: from one, only so many are let in before they have said who they are
  for (const [i, tenant] of tenants.entries())
    tenant.connect(`${url.replace('http', 'ws')}/federation`, `127.0.1.${i + 1}`);
  const { id } = (await post(url, '/tasks', largeTask())) as { id: string };
  const task = (await get(url, `/tasks/${id}`)) as { dimension?: number };
  const watching = setInterval(() => process.env.PARLEY_LOG && console.error(nowMiB(coordinator)), 3000);
  const ends = new Set(await Promise.all(tenants.map(({ over }) => over)));
  clearInterval(watching);
  const seconds = (performance.now() - started) / 1000;
  const disk = statSync(join(folder, 'events.db')).size;
  console.log(`${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.version}
${TENANTS} tenants, ${Number(flags.values).toLocaleString('en')} values asked for${task.dimension ? `, ${task.dimension}` : ''}, ${protocol}: ${[...ends].join(', ')}
coordinator: ${peakMiB(coordinator)} MiB at most (${empty} MiB when it had just started), ${(disk / 2 ** 20).toFixed(0)} MiB on disk, ${seconds.toFixed(0)} s with all tenants on the same machine`);
} finally {
  coordinator.kill('SIGTERM');
  await once(coordinator, 'exit');
  rmSync(folder, { recursive: true });
}
process.exit();

/** The same for every tenant: they are one process, which must answer for all. */
function numbers(length: number): Noised {
  made ??= Float64Array.from({ length }, (_, i) => (i % 2001) - 1000) as Noised;
  return made;
}

function largeTask(): Settings {
  // two hidden layers whose product is nearly all of the parameters
  const width = Math.min(4096, Math.round(Math.sqrt(Number(flags.values))));
  const hidden = [width, Math.floor(Number(flags.values) / width) - 30];
  return settingsSchema.parse({
    ...churnSettings,
    name: 'large',
    work: { ...churnSettings.work, model: { kind: 'mlp', hidden }, rounds: Number(flags.rounds), averageLast: 1 },
    features: { ...churnSettings.features, customer: 'row' },
    secureSum: { protocol, minCohort: Math.ceil(0.8 * TENANTS), colluders: Math.ceil(0.1 * TENANTS) },
    timing: { uploadEveryMs: 1, stageTimeoutMs: 3_600_000, graceMs: 60_000, patienceMs: 600_000 },
  });
}

async function enrol(url: string, { name: tenant, key, identity }: SpeakingTenant): Promise<void> {
  const { code } = (await post(url, '/invitations', { tenant })) as { code: string };
  const proof = enrolmentProof(invitationHash(code), { tenant, key });
  await post(url, '/enrolments', {
    tenant,
    key,
    proof,
    signature: hex(identity.sign(enrolmentDigest({ tenant, key, proof }))),
  });
}

function authorization(): string {
  return `Bearer ${readFileSync(join(folder, 'operator.token'), 'utf8').trim()}`;
}

async function get(url: string, path: string): Promise<unknown> {
  return (await fetch(`${url}${path}`, { headers: { authorization: authorization() } })).json();
}

async function post(url: string, path: string, body: object): Promise<unknown> {
  const headers = { 'content-type': 'application/json', authorization: authorization() };
  const response = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  if (response.status === 429) {
    await sleep(61_000); // so many tenants from one address at once are what the coordinator keeps out
    return post(url, path, body);
  }
  if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
  return response.json();
}

async function listening(child: ChildProcess): Promise<string> {
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  child.stdout!.resume();
  return (JSON.parse(line.toString().split('\n')[0]!) as { url: string }).url;
}

function nowMiB({ pid }: ChildProcess): string {
  return /VmRSS:\s+\d+ kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[0] ?? '';
}

function peakMiB({ pid }: ChildProcess): number {
  const [, kib] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.ceil(Number(kib) / 1024);
}
