import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { TaskView } from '../../coordinator/task-view.ts';
import type { Table } from '../../models/encode.ts';
import { parley, policyIn, startWorld, type World, writePolicy, writeUnits } from '../support-client/processes.ts';
import { toyFeatures, toySettings, toyTable } from '../support-client/toy-task.ts';

/*
 * A federation in operation: a coordinator and three business units, each a process of its own that logs all it can, one of
 * them told to end after the other while a task runs. The tests are one story, told in order.
 */
const ROOT = join(import.meta.dirname, '../..');
let folder: string;
let world: World;
const UNITS = ['north', 'south', 'east'];
const codes = new Map<string, string>();

/** Nothing that is logged may look like these. */
const ROW = { name: 'canary-customer-58c1', months: '41.73421987' };

function withCanary(table: Table): Table {
  const rows = table.rows.map((row, i) => (i === 3 ? [ROW.months, 'no', ROW.name] : [...row, `customer-${i}-58c1`]));
  return { ...table, columns: [...table.columns, 'name'], rows };
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-operating-'));
  const all = ['--log-level', 'trace'];
  world = await startWorld(folder, { coordinator: all, client: [...all, '--metrics-port', '0'] });
  writeUnits(world, new Map(UNITS.map((unit) => [unit, withCanary(toyTable(unit))])), toyFeatures);
  for (const unit of UNITS) {
    const policy = policyIn(world, unit);
    writePolicy(world, { ...policy, maxCustomers: 100, accept: { ...policy.accept, minCohort: 3, minColluders: 0 } });
    const { stdout } = await parley(['tenant', 'invite', unit, ...operator(), '--json']);
    codes.set(unit, (JSON.parse(stdout) as { code: string }).code);
  }
  await Promise.all(UNITS.map((unit) => world.startUnit(unit, codes.get(unit))));
});
afterAll(async () => {
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const operator = (): string[] => ['--coordinator', world.url, '--folder', world.coordinatorFolder];
const steps =
  (count: number) =>
  (view: TaskView): boolean =>
    view.steps >= count || view.phase === 'stopped';
const isOver = ({ phase }: TaskView): boolean => phase === 'finished' || phase === 'stopped';

const ledger = async (): Promise<{ kind: string; round?: number }[]> =>
  ((await world.get('/ledger')) as { entries: { kind: string; round?: number }[] }).entries;

/** The log of a process, line by line. */
const lines = (name: string, of = world.folder): Record<string, unknown>[] =>
  readFileSync(join(of, `${name}.log`), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** Of a metric with exactly these labels. */
function sample(page: string, name: string, labels: Record<string, string>): number | undefined {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  const found = page
    .split('\n')
    .map((line) => /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line))
    .find(
      (line) => line?.[1] === name && wanted.sort().join() === (line[2] ?? '').split(',').filter(Boolean).sort().join(),
    );
  return found ? Number(found[3]) : undefined;
}

interface AlertFile {
  readonly groups: { rules: { alert: string; expr: string; annotations: { summary: string } }[] }[];
}

/** A request that never ends: whoever closes waits for it. */
async function unfinishedRequest(): Promise<void> {
  const { port, hostname } = new URL(world.url);
  const socket = connect({ port: Number(port), host: hostname });
  socket.on('error', () => {});
  await new Promise<void>((resolve) => {
    socket.write('POST /enrolments HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n');
    socket.once('data', () => resolve()); // it has begun
  });
}

describe('a process that is told to end in the middle of a task', () => {
  let task: string;
  let before: TaskView;

  beforeAll(async () => {
    const file = join(folder, 'task.json');
    const settings = toySettings({
      rounds: 60,
      timing: { patienceMs: 45_000, stageTimeoutMs: 20_000, uploadEveryMs: 20 },
    });
    writeFileSync(file, JSON.stringify(settings));
    const { stdout, code, stderr } = await parley(['task', 'start', file, ...operator(), '--json']);
    expect(code, stderr).toBe(0);
    task = (JSON.parse(stdout) as TaskView).id;
  });

  test('is done with 0: the coordinator, which sends its clients away to come back', async () => {
    before = await world.until(task, steps(3));
    expect(await world.end('coordinator')).toBe(0);
    expect(lines('coordinator').some(({ msg }) => msg === 'told to end')).toBe(true);
    await world.restartCoordinator();
    const after = await world.until(task, ({ connected }) => connected.length === UNITS.length);
    expect(after.bytesUp).toBeGreaterThanOrEqual(before.bytesUp);
    for (const unit of UNITS) {
      const pauses = lines(unit).flatMap(({ inMs }) => (typeof inMs === 'number' ? [inMs] : []));
      expect(pauses[0], unit).toBeGreaterThanOrEqual(500); // not at once, and not all together
      expect(pauses[0], unit).toBeLessThanOrEqual(1500);
    }
  });

  test('is taken up where it was, and its bytes do not begin again', async () => {
    const view = await world.until(task, steps(before.steps + 2));
    expect(view.bytesUp).toBeGreaterThan(before.bytesUp);
    expect(view.phase).toBe('running');
    expect((await ledger()).filter(({ kind }) => kind === 'abort')).toEqual([]); // the round was parked, not lost
  });

  test('tells Prometheus so, and every alert is about something it tells', async () => {
    const token = readFileSync(join(world.coordinatorFolder, 'operator.token'), 'utf8').trim();
    const page = await fetch(`${world.url}/metrics`, { headers: { authorization: `Bearer ${token}` } });
    const text = await page.text();
    const name = `toy-${task.slice(0, 8)}`;
    expect(sample(text, 'parley_rounds_total', { task: name, outcome: 'opened' })).toBeGreaterThan(0);
    for (const phase of ['prepare', 'contribute', 'open', 'round'])
      expect(sample(text, 'parley_phase_seconds_count', { phase }), phase).toBeGreaterThan(0);
    expect(sample(text, 'parley_connections', { kind: 'tenants' })).toBe(UNITS.length);
    expect(sample(text, 'parley_tasks', { phase: 'running' })).toBe(1);
    for (const tenant of UNITS) {
      expect(sample(text, 'parley_epsilon', { tenant, pool: 'training', by: 'tenant' })).toBeGreaterThan(0);
      expect(sample(text, 'parley_epsilon_limit', { tenant, pool: 'training' })).toBe(20);
      expect(sample(text, 'parley_budget_agrees', { tenant, pool: 'training' })).toBe(1);
    }
    expect(sample(text, 'parley_ready', { check: 'store' })).toBe(1);
    expect(sample(text, 'parley_leads', {})).toBe(1);
    // a batch, a norm, a loss: none of the names is about anything that depends on rows
    const names = [...text.matchAll(/^# TYPE (parley_\w+)/gm)].map(([, one]) => one!);
    expect(names.filter((one) => /batch|norm|loss|noise|rows/.test(one))).toEqual([]);

    const own = await (await fetch(`${lines('north').find(({ msg }) => msg === 'metrics are served')!['url']}`)).text();
    expect(sample(own, 'parley_client_connected', { tenant: 'north' })).toBe(1);
    expect(sample(own, 'parley_client_rounds_total', { tenant: 'north' })).toBeGreaterThan(0);
    expect(sample(own, 'parley_client_epsilon_limit', { pool: 'training', tenant: 'north' })).toBe(20);
    expect(sample(own, 'parley_client_last_round_timestamp_seconds', { tenant: 'north' })).toBeGreaterThan(1.7e9);

    const told = new Set([...`${text}\n${own}`.matchAll(/^(\w+)[{ ]/gm)].map(([, one]) => one!));
    const types = new Set([...`${text}\n${own}`.matchAll(/^# TYPE (\w+)/gm)].map(([, one]) => one!));
    const { groups } = parse(readFileSync(join(ROOT, 'coordinator/deploy/alerts.yaml'), 'utf8')) as AlertFile;
    for (const { alert, expr, annotations } of groups.flatMap(({ rules }) => rules)) {
      const about = expr.match(/\b(parley|nodejs)_\w+/g) ?? [];
      expect(about.length, alert).toBeGreaterThan(0);
      for (const metric of about) expect(told.has(metric) || types.has(metric), `${alert}: ${metric}`).toBe(true);
      expect(annotations.summary.length, alert).toBeGreaterThan(20);
      expect(readFileSync(join(ROOT, 'coordinator/OPERATE.md'), 'utf8')).toContain(`\`${alert}\``);
    }
  });

  test('is done with 0: a client, which takes part again when it is back', async () => {
    expect(await world.end('south')).toBe(0);
    await world.startUnit('south');
    const view = await world.until(task, isOver);
    expect(view.phase, view.reason).toBe('finished');
    const opened = (await ledger()).filter(({ kind }) => kind === 'release').map(({ round }) => round);
    expect(opened).toHaveLength(60);
    expect(new Set(opened).size).toBe(60);
  });

  test('ends at once when it is told again', async () => {
    await unfinishedRequest();
    const first = world.end('coordinator');
    for (let told = false; !told; ) {
      told = lines('coordinator').filter(({ msg }) => msg === 'told to end').length === 2;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await world.end('coordinator')).toBe('SIGTERM');
    await first;
    await world.restartCoordinator();
  });
});

test('a coordinator whose time to end is over ends with 0 all the same', async () => {
  await world.stop();
  mkdirSync(join(folder, 'again'));
  world = await startWorld(join(folder, 'again'), { coordinator: ['--shutdown-seconds', '0.1'] });
  await unfinishedRequest();
  expect(await world.end('coordinator')).toBe(0);
  expect(lines('coordinator').at(-1)).toMatchObject({ msg: expect.stringContaining('not done in time') });
});

test('a log names the tenant and, of a task, the round; no log has a row, a key, a code or a token in it', () => {
  const about = lines('coordinator', folder).filter(({ task }) => task !== undefined);
  expect(about.filter(({ task, round }) => typeof task !== 'string' || typeof round !== 'number')).toEqual([]);
  const said = about.filter(({ msg }) => msg === 'said');
  expect(new Set(said.map(({ tenant }) => tenant))).toEqual(new Set(UNITS)); // all that there is to say is said
  for (const unit of UNITS) {
    const own = lines(unit, folder).filter(({ level }) => level !== undefined);
    expect(own.length).toBeGreaterThan(10);
    expect(own.filter(({ tenant }) => tenant !== unit)).toEqual([]);
  }
  const logs = readdirSync(folder).filter((name) => name.endsWith('.log'));
  expect(logs).toHaveLength(1 + UNITS.length);
  const keys = ['coordinator', ...UNITS.map((unit) => join('units', unit))].flatMap((of) =>
    readFileSync(join(folder, of, 'identity.pem'), 'utf8')
      .split('\n')
      .slice(1, -2),
  );
  const token = readFileSync(join(folder, 'coordinator', 'operator.token'), 'utf8').trim();
  const secrets = [...Object.values(ROW), 'customer-1-58c1', token, ...codes.values(), ...keys];
  expect(secrets.every((secret) => secret.length > 8)).toBe(true);
  for (const name of logs) {
    const text = readFileSync(join(folder, name), 'utf8');
    for (const secret of secrets) expect(text.includes(secret), `${secret} in ${name}`).toBe(false);
  }
});
