import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FIVE, smallTables, smallTask } from '../support/small-task.ts';
import {
  type Ended,
  parley,
  policyIn,
  startWorld,
  type World,
  writePolicy,
  writeUnits,
} from '../support-client/processes.ts';

/*
 * A coordinator's machine is lost, and comes back from a backup and from what the tenants have: real commands, told in order.
 */
const UNITS = FIVE;
const started: string[] = [];
let folder: string;
let world: World;
let hub: string;
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-keeping-'));
  world = await startWorld(folder, { coordinator: started });
  hub = world.coordinatorFolder;
  writeUnits(world, smallTables(UNITS), smallTask().features);
  for (const unit of UNITS) writePolicy(world, { ...policyIn(world, unit), maxCustomers: 30 });
  for (const unit of UNITS) await enrol(unit);
  await run('first');
}, 100_000);
afterAll(async () => {
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function done(...args: string[]): Promise<Ended> {
  const ended = await parley(args);
  expect(ended.code, ended.stderr).toBe(0);
  return ended;
}

async function enrol(unit: string): Promise<void> {
  const invited = await done('tenant', 'invite', unit, '--folder', hub, '--coordinator', world.url, '--json');
  await world.startUnit(unit, (JSON.parse(invited.stdout) as { code: string }).code);
}

/** A task from its plan to its end. */
async function run(name: string): Promise<void> {
  const small = smallTask('threshold-he', { rounds: 2, timing: { uploadEveryMs: 20 } });
  writeFileSync(at(`${name}.json`), JSON.stringify({ ...small, name, privacy: { ...small.privacy, epsilon: 2 } }));
  await done('task', 'start', at(`${name}.json`), '--folder', hub, '--coordinator', world.url, '--watch', '--json');
}

test('a coordinator that runs backs itself up, and the backup holds', async () => {
  const made = await done(
    'coordinator',
    'backup',
    '--folder',
    hub,
    '--to',
    at('monday'),
    '--coordinator',
    world.url,
    '--json',
  );
  expect(JSON.parse(made.stdout)).toEqual({ backup: at('monday'), entries: expect.any(Number) });
  const { stdout } = await done('coordinator', 'check', '--folder', at('monday'));
  expect(stdout).toMatch(/ledger +\d+ entries +holds/);
  expect(stdout).toMatch(/roster +5 tenants +holds/);
  const again = await parley([
    'coordinator',
    'backup',
    '--folder',
    hub,
    '--to',
    at('monday'),
    '--coordinator',
    world.url,
  ]);
  expect(again).toMatchObject({ code: 4, stderr: expect.stringContaining('is there already') });
  const running = await parley(['coordinator', 'check', '--folder', hub]);
  expect(running).toMatchObject({ code: 7, stderr: expect.stringContaining('is in use by a') });
  await run('second');
}, 100_000);

test('one that was killed is whole, and is backed up as it lies', async () => {
  await world.killCoordinator();
  await done('coordinator', 'check', '--folder', hub);
  const made = await done('coordinator', 'backup', '--folder', hub, '--to', at('tuesday'));
  expect(made.stdout).toMatch(/backup of a ledger of \d+ entries, checked: /);
}, 100_000);

test('without what the tenants know it comes back to be refused', async () => {
  rmSync(hub, { recursive: true });
  for (const unit of UNITS) await world.kill(unit);
  const asked = await parley(['coordinator', 'restore', at('monday'), '--folder', at('behind')]);
  expect(asked).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('parley client ledger FILE --folder FOLDER'),
  });
  await done('coordinator', 'restore', at('monday'), '--folder', at('behind'), '--no-later-entries');
  renameSync(at('behind'), hub);
  await world.restartCoordinator();
  const refused = await parley(['client', '--folder', world.unitFolder('amber'), '--backend', 'cpu', '--json']);
  expect(refused.code).toBe(4);
  expect(refused.stderr).toMatch(
    /amber has seen \d+ entries of the ledger, this coordinator has \d+: its store is an old copy/,
  );
  await world.killCoordinator();
  rmSync(hub, { recursive: true });
}, 100_000);

test('with it everybody is there again, and works on', async () => {
  const copies = UNITS.map((unit) => at(`${unit}.json`));
  for (const [i, unit] of UNITS.entries())
    await done('client', 'ledger', copies[i]!, '--folder', world.unitFolder(unit));
  const restored = await done('coordinator', 'restore', at('monday'), '--folder', at('new'), '--ledger', ...copies);
  expect(restored.stdout).toMatch(/Restored to .*: a backup of .* and \d+ later entries/);
  expect(restored.stdout).toContain('--new-operator NAME');
  renameSync(at('new'), hub);
  started.push('--new-operator', 'ada');
  await world.restartCoordinator();
  for (const unit of UNITS) await world.startUnit(unit);
  await run('third');
  await done('ledger', 'verify', '--folder', world.unitFolder('coral'), '--coordinator', world.url);
}, 100_000);

test('its file goes to another version and back; what has changed in it is named, and nobody starts on it', async () => {
  await world.killCoordinator();
  await done('coordinator', 'migrate', '--folder', hub, '--to', '1');
  const older = await parley(['coordinator', 'check', '--folder', hub]);
  expect(older).toMatchObject({
    code: 4,
    stderr: expect.stringContaining('coordinator migrate --folder FOLDER --to 2'),
  });
  await done('coordinator', 'migrate', '--folder', hub, '--to', '2');
  expect(readdirSync(hub).filter((name) => /\.v[12]-/.test(name))).toHaveLength(2);

  const db = new DatabaseSync(join(hub, 'events.db'));
  db.exec(`update ledger set entry = replace(entry, 'amber', 'umber') where seq = 0`);
  db.close();
  const checked = await parley(['coordinator', 'check', '--folder', hub]);
  expect(checked).toMatchObject({
    code: 6,
    stdout: expect.stringMatching(/ledger .*DOES NOT HOLD\n +the stored ledger/),
  });
  const refused = await parley(['coordinator', '--folder', hub, '--port', '0', '--json']);
  expect(refused.code).toBe(7);
  expect(refused.stderr).toContain('the stored ledger does not hold at entry 1');
  expect(refused.stderr).toContain('DOES NOT HOLD');
  expect(refused.stderr).toContain('parley coordinator restore BACKUP --folder NEW');
  expect(readFileSync(join(at('tuesday'), 'manifest.json'), 'utf8')).toContain('parley-backup-v1');
}, 100_000);
