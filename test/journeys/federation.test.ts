import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Settings } from '../../aggregation/settings.ts';
import { openClientStore } from '../../client/client-store.ts';
import { storeFile } from '../../client/folder.ts';
import type { TaskView } from '../../coordinator/task-view.ts';
import type { Table } from '../../models/encode.ts';
import type { LedgerEntry } from '../../privacy/ledger.ts';
import { churnSettings, splitByUnit, TELCO_UNITS, telcoTable } from '../../simulation/telco.ts';
import {
  csvOf,
  parley,
  policyIn,
  startWorld,
  type World,
  writePolicy,
  writeUnits,
} from '../support-client/processes.ts';

/*
 * One federation from the first invitation to the last verified ledger: a coordinator and five business units, each a
 * process of its own, on real customers. The tests below are one story, told in order.
 */
let folder: string;
let world: World;
let tables: Map<string, Table>;
const [PHONE, DSL, CONTRACT, FIBER, LAST] = TELCO_UNITS as [string, string, string, string, string];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-journey-'));
  // every fourth customer: enough to learn from, quick to read
  const all = [...splitByUnit(await telcoTable())];
  tables = new Map(
    all.map(([unit, table]) => [unit, { ...table, rows: table.rows.filter((_, row) => row % 4 === 0) }]),
  );
  world = await startWorld(folder);
  writeUnits(world, tables, churnSettings.features);
});
afterAll(async () => {
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** The demo's churn task with fewer rounds. */
function settings(name: string, rounds: number): string {
  const { work, timing } = churnSettings;
  const short: Settings = {
    ...churnSettings,
    name,
    work: { ...(work as Extract<Settings['work'], { kind: 'train' }>), rounds, averageLast: Math.ceil(rounds / 2) },
    privacy: { ...churnSettings.privacy, epsilon: 1 },
    timing: { ...timing, uploadEveryMs: 20, stageTimeoutMs: 5000, graceMs: 300, patienceMs: 45_000 },
  };
  const file = join(folder, `${name}.json`);
  writeFileSync(file, JSON.stringify(short));
  return file;
}

const operator = (...args: string[]) => [...args, '--coordinator', world.url, '--folder', world.coordinatorFolder];
/** Reads as whoever holds the operator's token. */
const reader = (...args: string[]) => [
  ...[...args, '--coordinator', world.url],
  ...['--token-file', join(world.coordinatorFolder, 'operator.token')],
];
const json = <T>(text: string): T => JSON.parse(text) as T;

async function started(name: string, rounds: number): Promise<string> {
  const { code, stdout, stderr } = await parley(operator('task', 'start', settings(name, rounds), '--json'));
  expect(code, stderr).toBe(0);
  return json<TaskView>(stdout).id;
}
const steps =
  (count: number) =>
  (view: TaskView): boolean =>
    view.steps >= count || view.phase === 'stopped';
const isOver = ({ phase }: TaskView): boolean => phase === 'finished' || phase === 'stopped';
const entriesOf = async (task: string): Promise<LedgerEntry[]> =>
  ((await world.get('/ledger')) as { entries: (LedgerEntry | string)[] }).entries
    .map((entry) => (typeof entry === 'string' ? json<LedgerEntry>(entry) : entry))
    .filter((entry) => entry.task === task);

/** Each step released once, each release after its own charge, every charge within the plan. */
async function expectSound(view: TaskView): Promise<void> {
  const entries = await entriesOf(view.id);
  const releases = entries.filter(({ kind }) => kind === 'release');
  const charges = entries.filter(({ kind }) => kind === 'charge');
  const rounds = releases.map((entry) => 'round' in entry && entry.round);
  expect(new Set(rounds).size).toBe(releases.length);
  expect(new Set(charges.map((entry) => 'round' in entry && entry.round)).size).toBe(charges.length);
  expect(releases).toHaveLength(view.rounds);
  expect(charges.length).toBeLessThanOrEqual(view.openings);
  const { code, stderr } = await parley(reader('ledger', 'verify', '--fingerprint', world.fingerprint));
  expect(code, stderr).toBe(0);
}

describe('enrolment', () => {
  const codes = new Map<string, string>();

  test('takes a one-time code that the operator hands out', async () => {
    for (const unit of TELCO_UNITS) {
      const { code, stdout } = await parley(operator('tenant', 'invite', unit, '--json'));
      expect(code).toBe(0);
      codes.set(unit, json<{ code: string }>(stdout).code);
    }
    expect(new Set(codes.values()).size).toBe(5);
    await Promise.all(TELCO_UNITS.map((unit) => world.startUnit(unit, codes.get(unit))));
  });

  test('with a wrong code, another’s or a used one is refused with code 4, and what to do', async () => {
    const stranger = join(folder, 'stranger');
    const customers = join(world.unitFolder(FIBER), 'customers.csv');
    const schema = join(world.unitFolder(FIBER), 'schema.json');
    const init = ['client', 'init', '--tenant', 'stranger', '--coordinator', world.url];
    const made = await parley([
      ...init,
      '--fingerprint',
      world.fingerprint,
      '--data',
      customers,
      '--schema',
      schema,
      '--to',
      stranger,
      '--json',
    ]);
    expect(made.code, made.stderr).toBe(0);
    const wrong = await parley(['client', '--folder', stranger, '--code', '0000-0000', '--backend', 'cpu']);
    expect(wrong).toMatchObject({ code: 4, stderr: expect.stringContaining('invites nobody of that name') });
    const others = await parley(['client', '--folder', stranger, '--code', codes.get(FIBER)!, '--backend', 'cpu']);
    expect(others).toMatchObject({ code: 4, stderr: expect.stringContaining('invites nobody of that name') });

    const thief = join(folder, 'thief');
    const policy = policyIn(world, FIBER);
    await parley(['tenant', 'fingerprint', '--folder', thief]);
    writeFileSync(join(thief, 'policy.json'), JSON.stringify({ ...policy, data: customers, schema }));
    const used = await parley(['client', '--folder', thief, '--code', codes.get(FIBER)!, '--backend', 'cpu']);
    expect(used).toMatchObject({ code: 4, stderr: expect.stringContaining('this code was used before') });
    const without = await parley(['client', '--folder', thief, '--backend', 'cpu']);
    expect(without).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('not an enrolled tenant, or not its key'),
    });
  });

  test('shows its code to no other coordinator than the pinned one', async () => {
    const elsewhere = join(folder, 'elsewhere');
    const wrong = world.fingerprint.replace(/^.{4}/, (four) => (four === '0000' ? '1111' : '0000'));
    const init = ['client', 'init', '--tenant', 'late', '--coordinator', world.url, '--fingerprint', wrong];
    const unit = world.unitFolder(FIBER);
    const files = ['--data', join(unit, 'customers.csv'), '--schema', join(unit, 'schema.json')];
    await parley([...init, ...files, '--to', elsewhere]);
    const { code, stderr } = await parley(['client', '--folder', elsewhere, '--code', 'any', '--backend', 'cpu']);
    expect(code).toBe(4);
    expect(stderr).toContain(`the policy pins ${wrong}`);
  });
});

test('a second client on the same folder is turned away: one budget, one process', async () => {
  const { code, stderr } = await parley(['client', '--folder', world.unitFolder(DSL), '--backend', 'cpu']);
  expect(code).toBe(7);
  expect(stderr).toContain('is locked: another client runs on this folder; stop it first');
  expect(stderr).not.toContain('    at ');
});

describe('a task', () => {
  let id: string;

  test('is checked before anyone commits to it, against the roster there is', async () => {
    const { code, stdout } = await parley(operator('task', 'check', settings('first', 6), '--json'));
    expect(code).toBe(0);
    expect(json(stdout)).toMatchObject({ threshold: 4, openings: 7, dimension: 47 });
    const plain = await parley(['task', 'check', settings('first', 6), '--tenants', '5']);
    expect(plain.stdout).toMatch(/ε at δ 0\.00001 {5}release 0\.\d+ · coalition (1\.000|0\.999) · floor/);
  });

  test('runs to its end, and every command says the same of it', async () => {
    const watched = await parley(operator('task', 'start', settings('first', 6), '--watch', '--json'));
    expect(watched.code, watched.stderr).toBe(0);
    const view = json<TaskView>(watched.stdout);
    id = view.id;
    expect(view).toMatchObject({ phase: 'finished', steps: 6, charges: 6, declined: {} });
    const status = await parley(operator('task', 'status', id.slice(0, 10), '--json'));
    expect(json(status.stdout)).toMatchObject({ id, phase: 'finished' });
    const all = await parley(operator('task', 'status', '--json'));
    expect(json<TaskView[]>(all.stdout).map((one) => one.id)).toEqual([id]);
    await expectSound(view);
    const verified = await parley(reader('ledger', 'verify', '--json'));
    const [task] = json<{ tasks: { epsilon: number; charges: number }[] }>(verified.stdout).tasks;
    expect(task).toMatchObject({ charges: 6, epsilon: view.privacy.epsilonSoFar.coalition }); // the ε shown is the ledger's
  });

  test('leaves every unit a model of its own, and the same one', async () => {
    const hashes = TELCO_UNITS.map((unit) => {
      const models = join(world.unitFolder(unit), 'models');
      const [name] = readdirSync(models);
      expect(name).toBe(`first-${id.slice(0, 8)}`);
      const weights = readdirSync(join(models, name!)).find((file) => file.endsWith('.bin'))!;
      return readFileSync(join(models, name!, weights)).toString('hex');
    });
    expect(new Set(hashes).size).toBe(1);
  });

  test('gives scores where the customers are: one of them, or a file of them', async () => {
    const model = join(world.unitFolder(FIBER), 'models', `first-${id.slice(0, 8)}`);
    const { columns, rows } = tables.get(FIBER)!;
    const customer = JSON.stringify(Object.fromEntries(columns.map((column, i) => [column, rows[0]![i]])));
    const one = await parley(['predict', '--model', model, '--customer', customer, '--backend', 'cpu', '--json']);
    expect(one.code, one.stderr).toBe(0);
    const { score } = json<{ score: number }>(one.stdout);
    expect(score).toBeGreaterThan(0);
    expect(score).toBeLessThan(1);

    const input = join(folder, 'some.csv');
    const output = join(folder, 'scored.csv');
    writeFileSync(input, csvOf({ columns, rows: rows.slice(0, 20) }));
    const many = await parley([
      'predict',
      '--model',
      model,
      '--input',
      input,
      '--output',
      output,
      '--backend',
      'cpu',
      '--json',
    ]);
    expect(json(many.stdout)).toEqual({ output, rows: 20 });
    const lines = readFileSync(output, 'utf8').trim().split('\n');
    expect(lines).toHaveLength(21);
    expect(lines[0]).toBe(`${columns.join(',')},score`);
    expect(Number(lines[1]!.split(',').at(-1))).toBe(score);
    expect(existsSync(`${output}.partial`)).toBe(false);

    const again = await parley(['predict', '--model', model, '--input', input, '--output', output, '--backend', 'cpu']);
    expect(again).toMatchObject({ code: 2, stderr: expect.stringContaining('exists already') });
    appendFileSync(input, 'a line too short\n');
    const broken = await parley(['predict', '--model', model, '--input', input, '--output', `${output}2`, '--json']);
    expect(broken.code).toBe(3);
    expect(json<{ error: string }>(broken.stderr).error).toContain(`${input}:22`);
    expect(existsSync(`${output}2`)).toBe(false);
  });

  test('stands in a ledger that anyone can verify offline, and nobody can change', async () => {
    const file = join(folder, 'ledger.json');
    const exported = await parley(reader('ledger', 'export', file, '--json'));
    const { entries } = json<{ entries: number }>(exported.stdout);
    const again = await parley(reader('ledger', 'export', file));
    expect(again).toMatchObject({ code: 3, stderr: expect.stringContaining('is there already') });
    const shown = await parley(['ledger', 'show', file]);
    expect(shown.stdout.trim().split('\n')).toHaveLength(entries);
    const verified = await parley(['ledger', 'verify', file, '--fingerprint', world.fingerprint, '--json']);
    const tasks = [expect.objectContaining({ witnessed: 'end' })];
    expect(json(verified.stdout)).toMatchObject({ verified: true, entries, pinned: true, tasks });

    type Export = { entries: (Record<string, unknown> | string)[] };
    const tampered = async (change: (found: Export) => void) => {
      const found = json<Export>(readFileSync(file, 'utf8'));
      change(found);
      const other = join(folder, 'tampered.json');
      writeFileSync(other, JSON.stringify(found));
      return parley(['ledger', 'verify', other]);
    };
    const edit = (found: Export, seq: number, change: (entry: Record<string, unknown>) => void): void => {
      const entry = found.entries[seq]!;
      const parsed = typeof entry === 'string' ? json<Record<string, unknown>>(entry) : entry;
      change(parsed);
      found.entries[seq] = typeof entry === 'string' ? JSON.stringify(parsed) : parsed;
    };
    const changed = await tampered((found) => edit(found, 3, (entry) => Object.assign(entry, { time: 1 })));
    expect(changed).toMatchObject({ code: 6, stderr: expect.stringMatching(/entry 4: does not follow/) });
    const dropped = await tampered((found) => found.entries.splice(5, 1));
    expect(dropped).toMatchObject({ code: 6, stderr: expect.stringContaining('entry 5: ') });
    const cut = await tampered((found) => found.entries.splice(entries - 2));
    const said = `covers ${entries} entries, the file holds ${entries - 2}: cut off`;
    expect(cut).toMatchObject({ code: 6, stderr: expect.stringContaining(said) });
    const other = await parley([
      'ledger',
      'verify',
      file,
      '--fingerprint',
      world.fingerprint.replace(/.$/, (c) => (c === '0' ? '1' : '0')),
    ]);
    expect(other).toMatchObject({ code: 6, stderr: expect.stringContaining(`signed by ${world.fingerprint}, not by`) });

    const roster = join(folder, 'roster.txt');
    await parley(['ledger', 'roster', file, '--to', roster]);
    expect(await parley(['ledger', 'verify', file, '--roster', roster, '--json'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('"unknownKeys":[]'),
    });
    const proof = join(folder, 'entry.proof');
    expect(await parley(['ledger', 'prove', '2', '--file', file, '--to', proof])).toMatchObject({ code: 0 });
    const proven = await parley(['ledger', 'verify', proof, '--roster', roster, '--json']);
    expect(json(proven.stdout)).toMatchObject({ verified: true, index: 2, entry: { seq: 2 } });
    writeFileSync(proof, readFileSync(proof, 'utf8').replace('index 2', 'index 3'));
    const moved = await parley(['ledger', 'verify', proof, '--roster', roster]);
    expect(moved).toMatchObject({ code: 6, stderr: expect.stringContaining('is not entry 3') });
    expect(await parley(['ledger', 'verify', proof])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('give --roster'),
    });
  });
});

describe('when processes die', () => {
  test('one client of five in mid-task: the others go on to the end', async () => {
    const id = await started('one-dies', 30);
    await world.until(id, steps(5));
    await world.kill(DSL);
    const view = await world.until(id, isOver);
    expect(view).toMatchObject({ phase: 'finished', steps: 30 });
    expect(view.connected).not.toContain(DSL);
    await expectSound(view);
    await world.startUnit(DSL);
  });

  test('two of five: the task waits, and goes on with new keys when they are back', async () => {
    const id = await started('two-die', 30);
    await world.until(id, steps(5));
    await Promise.all([world.kill(PHONE), world.kill(CONTRACT)]);
    const waiting = await world.until(id, ({ connected }) => connected.length === 3);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const still = await world.task(id);
    expect(still.phase).toBe('running');
    expect(still.steps - waiting.steps).toBeLessThanOrEqual(1); // a round that had all it needed may end
    await Promise.all([world.startUnit(PHONE), world.startUnit(CONTRACT)]);
    const view = await world.until(id, isOver);
    expect(view).toMatchObject({ phase: 'finished', steps: 30 });
    await expectSound(view);
    // whoever was killed counted at least what the ledger charged it for
    const charges = (await entriesOf(id)).flatMap((entry) => (entry.kind === 'charge' ? [entry.round] : []));
    for (const unit of [PHONE, FIBER]) {
      await world.kill(unit);
      const store = openClientStore(storeFile(world.unitFolder(unit)));
      const mine = charges.filter((round) => store.round(id, round) !== undefined);
      const pool = store.budget()!.pools.find(({ name }) => name === 'training')!;
      const held = pool.held.filter(({ task }) => task === id);
      store.close();
      expect(mine.length).toBeGreaterThanOrEqual(unit === FIBER ? 30 : 5);
      expect(held.reduce((sum, one) => sum + one.reserved + one.committed, 0)).toBeGreaterThanOrEqual(mine.length);
      await world.startUnit(unit);
    }
  });

  test('the coordinator, and is started again on its folder and port: nothing is released twice', async () => {
    const id = await started('coordinator-dies', 30);
    await world.until(id, steps(8));
    await world.killCoordinator();
    await world.restartCoordinator();
    const view = await world.until(id, isOver);
    expect(view).toMatchObject({ phase: 'finished', steps: 30 });
    await expectSound(view);
  });
});

test('a unit whose budget is used up declines, and the others finish without it', async () => {
  const policy = policyIn(world, LAST);
  await world.kill(LAST);
  writePolicy(world, { ...policy, budget: { ...policy.budget, training: { epsilon: 1.2, delta: 1e-5 } } });
  await world.startUnit(LAST);
  const id = await started('too-much', 6);
  const view = await world.until(id, (one) => LAST in one.declined || isOver(one));
  if (!isOver(view)) {
    expect(view.declined[LAST]).toMatchObject({
      cause: 'budget',
      reason: expect.stringContaining('the budget is 1.2'),
    });
  }
  const end = await world.until(id, isOver);
  expect(end).toMatchObject({ phase: 'finished' });
  expect(world.log(LAST)).toMatch(/"because":"budget"/);
  const charges = (await entriesOf(id)).filter((entry) => entry.kind === 'charge');
  expect(charges.every((entry) => entry.kind === 'charge' && entry.contributions === 4)).toBe(true);
});
