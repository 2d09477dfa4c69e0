import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TaskFact } from '../../coordinator/task.ts';
import type { LedgerEntry } from '../../privacy/ledger.ts';
import { startPostgres } from '../support/postgres.ts';
import { parley, policyIn, writePolicy, writeUnits } from '../support-client/processes.ts';
import { toyFeatures, toySettings, toyTable } from '../support-client/toy-task.ts';

/*
 * Two coordinators on one database and three business units, each a process of its own. The one that leads is killed in the middle
 * of a round, then its successor is stopped as a debugger or a hypervisor would, and wakes up when it leads no more. The tests
 * below are one story, told in order.
 */
const server = await startPostgres();
if (typeof server === 'string') console.warn(`two coordinators are not tested: ${server}`);
const postgres = server as Exclude<typeof server, string>;

const PARLEY = join(import.meta.dirname, '../../parley.js');
const UNITS = ['amber', 'blue', 'coral'];
const ROUNDS = 14;

interface Running {
  readonly child: ChildProcess;
  said(): string;
  /** The first that this finds in what was printed. */
  until(pattern: RegExp): Promise<string[]>;
  readonly ended: Promise<number | null>;
}

describe.skipIf(typeof server === 'string')('two coordinators on one database', () => {
  let folder: string;
  let store: string;
  let token: string;
  const processes: Running[] = [];

  function start(args: readonly string[]): Running {
    const child = spawn(process.execPath, [PARLEY, ...args], { env: { ...process.env, PARLEY_STORE: store } });
    let text = '';
    const seen = new EventTarget();
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data: Buffer) => {
        text += data;
        seen.dispatchEvent(new Event('more'));
      });
    const ended = once(child, 'close').then(([code]) => {
      seen.dispatchEvent(new Event('more'));
      return code as number | null;
    });
    const running: Running = {
      child,
      ended,
      said: () => text,
      until: (pattern) =>
        new Promise((resolve, reject) => {
          const look = (): void => {
            const found = pattern.exec(text);
            if (found !== null) resolve([...found]);
            else if (child.exitCode !== null || child.signalCode !== null) reject(new Error(`it ended: ${text}`));
            else return;
            seen.removeEventListener('more', look);
          };
          seen.addEventListener('more', look);
          look();
        }),
    };
    processes.push(running);
    return running;
  }

  interface Hub extends Running {
    readonly name: string;
    readonly url: string;
    /** Resolves when it leads. */
    leads(): Promise<unknown>;
  }
  async function startHub(name: string, port = 0): Promise<Hub> {
    const hub = start(['coordinator', '--folder', join(folder, name), '--port', String(port), '--json']);
    const [, url] = await hub.until(/^\{"url":"([^"]+)"/m);
    return { ...hub, name, url: url!, leads: () => hub.until(/^\{"url":"[^"]+","pid":\d+\}$/m) };
  }
  const again = (hub: Hub): Promise<Hub> => startHub(hub.name, Number(new URL(hub.url).port));

  const facts = async (task: string): Promise<TaskFact[]> => {
    const rows = await postgres.query(store, 'select fact from parley.fact where task = $1 order by seq', [task]);
    return rows.map(({ fact }) => JSON.parse(fact as string) as TaskFact);
  };
  /** The round under way, when a contribution to it is on disk and its sum is not opened; 0 otherwise. */
  const roundUnderWay = (all: readonly TaskFact[]): number => {
    const begun = all.findLastIndex(({ type }) => type === 'round-begun');
    const since = all.slice(begun + 1);
    const contributed = since.some((one) => one.type === 'in-round' && one.fact.type === 'said' && 'bytes' in one.fact);
    const isOver = since.some((one) => one.type !== 'in-round' || one.fact.type === 'abandoned');
    return begun >= 0 && contributed && !isOver ? (all[begun] as { round: number }).round : 0;
  };
  async function until(holds: () => Promise<boolean>): Promise<void> {
    for (const end = performance.now() + 50_000; !(await holds()); await sleep(5))
      if (performance.now() > end) {
        const last = task === undefined ? [] : (await facts(task)).slice(-30);
        throw new Error([...processes.map(({ said }) => said().slice(-2000)), JSON.stringify(last)].join('\n\n'));
      }
  }

  let [first, second] = [] as unknown as [Hub, Hub];
  let task: string;
  let watching: Running;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'parley-takeover-'));
    store = await postgres.newDatabase();
    first = await startHub('hub-a');
    await first.leads();
    cpSync(join(folder, 'hub-a'), join(folder, 'hub-b'), { recursive: true });
    token = readFileSync(join(folder, 'hub-a', 'operator.token'), 'utf8').trim();
    second = await startHub('hub-b');
  });
  afterAll(async () => {
    for (const { child } of processes) child.kill('SIGKILL');
    await Promise.all(processes.map(({ ended }) => ended));
    rmSync(folder, { recursive: true, force: true });
  });
  const headers = () => ({ authorization: `Bearer ${token}`, 'content-type': 'application/json' });
  const post = (url: string, body: object): Promise<Response> =>
    fetch(url, { method: 'POST', headers: headers(), body: JSON.stringify(body) });
  const get = async <T>(url: string): Promise<T> => (await fetch(url, { headers: headers() })).json() as Promise<T>;

  test('one leads, the other stands by, and commands find the one that leads', async () => {
    const statuses = ({ url }: Hub) =>
      Promise.all(
        ['healthz', 'readyz', 'tasks'].map(
          async (path) => (await fetch(`${url}/${path}`, { headers: headers() })).status,
        ),
      );
    expect(await statuses(first)).toEqual([200, 200, 200]);
    expect(await statuses(second)).toEqual([200, 503, 503]);
    const hubs = `${second.url},${first.url}`;
    const { code, stderr, stdout } = await parley(['task', 'status', '--coordinator', hubs, '--json'], {
      PARLEY_TOKEN: token,
    });
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toEqual([]);
  });

  test('one with another key is refused', async () => {
    const stranger = start(['coordinator', '--folder', join(folder, 'stranger'), '--port', '0']);
    expect(await stranger.ended).toBe(4);
    expect(stranger.said()).toContain('belongs to another federation');
  });

  test('when the one that leads is killed in a round, the other leads, and the clients find it by themselves', async () => {
    const { fingerprint } = await get<{ fingerprint: string }>(`${first.url}/federation`);
    const world = { url: first.url, fingerprint, unitFolder: (unit: string) => join(folder, unit) };
    writeUnits(world, new Map(UNITS.map((unit, i) => [unit, toyTable(unit, 30, i)])), toyFeatures);
    for (const unit of UNITS) {
      const policy = policyIn(world, unit);
      const coordinator = { ...policy.coordinator, url: [second.url, first.url] };
      const accept = { ...policy.accept, minCohort: 3, minColluders: 0 };
      writePolicy(world, { ...policy, coordinator, accept, maxCustomers: 100 });
      const answer = await post(`${first.url}/invitations`, { tenant: unit });
      const { code } = (await answer.json()) as { code: string };
      start(['client', '--folder', join(folder, unit), '--backend', 'cpu', '--json', '--code', code]);
    }
    const present = async (): Promise<number> => {
      const { tenants } = await get<{ tenants: { connected: boolean }[] }>(`${first.url}/federation`);
      return tenants.filter(({ connected }) => connected).length;
    };
    await until(async () => (await present()) === 3);

    // whoever lost its coordinator has the time to come back
    const timing = { uploadEveryMs: 300, stageTimeoutMs: 40_000, graceMs: 40_000, patienceMs: 60_000 };
    const started = await post(`${first.url}/tasks`, toySettings({ rounds: ROUNDS, timing }));
    task = ((await started.json()) as { id: string }).id;
    const hubs = `${first.url},${second.url}`;
    const options = ['--coordinator', hubs, '--token-file', join(folder, 'hub-a', 'operator.token')];
    watching = start(['task', 'status', task, '--watch', ...options]);
    await watching.until(/running/);

    let killed = 0;
    do {
      await until(async () => roundUnderWay(await facts(task)) > 0);
      first.child.kill('SIGKILL');
      await first.ended;
      // what is stored now was acknowledged: the successor tries for the lock once a second, and has not begun
      killed = roundUnderWay(await facts(task));
      await second.leads();
      [first, second] = [second, await again(first)];
    } while (killed === 0);
    await until(async () => roundUnderWay(await facts(task)) > killed);
    const all = await facts(task);
    const ofRound = all.slice(all.findLastIndex((one) => one.type === 'round-begun' && one.round === killed));
    expect(ofRound.find(({ type }) => type === 'opened' || type === 'round-begun')).toBeDefined();
  }, 180_000);

  test('one that stood still while the other took over writes nothing when it wakes up, and ends', async () => {
    await until(async () => roundUnderWay(await facts(task)) > 0);
    const zombie = first;
    zombie.child.kill('SIGSTOP');
    // waits in its socket, with all that the clients have sent it
    const ghost = post(`${zombie.url}/invitations`, { tenant: 'ghost' }).then(
      ({ status }) => status,
      () => 0,
    );
    await second.leads();
    await until(async () => (await facts(task)).some(({ type }) => type === 'finished'));
    expect(await watching.ended, watching.said()).toBe(0); // it has asked one that died, one that stood still, and who led then
    expect(watching.said()).toContain(`finished ${ROUNDS}/${ROUNDS} rounds`);
    const content = async (): Promise<unknown[]> => {
      const found: unknown[] = [];
      for (const table of ['fact', 'ledger', 'sum', 'piece', 'invitation', 'tenant'])
        found.push(
          await postgres.query(store, `select md5(string_agg(t::text, ' ' order by t::text)) from parley.${table} t`),
        );
      return found;
    };
    const before = await content();
    zombie.child.kill('SIGCONT');
    expect(await zombie.ended).toBe(7);
    expect([0, 500, 503, 507]).toContain(await ghost);
    expect(await content()).toEqual(before);
    expect(await postgres.query(store, "select * from parley.invitation where tenant = 'ghost'")).toEqual([]);
  }, 180_000);

  test('every sum was opened once, each after its charge, and the ledger verifies', async () => {
    const exported = await get<{ entries: (LedgerEntry | string)[] }>(`${second.url}/ledger`);
    const entries = exported.entries
      .map((entry) => (typeof entry === 'string' ? (JSON.parse(entry) as LedgerEntry) : entry))
      .filter((entry) => entry.task === task);
    const roundsOf = (kind: LedgerEntry['kind']): number[] =>
      entries.filter((entry) => entry.kind === kind).map((entry) => (entry as { round: number }).round);
    const [charges, releases] = [roundsOf('charge'), roundsOf('release')];
    expect(releases).toHaveLength(ROUNDS);
    expect(new Set(releases).size).toBe(ROUNDS);
    expect(new Set(charges).size).toBe(charges.length);
    expect(releases.every((round) => charges.includes(round))).toBe(true);
    const sums = await postgres.query(store, 'select round from parley.sum where task = $1 order by round', [task]);
    expect(sums).toHaveLength(ROUNDS);

    const file = join(folder, 'ledger.json');
    writeFileSync(file, JSON.stringify(exported));
    const { code, stderr } = await parley(['ledger', 'verify', file, '--folder', join(folder, 'amber')]);
    expect(code, stderr).toBe(0);
  });

  test('the store is named in the log, and its password nowhere', () => {
    const { host, pathname, password } = new URL(store);
    expect(second.said()).toContain(`"store":"postgres://${host}${pathname}"`);
    for (const { said } of processes) expect(said()).not.toContain(password);
  });
});
