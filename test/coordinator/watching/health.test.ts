import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Role } from '../../../aggregation/act.ts';
import { newToken } from '../../../coordinator/access/new-token.ts';
import { openSqliteStore } from '../../../coordinator/store/sqlite.ts';
import { LEAST_FREE, openReadiness, type ReadinessWorld } from '../../../coordinator/watching/readiness.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { bearer, enrolOverHttp, startServer } from '../../support/serving.ts';

const NOW = 1_800_000_000_000;

function world(changes: Partial<ReadinessWorld> = {}): ReadinessWorld {
  const store = openSqliteStore(':memory:');
  return { store, ledgerSize: () => 0, folder: temporaryFolder(), clock: () => NOW, isEnding: () => false, ...changes };
}
const failing = async (changes: Partial<ReadinessWorld>): Promise<string[]> =>
  (await openReadiness(world(changes))()).filter(({ ok }) => !ok).map(({ name, detail }) => `${name}: ${detail}`);

describe('a coordinator is ready', () => {
  test('when its store takes a fact, its disk has room and its clock goes on', async () => {
    expect((await openReadiness(world())()).map(({ name, ok }) => [name, ok])).toEqual([
      ['store', true],
      ['disk', true],
      ['clock', true],
    ]);
  });

  test('not when its store takes nothing', async () => {
    const store = openSqliteStore(':memory:');
    store.close();
    expect(await failing({ store })).toEqual([
      expect.stringMatching(/^store: cannot be written \(\w+\): see its disk/),
      expect.stringContaining('clock: not known'),
    ]);
  });

  test('not when its disk is nearly full, or cannot be looked at', async () => {
    const found = await failing({ freeIn: async () => LEAST_FREE - 1 });
    expect(found).toEqual(['disk: 255 MiB are free, 256 MiB are needed: make room']);
    expect(await failing({ freeIn: async () => LEAST_FREE })).toEqual([]);
    expect(await failing({ folder: '/nowhere/at/all' })).toEqual([expect.stringContaining('(ENOENT)')]);
  });

  test('not when its clock is more than a minute behind the last ledger entry', async () => {
    const entryAt = async (time: number): Promise<string[]> => {
      const store = openSqliteStore(':memory:');
      store.commit(() => {
        store.addLedgerEntry(0, JSON.stringify({ time: NOW + 1e9 })); // not the last
        store.addLedgerEntry(1, JSON.stringify({ time }));
      });
      return failing({ store, ledgerSize: () => 2 });
    };
    expect(await entryAt(NOW + 60_000)).toEqual([]);
    expect(await entryAt(NOW + 60_001)).toEqual(["clock: 61 s behind the ledger's last entry: set it (NTP)"]);
  });

  test('not when it was told to end', async () => {
    expect(await failing({ isEnding: () => true })).toEqual(['ending: it was told to end']);
  });

  test('and writes once for many that ask at the same time', async () => {
    const { store, ...rest } = world();
    let commits = 0;
    const counted = {
      ...store,
      commit: (work: () => never) => {
        commits += 1;
        return store.commit(work);
      },
    };
    const checks = openReadiness({ ...rest, store: counted as typeof store });
    await Promise.all(Array.from({ length: 50 }, () => checks()));
    expect(commits).toBe(1);
  });
});

describe('over HTTP', () => {
  test('health and readiness are told to everybody, metrics to auditors and operators', async () => {
    const server = await startServer();
    const nobody = { headers: {} };
    expect((await server.get('/healthz', nobody)).status).toBe(200);
    expect(await (await server.get('/readyz', nobody)).json()).toMatchObject({ status: 'ready' });
    expect((await server.get('/metrics', nobody)).status).toBe(401);
    const asked = async (role: Role): Promise<Response> => {
      const { token, ...shown } = newToken();
      expect((await server.post('/tokens', { ...shown, role, holder: 'Ada', days: 1 })).status).toBe(200);
      return server.get('/metrics', { headers: bearer(token) });
    };
    const page = await asked('auditor');
    expect(page.status).toBe(200);
    expect(page.headers.get('content-type')).toContain('text/plain');
    expect((await asked('consumer')).status).toBe(403);
  });

  test('a coordinator that cannot work says what to do, as a problem', async () => {
    const server = await startServer();
    await enrolOverHttp(server, 'amber');
    const { head } = server.coordinator.ledger;
    const { store } = server.coordinator;
    const late = JSON.stringify({ time: Date.now() + 3_600_000 });
    store.ledger = (from, count) => (from === head.size - 1 ? [late] : []).slice(0, count);
    const response = await server.get('/readyz');
    expect(response.status).toBe(503);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
    expect(response.headers.get('retry-after')).toBe('5');
    const problem = (await response.json()) as { detail: string; checks: { name: string; ok: boolean }[] };
    expect(problem.detail).toMatch(/^clock: \d+ s behind/);
    expect(problem.checks.filter(({ ok }) => !ok)).toHaveLength(1);
    expect(await (await server.get('/metrics')).text()).toContain('parley_ready{check="clock"} 0');
  });

  test('answers, their bytes, refusals and backups are counted', async () => {
    const server = await startServer();
    const folder = join(server.folder, 'backups', '2026-11-22');
    mkdirSync(folder, { recursive: true });
    expect(await (await server.get('/metrics')).text()).toContain('\nparley_last_backup_timestamp_seconds 0\n');
    writeFileSync(join(folder, 'manifest.json'), '{}');
    await server.get('/nothing');
    await new Promise((resolve) => {
      const socket = new WebSocket(`${server.url.replace('http', 'ws')}/federation`);
      socket.binaryType = 'arraybuffer';
      socket.onopen = () => socket.send(new Uint8Array(100));
      socket.onclose = resolve;
    });
    const text = await (await server.get('/metrics')).text();
    const value = (line: string): number =>
      Number(
        text
          .split('\n')
          .find((one) => one.startsWith(`${line} `))
          ?.slice(line.length + 1),
      );
    expect(value('parley_http_answers_total{status="404"}')).toBe(1);
    expect(value('parley_refused_total{what="connection",reason="malformed"}')).toBe(1);
    expect(value('parley_traffic_bytes_total{direction="received"}')).toBeGreaterThan(100);
    expect(value('parley_traffic_bytes_total{direction="sent"}')).toBeGreaterThan(1000);
    expect(value('parley_last_backup_timestamp_seconds')).toBeGreaterThan(1.7e9);
    expect(value('parley_store_commit_seconds_count')).toBeGreaterThan(0);
    const found = server.log.map((line) => JSON.parse(line) as Record<string, unknown>);
    const answered = found.find(({ msg, status }) => msg === 'answered' && status === 404)!;
    expect(answered['reqId']).toMatch(/^[0-9a-f-]{36}$/);
    expect(JSON.stringify(answered)).not.toContain('/nothing'); // what is asked for may be somebody's secret
  });

  test('an answer names the line of the log that is about it', async () => {
    const server = await startServer();
    const id = (await server.get('/federation')).headers.get('x-request-id')!;
    expect(server.log.some((line) => line.includes(id))).toBe(true);
  });
});
