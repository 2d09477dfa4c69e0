import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openClientStore } from '../../client/client-store.ts';
import { storeFile } from '../../client/folder.ts';
import type { TaskView } from '../../coordinator/task-view.ts';
import { isHeldOut, type Table } from '../../models/encode.ts';
import type { FeatureSchema } from '../../models/schema.ts';
import type { LedgerEntry } from '../../privacy/ledger.ts';
import {
  csvOf,
  parley,
  policyIn,
  startWorld,
  type World,
  writePolicy,
  writeUnits,
} from '../support-client/processes.ts';
import { toyFeatures, toySettings, toyTable } from '../support-client/toy-task.ts';

/*
 * What a business unit does when it changes its key, loses it, must erase a customer, loses its store, or leaves: one story,
 * each client and the coordinator a process of its own.
 */
const UNITS = ['ada', 'bob', 'cleo', 'dan', 'eve'] as const;
const contract: FeatureSchema = { ...toyFeatures, customer: { column: 'name', maxRows: 1 } };

let folder: string;
let world: World;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-leaving-'));
  world = await startWorld(folder);
  writeUnits(world, new Map(UNITS.map((unit) => [unit, customersOf(unit)])), contract);
  for (const unit of UNITS) writePolicy(world, { ...policyIn(world, unit), maxCustomers: 100 });
});
afterAll(async () => {
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function customersOf(unit: string): Table {
  const { columns, rows, ...rest } = toyTable(unit, 60);
  return { ...rest, columns: ['name', ...columns], rows: rows.map((row, i) => [`${unit}-customer-${i}`, ...row]) };
}

const operator = (...args: string[]) => [...args, '--coordinator', world.url, '--folder', world.coordinatorFolder];
const own = (command: string, unit: string, ...args: string[]) => [
  ...['client', command, '--folder', world.unitFolder(unit), '--json', ...args],
];

async function json<T>(args: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await parley(args);
  expect(code, `${args.join(' ')}: ${stderr}`).toBe(0);
  return JSON.parse(stdout) as T;
}

/** Refused with code 4, in these words and without a stack. */
async function expectRefused(args: readonly string[], why: string): Promise<void> {
  const { code, stderr } = await parley(args);
  expect({ code, stderr }).toEqual({ code: 4, stderr: expect.stringContaining(why) });
  expect(stderr).not.toContain('    at ');
}

async function started(name: string, rounds: number): Promise<string> {
  const timing = { uploadEveryMs: 10, graceMs: 300, stageTimeoutMs: 5000, patienceMs: 45_000 };
  const settings = toySettings({ name, rounds, features: contract, minCohort: 4, colluders: 1, epsilon: 1, timing });
  const file = join(folder, `${name}.json`);
  writeFileSync(file, JSON.stringify(settings));
  return (await json<TaskView>(operator('task', 'start', file, '--json'))).id;
}
const isOver = ({ phase }: TaskView): boolean => phase === 'finished' || phase === 'stopped';
const finished = async (name: string): Promise<TaskView> => {
  const view = await world.until(await started(name, 2), isOver, 60_000);
  expect(view, JSON.stringify(view)).toMatchObject({ phase: 'finished', steps: 2 });
  return view;
};
const entries = async (): Promise<LedgerEntry[]> =>
  ((await world.get('/ledger')) as { entries: LedgerEntry[] }).entries;
const changes = async (unit: string): Promise<string[]> =>
  (await entries()).flatMap((entry) => (entry.kind === 'roster' && entry.tenant === unit ? [entry.change] : []));

test('five units enrol, and train a first model', async () => {
  for (const unit of UNITS) {
    const { code } = await json<{ code: string }>(operator('tenant', 'invite', unit, '--json'));
    await world.startUnit(unit, code);
  }
  const view = await finished('first');
  expect(view.accepted).toEqual(UNITS);
  for (const unit of UNITS) expect(view.budgets[unit]).toMatchObject({ agrees: true, limit: 20 });
  const { stdout } = await parley(operator('task', 'status', view.id));
  expect(stdout).toMatch(/ada states ε 1\.000 of 20 for its customers' lifetime\n/);
});

describe('another key', () => {
  test('is not made beside a running client', async () => {
    const { code, stderr } = await parley(own('rekey', 'dan'));
    expect({ code, stderr }).toEqual({
      code: 7,
      stderr: expect.stringContaining('another client runs on this folder'),
    });
  });

  test('takes the old one’s place: running tasks go on without the unit, the old key opens nothing', async () => {
    const id = await started('dan-changes', 100);
    await world.until(id, ({ steps }) => steps >= 3);
    await world.kill('dan');
    const stolen = join(folder, 'stolen');
    cpSync(world.unitFolder('dan'), stolen, { recursive: true });
    const { fingerprint } = await json<{ fingerprint: string }>(own('rekey', 'dan'));
    const { steps } = await world.until(id, ({ declined }) => 'dan' in declined);
    const view = await world.until(id, (now) => now.steps >= steps + 5 || isOver(now));
    expect(view.declined['dan']).toEqual({ cause: 'roster', reason: 'has another key now' });
    expect(view.accepted).toEqual(['ada', 'bob', 'cleo', 'eve']);
    await json(operator('task', 'stop', id, '--json'));

    for (const command of ['rekey', 'leave'])
      await expectRefused(['client', command, '--folder', stolen], 'not its key');
    await expectRefused(
      ['client', '--folder', stolen, '--backend', 'cpu', '--json'],
      'not an enrolled tenant, or not its key',
    );
    expect(await changes('dan')).toEqual(['enrolled', 're-keyed']);
    await world.startUnit('dan');
    const { tenants } = (await world.get('/federation')) as { tenants: { tenant: string; fingerprint: string }[] };
    expect(tenants.find(({ tenant }) => tenant === 'dan')).toMatchObject({ fingerprint });
  });

  test('under the same name comes with a new code, after the operator took the old one away', async () => {
    await json(operator('tenant', 'revoke', 'bob', '--json'));
    await expectRefused(operator('tenant', 'revoke', 'bob'), 'is not enrolled');
    await world.ended('bob');
    expect(world.log('bob')).toContain('not an enrolled tenant, or not its key');
    const { code } = await json<{ code: string }>(operator('tenant', 'invite', 'bob', '--json'));
    await expectRefused(
      ['client', '--folder', world.unitFolder('bob'), '--backend', 'cpu', '--json', '--code', code],
      'this key was revoked or replaced before: join with a new one, `parley client rekey --code CODE`',
    );
    await json(own('rekey', 'bob', '--code', code));
    expect(await changes('bob')).toEqual(['enrolled', 'revoked', 'enrolled']);
    await world.startUnit('bob');
  });

  test('counts with the others when they have pinned it, and the budget has gone on', async () => {
    const { tenants } = (await world.get('/federation')) as { tenants: { tenant: string; fingerprint: string }[] };
    for (const unit of UNITS) {
      await world.kill(unit);
      const others = tenants.filter(({ tenant }) => tenant !== unit).map((one) => [one.tenant, one.fingerprint]);
      writePolicy(world, { ...policyIn(world, unit), peers: Object.fromEntries(others) });
      await world.startUnit(unit);
    }
    const view = await finished('second');
    expect(view.accepted).toEqual(UNITS);
    for (const unit of UNITS) {
      expect(view.budgets[unit], unit).toMatchObject({ agrees: true });
      expect(view.budgets[unit]!.stated, unit).toBeGreaterThan(1); // what the first task cost is still there
    }
  });
});

describe('a customer that is erased', () => {
  const ERASED = customersOf('ada')
    .rows.map(([name]) => name!)
    .find((name) => !isHeldOut(contract, name))!;

  test('is named to nobody, and its unit is told what released models still contain', async () => {
    await world.kill('ada');
    const before = (await entries()).length;
    const { erased, statements } = await json<{
      erased: number;
      statements: {
        pool: string;
        released: { name: string; epsilon: number; truePositiveRate: number }[];
        epsilon: number;
        limit: number;
      }[];
    }>(own('erase', 'ada', '--customer', ERASED));
    expect(erased).toBe(1);
    const [{ pool, released, epsilon, limit }] = statements as [(typeof statements)[number]];
    expect(pool).toBe('training');
    expect(released.map(({ name }) => name)).toEqual(['first', 'dan-changes', 'second']);
    for (const one of released) {
      expect(one.epsilon).toBeGreaterThan(0);
      expect(one.epsilon).toBeLessThanOrEqual(1);
      expect(one.truePositiveRate).toBeGreaterThan(0.01); // more than blind guessing
      expect(one.truePositiveRate).toBeLessThanOrEqual(Math.exp(one.epsilon) * 0.01 + 1e-5); // and no more than ε allows
    }
    expect(epsilon).toBeGreaterThan(Math.max(...released.map((one) => one.epsilon)));
    expect(limit).toBe(20);
    const added = (await entries()).slice(before);
    expect(added).toMatchObject([{ kind: 'erasure', tenant: 'ada', task: '-' }]);
    expect(JSON.stringify(await entries())).not.toContain(ERASED);
  });

  test('may leave the file: its unit goes on in the next task without it', async () => {
    const { columns, rows } = customersOf('ada');
    const file = join(world.unitFolder('ada'), 'customers.csv');
    writeFileSync(file, csvOf({ columns, rows: rows.filter(([name]) => name !== ERASED) }));
    await world.startUnit('ada');
    const view = await finished('third');
    expect(view.accepted).toEqual(UNITS);
    expect(world.log('ada')).not.toContain(ERASED);
    expect(readFileSync(storeFile(world.unitFolder('ada'))).includes(ERASED)).toBe(false);
  });

  test('is not taken for another: an unknown name, or a row, is refused before anything is done', async () => {
    await world.kill('ada');
    const before = (await entries()).length;
    const unknown = await parley(own('erase', 'ada', '--customer', 'nobody'));
    expect(unknown).toMatchObject({ code: 3, stderr: expect.stringContaining('no row of --customer number 1') });
    expect(unknown.stderr).not.toContain('nobody');
    const row = await parley(own('erase', 'ada', '--row', '3'));
    expect(row).toMatchObject({ code: 2, stderr: expect.stringContaining('customers have a column here') });
    const none = await parley(own('erase', 'ada'));
    expect(none).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('name who is to be erased, with --customer'),
    });
    expect((await entries()).length).toBe(before);
    const gone = await parley([
      'client',
      'erase',
      '--folder',
      world.unitFolder('ada'),
      '--absent',
      '--customer',
      ERASED,
    ]);
    expect(gone).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Nothing can be removed from what is released'),
    });
    expect(gone.stdout).toContain('they are the most that anyone can tell about whether the customer was in it');
    expect((await entries()).length).toBe(before + 1);
    await world.startUnit('ada');
  });

  test('is erased where the coordinator cannot be reached, and the ledger told when it can', async () => {
    await world.kill('eve');
    await world.killCoordinator();
    const away = await parley(own('erase', 'eve', '--customer', 'eve-customer-1', 'eve-customer-2'));
    expect(away).toMatchObject({ code: 5, stderr: expect.stringContaining('Nobody named is used here any more') });
    await world.restartCoordinator();
    const before = (await entries()).length;
    await json(own('erase', 'eve'));
    expect((await entries()).slice(before)).toMatchObject([{ kind: 'erasure', tenant: 'eve' }]);
    const again = await parley(own('erase', 'eve'));
    expect(again.code).toBe(2); // nothing is due any more
    await world.startUnit('eve');
  });
});

test('a store that is lost is counted again from the ledger, and never to less', async () => {
  await world.kill('cleo');
  const file = storeFile(world.unitFolder('cleo'));
  const lost = openClientStore(file);
  const heldBefore = lost.budget()!.pools.find(({ name }) => name === 'training')!.held;
  lost.close();
  await expectRefused(own('restore-budget', 'cleo'), 'has a budget; it knows better than the ledger');
  for (const name of [file, `${file}-wal`, `${file}-shm`]) rmSync(name, { force: true });
  await expectRefused(
    ['client', '--folder', world.unitFolder('cleo'), '--backend', 'cpu', '--json'],
    'cleo has accepted tasks before, and its store is new',
  );
  const { tasks, pools } = await json<{ tasks: string[]; pools: { pool: string; epsilon: number; limit: number }[] }>(
    own('restore-budget', 'cleo'),
  );
  expect(tasks).toHaveLength(4); // first, dan-changes, second, third
  expect(pools[0]).toMatchObject({ pool: 'training', limit: 20 });
  const restored = openClientStore(file);
  const heldAfter = restored.budget()!.pools.find(({ name }) => name === 'training')!.held;
  restored.close();
  for (const { task, reserved, committed } of heldBefore) {
    const after = heldAfter.find((one) => one.task === task)!;
    expect(after.committed).toBeGreaterThanOrEqual(reserved + committed);
  }
  await world.startUnit('cleo');
  const view = await finished('fourth');
  expect(view.accepted).toContain('cleo');
  expect(view.budgets['cleo']!.stated).toBeGreaterThan(view.budgets['bob']!.stated);
});

test('a unit that leaves is in no new plan, and the whole story verifies', async () => {
  await world.kill('eve');
  await json(own('leave', 'eve'));
  expect(await changes('eve')).toEqual(['enrolled', 'left']);
  await expectRefused(own('leave', 'eve'), 'not an enrolled tenant, or not its key');
  const view = await finished('fifth');
  expect(view.accepted).toEqual(['ada', 'bob', 'cleo', 'dan']);
  const verified = await json<{ verified: boolean; unknownKeys: string[] }>([
    ...['ledger', 'verify', '--coordinator', world.url, '--folder', world.unitFolder('ada'), '--json'],
  ]);
  expect(verified.verified).toBe(true);
  // earlier plans have their earlier keys: nobody read those out to ada
  expect(verified.unknownKeys).toEqual(expect.arrayContaining(['bob', 'dan']));
  for (const unit of ['cleo', 'eve', 'coordinator']) expect(verified.unknownKeys).not.toContain(unit);
});

test.each(['rekey', 'leave', 'erase', 'restore-budget'])(
  'parley client %s has --help with an example',
  async (command) => {
    const { code, stdout } = await parley(['client', command, '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain(`\nExample: parley client ${command}`);
    expect(stdout).toContain('--json');
  },
);
