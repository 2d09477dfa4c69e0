import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fingerprint } from '../../aggregation/identity.ts';
import type { LedgerExport } from '../../aggregation/ledger-export.ts';
import { taskId } from '../../aggregation/plan.ts';
import { logKey } from '../../aggregation/witness.ts';
import type { Report } from '../../client/report/report.ts';
import type { Conductor } from '../../coordinator/conductor.ts';
import { startBackend } from '../../models/backend.ts';
import type { LedgerEntry } from '../../privacy/ledger.ts';
import { formatVerifierKey } from '../../privacy/transparency/verifier-key.ts';
import { createFederation, type Federation } from '../../simulation/federation.ts';
import { elementsOf } from '../support/elements.ts';
import { smallTables, smallTask } from '../support/small-task.ts';
import { parley } from '../support-client/processes.ts';

/*
 * From a federation that ran, two tasks with a round that two units left, to what a compliance officer hands on: the same
 * commands, with the files they leave and the codes they end with.
 */
let folder: string;
let ledger: string;
let print: string;
let tasks: Conductor[];
let entries: LedgerEntry[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-report-'));
  const backend = await startBackend('cpu');
  const settings = smallTask('threshold-he', { rounds: 5, timing: { stageTimeoutMs: 600, graceMs: 20 } });
  const federation = await createFederation({ tables: smallTables(), schema: settings.features, backend });
  const first = federation.run({
    ...settings,
    use: { purpose: 'retention', legalBasis: 'Art. 6 (1) (f)', retentionDays: 365 },
  });
  await interrupted(federation);
  const { privacy, work } = settings;
  const second = {
    ...settings,
    name: 'second',
    work,
    privacy: { ...privacy, epsilon: 2, mode: 'record-local' as const },
  };
  tasks = [await first, await federation.run(second)];
  ledger = join(folder, 'ledger.json');
  entries = exportTo(ledger, federation);
  print = fingerprint(federation.coordinator.publicKey);
  federation.close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Two of five leave as soon as a sum was opened, and come back when their round was given up. */
async function interrupted({ coordinator, tenants }: Federation): Promise<void> {
  const has = (kind: string): boolean => ledgerOf(coordinator).some((entry) => entry.kind === kind);
  while (!has('release')) await sleep(2);
  for (const tenant of tenants.slice(3)) tenant.disconnect();
  while (!has('abort') && !has('finish')) await sleep(2);
  for (const tenant of tenants.slice(3)) tenant.connect();
}

const ledgerOf = ({ ledger }: Federation['coordinator']): LedgerEntry[] =>
  ledger.newsSince(0).entries.map((text) => JSON.parse(text) as LedgerEntry);

function exportTo(file: string, { coordinator }: Federation): LedgerEntry[] {
  const { store, ledger, publicKey } = coordinator;
  const all = ledgerOf(coordinator);
  const exported: LedgerExport = {
    format: 'parley-ledger-export-v1',
    log: formatVerifierKey(logKey(publicKey)),
    head: ledger.newsSince(0).note,
    notes: store.notes(0).map(({ note }) => note),
    entries: all,
  };
  writeFileSync(file, JSON.stringify(exported));
  return all;
}

const at = (name: string): string => join(folder, name);
const year = String(new Date().getUTCFullYear());
const report = (...args: string[]) => parley(['report', ...args]);

describe('the report of a federation that ran', () => {
  test('is the sentence and a short table, without a file', async () => {
    const { code, stdout, stderr } = await report(ledger, '--period', 'all');
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^Since the ledger began, two results were released for retention: whoever tries to tell/);
    expect(stdout).toContain('against the coordinator together with any one other business unit,');
    expect(stdout).toContain('keys of coordinator, amber, blue, coral, dun, ebony were taken from it');
    expect(stdout).toMatch(/abandoned: (fewer units than the plan asks for|a unit was lost|too few of the units)/);
    for (const { plan } of tasks) expect(stdout).toContain(`  ${taskId(plan).slice(0, 8)} retention`);
  });

  test('as JSON has every figure: charges as the ledger has them, ε within what the plans claim', async () => {
    const { code, stdout, stderr } = await report(ledger, '--period', year, '--fingerprint', print, '--json');
    expect(code, stderr).toBe(0);
    const { figures, audit, words } = JSON.parse(stdout) as Report;
    expect(words.sentence).toContain('two results were released');
    expect(audit).toBe('not audited');
    expect(figures.ledger).toMatchObject({ entries: entries.length, signedBy: print });
    expect(figures.ledger.unknownKeys).not.toContain('coordinator');
    for (const [i, { plan }] of tasks.entries()) {
      const task = figures.tasks[i]!;
      expect(task.charged.openings).toBe(
        entries.filter((one) => one.kind === 'charge' && one.task === taskId(plan)).length,
      );
      expect(task.planned.stated.coalition).toBeCloseTo(plan.derived.epsilon.coalition, 6);
      expect(task.charged.stated.coalition).toBeLessThanOrEqual(plan.derived.epsilon.coalition);
    }
    const [training, ...others] = figures.pools;
    expect(others).toEqual([]);
    const alone = figures.tasks.map(({ charged }) => charged.stated.coalition);
    expect(training!.overLife.stated.coalition).toBeGreaterThan(Math.max(...alone));
    expect(training!.overLife.stated.coalition).toBeLessThan(alone[0]! + alone[1]!);
    expect(figures.tasks[1]!.charged.stated.floor).toBe(figures.tasks[1]!.charged.stated.release); // local noise
  });

  test('goes to files: a page, and a record for each task; never over one that is there', async () => {
    const args = [ledger, '--period', 'all', '--html', at('report.html'), '--registry', at('records.yaml')];
    const { code, stdout, stderr } = await report(...args);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(
      new RegExp(`^Since the ledger began, .*\\nhtml: ${at('report.html')}\\nregistry: ${at('records.yaml')}\\n$`),
    );
    const page = readFileSync(at('report.html'), 'utf8');
    expect(elementsOf(page).filter(({ name }) => name === 'svg')).toHaveLength(2);
    expect(page).toContain('Art. 6 (1) (f)');
    expect(readFileSync(at('records.yaml'), 'utf8').match(/^url_slug: "parley-retention-[0-9a-f]{8}"$/gm)).toHaveLength(
      2,
    );

    const again = await report(...args);
    expect(again).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('report.html is there already: name another file'),
    });
    expect(readFileSync(at('report.html'), 'utf8')).toBe(page);
    const one = await report(ledger, '--period', 'all', '--html', at('new.html'), '--registry', at('records.yaml'));
    expect(one.code).toBe(3);
    expect(existsSync(at('new.html'))).toBe(false);
  });

  test('with an audit repeats its verdict', async () => {
    writeFileSync(
      at('audit.json'),
      JSON.stringify({ verdict: 'PASS', plan: taskId(tasks[0]!.plan), lowerBounds: { oneRun: 0.2 } }),
    );
    const { code, stdout, stderr } = await report(ledger, '--period', 'all', '--audit', at('audit.json'), '--json');
    expect(code, stderr).toBe(0);
    const made = JSON.parse(stdout) as Report;
    expect(made.figures.period).toEqual({ name: 'all', from: null, to: null });
    expect(made.audit).toMatchObject({ verdict: 'PASS', task: taskId(tasks[0]!.plan) });
    const { code: missing } = await report(ledger, '--period', 'all', '--audit', at('none.json'));
    expect(missing).toBe(3);
  });

  test('of a period in which nothing happened says so, and has no record to write', async () => {
    const { code, stdout } = await report(ledger, '--period', '1999-Q4');
    expect(code).toBe(0);
    expect(stdout).toContain('Between 1 October 1999 and 31 December 1999, no sum over any customers was opened');
    expect(stdout).toMatch(/whole ledger +[0-9.]+/);
    const records = await report(
      ledger,
      '--period',
      '1999-Q4',
      '--html',
      at('empty.html'),
      '--registry',
      at('empty.yaml'),
    );
    expect(records).toMatchObject({ code: 4, stderr: expect.stringContaining('no task finished in 1999-Q4') });
    expect([existsSync(at('empty.html')), existsSync(at('empty.yaml'))]).toEqual([false, false]);
  });
});

describe('there is no report', () => {
  test('of a ledger that does not verify: code 6, what is wrong by entry, and no file', async () => {
    const file = JSON.parse(readFileSync(ledger, 'utf8')) as LedgerExport;
    const charge = entries.findIndex(({ kind }) => kind === 'charge');
    writeFileSync(at('tampered.json'), JSON.stringify({ ...file, entries: entries.toSpliced(charge, 1) }));
    const { code, stdout, stderr } = await report(
      at('tampered.json'),
      '--period',
      'all',
      '--html',
      at('tampered.html'),
    );
    expect(code).toBe(6);
    expect(stdout).toBe('');
    expect(stderr).toContain(`no report: the ledger does not verify\nentry ${charge}: `);
    expect(existsSync(at('tampered.html'))).toBe(false);
  });

  test('of one that somebody else signed than its reader knows', async () => {
    const other = 'beef-'.repeat(9).concat('beef');
    const { code, stderr } = await report(ledger, '--period', 'all', '--fingerprint', other);
    expect(code).toBe(6);
    expect(stderr).toContain(`signed by ${print}, not by ${other}`);
  });

  test.each([
    [['--period', '2026-Q5'], 2, '"2026-Q5" is no period'],
    [[], 2, "required option '--period <period>'"],
    [['--period', 'all', '--html', 'one', '--registry', 'one'], 2, 'one cannot be two files'],
    [['--period', 'all', '--roster', '/nowhere/roster.txt'], 3, '/nowhere/roster.txt'],
  ])('with %j: code %i', async (args, expected, message) => {
    const { code, stderr } = await report(ledger, ...args);
    expect(code).toBe(expected);
    expect(stderr).toContain(message);
  });
});
