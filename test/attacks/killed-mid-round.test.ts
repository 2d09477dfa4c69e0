import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { fingerprint } from '../../aggregation/identity.ts';
import { protocolNamed } from '../../aggregation/protocols.ts';
import { PROTECTING_SUMS, SECURE_SUMS, type SecureSumName } from '../../aggregation/secure-sum.ts';
import { PACKED_BYTES } from '../../aggregation/threshold-he/parameters.ts';
import { openClientStore } from '../../client/client-store.ts';
import { policyFile, storeFile } from '../../client/folder.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { enrol, tenantsFor } from '../support/federation-on-disk.ts';
import { temporaryFolder } from '../support/folder.ts';
import { startServer } from '../support/serving.ts';
import { FIVE, smallTables, smallTask } from '../support/small-task.ts';
import { TappedTenant } from '../support/tapped-tenant.ts';
import { csvOf, type PolicyFile } from '../support-client/processes.ts';

/*
 * A real client, its own process, is killed when it has said everything of a round that is still under way: its memory holds
 * all the epoch's and the round's secrets. None of them is in any file it could have written, nor in what it printed.
 */
let backend: Backend;
beforeAll(async () => {
  backend = await startBackend('cpu');
});

const VICTIM = 'amber';
const PARLEY = join(import.meta.dirname, '../../parley.js');
const SPILL = join(import.meta.dirname, '../support-client/spill-secrets.ts');

async function until(holds: () => boolean, what: () => string): Promise<void> {
  for (const end = performance.now() + 30_000; !holds(); await sleep(5))
    if (performance.now() > end) throw new Error(`waited in vain: ${what()}`);
}

/** @returns the place of all it may have written to, what it printed, and its secrets in hexadecimal */
async function killed(protocol: SecureSumName) {
  const world = temporaryFolder();
  const [folder, elsewhere] = [join(world, VICTIM), join(world, 'elsewhere')];
  for (const one of [folder, elsewhere]) mkdirSync(one);
  const server = await startServer();
  const tenants = tenantsFor(server.coordinator.publicKey, backend, FIVE);
  onTestFinished(() => tenants.forget());
  for (const [name, identity] of tenants.identities) enrol(server.coordinator.enrolment, name, identity);
  const last = protocolNamed(protocol).summing.at(-1)!.name;
  for (const name of FIVE.filter((one) => one !== VICTIM)) {
    const tapped = new TappedTenant(server.url, server.coordinator.publicKey, name, tenants.identities.get(name)!);
    onTestFinished(() => tapped.close());
    tapped.onSay = ({ stage }) => name !== 'dun' || stage !== last; // the round waits for it
    void tenants.participants.get(name)!.take(tapped.link, undefined, tapped.agreement);
  }

  writeFileSync(join(folder, 'identity.pem'), tenants.identities.get(VICTIM)!.exportPem(), { mode: 0o600 });
  writeFileSync(join(folder, 'customers.csv'), csvOf(smallTables().get(VICTIM)!));
  writeFileSync(join(folder, 'schema.json'), JSON.stringify(smallTask().features));
  const peers = [...tenants.identities].filter(([name]) => name !== VICTIM);
  const policy: PolicyFile = {
    tenant: VICTIM,
    coordinator: { url: server.url, fingerprint: fingerprint(server.coordinator.publicKey) },
    ...{ data: 'customers.csv', schema: 'schema.json', maxCustomers: 20 },
    peers: Object.fromEntries(peers.map(([name, { publicKey }]) => [name, fingerprint(publicKey)])),
    accept: {
      ...{ work: ['train'], secureSum: [...SECURE_SUMS], mode: ['record-distributed'] },
      ...{ maxEpsilon: 8, maxDelta: 1e-3, minCohort: 1, minColluders: 0, minUploadEveryMs: 1 },
    },
    budget: { training: { epsilon: 100, delta: 1e-3 }, 'held-out': { epsilon: 100, delta: 1e-3 } },
  };
  writeFileSync(policyFile(folder), JSON.stringify(policy));

  const child = spawn(
    process.execPath,
    ['--import', SPILL, PARLEY, 'client', '--folder', folder, '--backend', 'cpu', '--json'],
    {
      ...{ cwd: elsewhere, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] },
      env: { ...process.env, HOME: elsewhere, TMPDIR: elsewhere },
    },
  );
  onTestFinished(() => void child.kill('SIGKILL'));
  const heard = ['', '', '', ''];
  for (const fd of [1, 2, 3]) child.stdio[fd]!.on('data', (data: Buffer) => (heard[fd]! += data.toString('latin1')));
  const complaint = () => heard.slice(1, 3).join('');
  await until(() => server.coordinator.present().size === FIVE.length, complaint);
  const conductor = server.coordinator.propose(smallTask(protocol, { rounds: 2, timing: { stageTimeoutMs: 60_000 } }));
  const hasSaid = (): boolean => {
    const { state } = conductor;
    const isSumming = state.phase === 'running' && state.keyed; // keying has stages with the same numbers
    const asking = isSumming && state.conversation?.phase === 'asking' ? state.conversation : undefined;
    return asking?.stage === protocolNamed(protocol).summing.length - 1 && asking.said.has(VICTIM);
  };
  await until(hasSaid, complaint);
  const gone = once(child, 'close');
  child.kill('SIGKILL');
  await gone;
  expect(conductor.state).toMatchObject({ phase: 'running', round: 1, steps: 0 });
  return { world, folder, printed: complaint(), secrets: heard[3]!.split('\n').slice(0, -1) };
}

const WINDOW = 16;
/** Zeros and the like are everywhere. */
const tells = (window: Buffer): boolean => new Set(window).size >= 8;
const windowsOf = (secret: Buffer): Buffer[] => {
  const starts = Array.from({ length: Math.floor((secret.length - WINDOW) / 4) + 1 }, (_, i) => 4 * i);
  return starts.map((at) => secret.subarray(at, at + WINDOW)).filter(tells);
};

/** What a file says as it stands, and read as hexadecimal and base64 wherever it may be. */
function* readings(bytes: Buffer): Iterable<Buffer> {
  yield bytes;
  const text = bytes.toString('latin1');
  for (const [run] of text.matchAll(/[0-9a-fA-F]{32,}/g))
    for (const from of [0, 1]) yield Buffer.from(run.slice(from), 'hex');
  for (const [run] of text.matchAll(/[A-Za-z0-9+/_-]{22,}/g))
    for (const from of [0, 1, 2, 3]) yield Buffer.from(run.slice(from), 'base64');
}

/** Is any 16 bytes of any secret in here? */
function holds(bytes: Buffer, windows: ReadonlySet<string>): boolean {
  for (const reading of readings(bytes)) {
    const text = reading.toString('latin1');
    for (let at = 0; at + WINDOW <= text.length; at++) if (windows.has(text.slice(at, at + WINDOW))) return true;
  }
  return false;
}

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

describe.each(PROTECTING_SUMS)('a client killed in the middle of a round under %s', (protocol) => {
  test('leaves none of its secrets on disk, and has printed none', { timeout: 60_000 }, async () => {
    const { world, folder, printed, secrets } = await killed(protocol);
    expect(secrets.length).toBeGreaterThan(20);
    if (protocol === 'threshold-he') expect(secrets.map(({ length }) => length / 2)).toContain(PACKED_BYTES); // its key
    const files = new Map(filesIn(world).map((file) => [file, readFileSync(file)])); // as they lie there: nobody tidied up
    const store = openClientStore(storeFile(folder));
    const salt = store.pinned('salt')!; // random too, and kept: of the commitment to its data
    store.close();
    const kept = new Set(windowsOf(Buffer.from(salt, 'hex')).map((one) => one.toString('latin1')));
    const all = secrets.flatMap((one) => windowsOf(Buffer.from(one, 'hex'))).map((one) => one.toString('latin1'));
    const windows = new Set(all.filter((one) => !kept.has(one)));
    expect(windows.size).toBeGreaterThan(1000);
    expect([...files.keys()]).toEqual(expect.arrayContaining([storeFile(folder), `${storeFile(folder)}-wal`]));
    expect([...files].filter(([, bytes]) => holds(bytes, windows)).map(([file]) => file)).toEqual([]);
    expect(holds(Buffer.from(printed, 'latin1'), windows)).toBe(false);

    // control: the search finds what is there, in each of the forms it may have
    expect([...files.values()].some((bytes) => holds(bytes, kept))).toBe(true);
    const [secret] = secrets.filter((one) => one.length === 64 && windowsOf(Buffer.from(one, 'hex')).length > 4);
    for (const form of ['latin1', 'hex', 'base64'] as const) {
      const file = join(world, `${form}.txt`);
      appendFileSync(file, Buffer.from(`some text ${Buffer.from(secret!, 'hex').toString(form)} and more`, 'latin1'));
      expect(holds(readFileSync(file), windows), form).toBe(true);
    }
  });
});
