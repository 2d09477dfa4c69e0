import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { LedgerExport } from '../../../aggregation/ledger-export.ts';
import { logKey } from '../../../aggregation/witness.ts';
import { main } from '../../../cli.ts';
import { formatVerifierKey } from '../../../privacy/transparency/verifier-key.ts';
import type { AuditSummary } from '../../../simulation/audit/report.ts';
import { createFederation } from '../../../simulation/federation.ts';
import { churnSettings } from '../../../simulation/telco.ts';
import { smallTables, smallTask } from '../../support/small-task.ts';
import { backend } from './small-audit.ts';

let folder: string;
let churn: string;
let ledger: LedgerExport;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-audit-'));
  churn = file('churn.json', churnSettings);
  ledger = await ledgerOfSmallTask();
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

async function ledgerOfSmallTask(): Promise<LedgerExport> {
  const settings = smallTask();
  const tables = smallTables();
  const federation = await createFederation({ tables, schema: settings.features, backend, secureSum: ['plain'] });
  try {
    const { state } = await federation.run(settings);
    expect(state.phase).toBe('finished');
    const { coordinator } = federation;
    const { entries, note } = coordinator.ledger.newsSince(0);
    return {
      format: 'parley-ledger-export-v1',
      log: formatVerifierKey(logKey(coordinator.publicKey)),
      head: note,
      notes: coordinator.store.notes(0).map((each) => each.note),
      entries: entries.map((text) => JSON.parse(text)),
    };
  } finally {
    federation.close();
  }
}

/** The command line in this process: its code, and what it said. */
async function parley(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const out = vi.spyOn(console, 'log').mockImplementation(() => {});
  const err = vi.spyOn(console, 'error').mockImplementation(() => {});
  const progress = vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  try {
    const code = await main(['audit', ...args]);
    return { code, stdout: out.mock.calls.flat().join('\n'), stderr: err.mock.calls.flat().join('\n') };
  } finally {
    out.mockRestore();
    err.mockRestore();
    progress.mockRestore();
  }
}

const QUICK = ['--canaries', '200', '--rounds', '8'];

describe('parley audit', () => {
  test('of a task says what was claimed and found, draws the curve, and ends with 0', async () => {
    const svg = join(folder, 'curve.svg');
    const { code, stdout, stderr } = await parley(churn, ...QUICK, '--svg', svg);
    expect(code, stderr).toBe(0);
    for (const text of [
      'Audit of "churn": 200 canaries, each there by the toss of a coin; 8 rounds, 4 tenants, secure sum "plain"',
      'for one customer (one row), add-or-remove-one',
      /release \d\.\d{3} · coalition (1\.999|2\.000) · floor/,
      /neighbours +6 oddest customers, same chance: moved by 10485\d\d\.\d of 1048576 grid steps/,
      /noise +\d+ values against the exact discrete Gaussian/,
      /lower bounds +ε ≥ \d\.\d{3} \(one-run\) and \d\.\d{3} \(f-DP\), together with confidence 0\.95/,
      /bootstrap interval; no bound/,
      /AUC 0\.\d{4}/,
      /control: noise \d+ times too small was caught/,
      /\n {2}plan [0-9a-f]{64}\n {2}sums [0-9a-f]{64}\nPASS: nothing that contradicts the claim/,
    ])
      expect(stdout).toMatch(text);
    const picture = readFileSync(svg, 'utf8');
    expect(picture).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    expect(picture.match(/<polyline /g)).toHaveLength(3);
    expect(picture).not.toMatch(/NaN|undefined|Infinity/);
  });

  test('with --json gives one document, and nothing else', async () => {
    const { code, stdout } = await parley(churn, ...QUICK, '--confidence', '0.99', '--json');
    expect(code).toBe(0);
    const found = JSON.parse(stdout) as AuditSummary;
    expect(found).toMatchObject({
      ...{ verdict: 'PASS', reasons: [], task: 'churn', unit: 'row-as-customer', neighbouring: 'add-or-remove-one' },
      ...{
        delta: 1e-5,
        canaries: 200,
        rounds: 8,
        tenants: 4,
        secureSum: 'plain',
        confidence: 0.99,
        significance: 0.01,
      },
    });
    expect(found.claimed.coalition).toBeCloseTo(2, 2);
    expect(found.recomputed!.release).toBeCloseTo(found.claimed.release, 6);
    expect(found.lowerBounds.oneRun).toBeLessThanOrEqual(found.claimed.release);
    expect(found.truePositiveRates.map(({ falsePositiveRate }) => falsePositiveRate)).toEqual([0.001, 0.01, 0.1, 0.5]);
    for (const { found: part, atMost } of found.truePositiveRates) {
      expect(part).toBeGreaterThanOrEqual(0);
      expect(atMost).toBeLessThanOrEqual(1);
    }
    expect(found.power.caughtAt).toBeGreaterThan(1);
  });

  test('attacks a federation with the encrypted sum as well', async () => {
    const { code, stdout, stderr } = await parley(
      churn,
      '--canaries',
      '100',
      '--rounds',
      '3',
      '--secure-sum',
      'threshold-he',
      '--json',
    );
    expect([0, 8], stderr).toContain(code);
    expect((JSON.parse(stdout) as AuditSummary).noise.problems).toEqual([]);
  });

  test('that could not have found anything ends with 8', async () => {
    const privacy = { ...churnSettings.privacy, epsilon: 8, samplingRate: 0.01 };
    const weak = file('weak.json', { ...churnSettings, privacy });
    const { code, stdout, stderr } = await parley(weak, '--canaries', '100', '--rounds', '1');
    expect(code).toBe(8);
    expect(stdout).toMatch(/power +too little.*\nINCONCLUSIVE:\n {2}with noise 64 times too small/s);
    expect(stderr).toContain('INCONCLUSIVE');
  });
});

describe('parley audit of a ledger', () => {
  test('checks every ε in it, and attacks the newest plan', async () => {
    const { code, stdout, stderr } = await parley(
      '--ledger',
      file('ledger.json', ledger),
      '--canaries',
      '300',
      '--json',
    );
    expect(code, stderr).toBe(0);
    const plan = ledger.entries
      .map((entry) => entry as { kind: string; planHash: string; epsilon: object })
      .find(({ kind }) => kind === 'plan')!;
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: 'PASS',
      plan: plan.planHash,
      claimed: plan.epsilon,
      recomputed: null,
      rounds: 3,
    });
  });

  test('that was changed is a violation, with the task’s settings and without', async () => {
    const entries = ledger.entries.map((entry, seq) => (seq === 6 ? { ...(entry as object), time: 1 } : entry));
    const changed = file('changed.json', { ...ledger, entries });
    for (const subject of [[], [churn]]) {
      const { code, stdout, stderr } = await parley(...subject, '--ledger', changed, ...QUICK);
      expect(code).toBe(6);
      expect(stdout).toMatch(/VIOLATION:\n {2}ledger entry 7: does not follow/);
      expect(stderr).toContain('VIOLATION');
    }
  });

  test('of which no plan can be read is broken', async () => {
    const { code, stderr } = await parley('--ledger', file('torn.json', { ...ledger, entries: ['torn'] }));
    expect(code).toBe(6);
    expect(stderr).toContain('ledger entry 0');
  });
});

describe('parley audit refuses', () => {
  test.each([
    [['none.json'], 3, 'no such file'],
    [[], 2, 'name the settings of a task, or a ledger'],
    [['CHURN', '--canaries', '99'], 2, '--canaries must be 100 to 4096'],
    [['CHURN', '--canaries', '4097'], 2, '--canaries must be 100 to 4096'],
    [['CHURN', '--confidence', '1'], 2, '--confidence must lie between 0 and 1'],
    [['CHURN', '--confidence', 'high'], 2, '--confidence must lie between 0 and 1'],
    [['CHURN', '--rounds', '0'], 2, '--rounds must be 1 or more'],
    [['CHURN', '--secure-sum', 'cloud'], 2, 'there is no secure sum "cloud"'],
    [['CHURN', '--ledger', 'CHURN'], 3, 'not a ledger export'],
    [['UNFIT'], 4, 'privacy.maxBatch'],
  ])('%j with code %i', async (args, code, message) => {
    const unfit = file('unfit.json', { ...churnSettings, privacy: { ...churnSettings.privacy, maxBatch: 10 } });
    const named = args.map((arg) => (arg === 'CHURN' ? churn : arg === 'UNFIT' ? unfit : arg));
    const ended = await parley(...named);
    expect(ended.stderr).toContain(message);
    expect(ended.code).toBe(code);
    expect(ended.stdout).toBe('');
  });
});
