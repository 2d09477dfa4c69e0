import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { churnSettings, telcoCsv } from '../../simulation/telco.ts';
import { parley } from '../support-client/processes.ts';
import { toySettings } from '../support-client/toy-task.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'parley-commands-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const file = (name: string, content: unknown): string => {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};
/** Nobody listens on this port. */
const NOBODY = 'http://127.0.0.1:9';

describe('every command', () => {
  const COMMANDS = [
    ['demo'],
    ['coordinator'],
    ['tenant', 'invite'],
    ['tenant', 'list'],
    ['tenant', 'fingerprint'],
    ['client'],
    ['client', 'init'],
    ['task', 'check'],
    ['task', 'start'],
    ['task', 'status'],
    ['task', 'stop'],
    ['token', 'create'],
    ['token', 'list'],
    ['token', 'revoke'],
    ['approvals', 'list'],
    ['approvals', 'approve'],
    ['approvals', 'reject'],
    ['approvals', 'rule'],
    ['privacy', 'plan'],
    ['ledger', 'show'],
    ['ledger', 'export'],
    ['ledger', 'verify'],
    ['ledger', 'prove'],
    ['ledger', 'roster'],
    ['report'],
    ['keys', 'protect'],
    ['keys', 'unprotect'],
    ['keys', 'change-passphrase'],
    ['keys', 'new-key-file'],
    ['predict'],
    ['simulate'],
    ['audit'],
  ];

  test('is in this list: a new one needs a test', async () => {
    const listed = (help: string) => [...help.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name!);
    const { stdout } = await parley(['--help']);
    const top = listed(stdout.slice(stdout.indexOf('Commands:'))).filter((name) => name !== 'help');
    expect(new Set(top)).toEqual(new Set(COMMANDS.map(([name]) => name)));
  });

  test('has --help with an example, --json, and exit code 0', async () => {
    for (const command of COMMANDS) {
      const { code, stdout } = await parley([...command, '--help']);
      expect(code, command.join(' ')).toBe(0);
      expect(stdout).toContain(`\nExample: parley ${command.join(' ')}`);
      expect(stdout).toContain('--json');
    }
  });

  test('is explained by `parley --help`, exit codes and all; --version says which this is', async () => {
    const { code, stdout } = await parley(['--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/Exit codes: 0 done · 1 unexpected · 2 command line · 3 unreadable input .* · 4 refused/s);
    expect(await parley(['--version'])).toMatchObject({ code: 0, stdout: `${packageJson.version}\n` });
  });
});

describe('exit codes', () => {
  const said = (stderr: string): { error: string; exitCode: number } => JSON.parse(stderr);

  test('2, the command line: unknown commands and options, missing arguments, no numbers', async () => {
    for (const args of [
      ['nonsense'],
      ['task', 'check'],
      ['simulate', 'x.json', '--tenants', 'many'],
      ['predict', '--model', 'm', '--nonsense'],
      ['predict'],
      ['task', 'check', file('ok.json', churnSettings)],
    ]) {
      const { code, stderr } = await parley(args);
      expect(code, `${args.join(' ')}: ${stderr}`).toBe(2);
      expect(stderr).not.toContain('    at '); // no stack: nothing is broken but the line
    }
    const run = ['demo', '--folder', mkdirIn('not-empty')];
    file('not-empty/precious', 'x');
    expect(await parley(run)).toMatchObject({ code: 2, stderr: expect.stringContaining('choose another one') });
  });

  test('3, unreadable input: file and field are named', async () => {
    const missing = await parley(['task', 'check', join(folder, 'none.json'), '--tenants', '5', '--json']);
    expect(missing.code).toBe(3);
    expect(said(missing.stderr)).toEqual({ error: `${join(folder, 'none.json')}: no such file`, exitCode: 3 });
    const broken = await parley(['task', 'check', file('broken.json', '{'), '--tenants', '5']);
    expect(broken).toMatchObject({ code: 3, stderr: expect.stringContaining('broken.json: not JSON') });
    const unknown = file('unknown.json', { ...churnSettings, privacy: { ...churnSettings.privacy, epsilom: 1 } });
    const field = await parley(['task', 'check', unknown, '--tenants', '5']);
    expect(field).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('unknown.json: privacy: Unrecognized key'),
    });
    const client = await parley(['client', '--folder', mkdirIn('nobody')]);
    expect(client).toMatchObject({ code: 3, stderr: expect.stringContaining('policy.json: no such file') });
    const ledger = await parley(['ledger', 'verify', file('ledger.json', { entries: [] })]);
    expect(ledger).toMatchObject({ code: 3, stderr: expect.stringContaining('not a ledger export') });
  });

  test('4, refused: a plan that does not fit names the setting and by how much', async () => {
    const { privacy } = churnSettings;
    const check = (settings: unknown, tenants = '5') =>
      parley(['task', 'check', file('refused.json', settings), '--tenants', tenants, '--json']);
    const cohort = await check(churnSettings, '3');
    expect(cohort.code).toBe(4);
    expect(said(cohort.stderr).error).toContain('secureSum.minCohort: is 4, but only 3 tenants are enrolled');
    const batch = await check({ ...churnSettings, privacy: { ...privacy, maxBatch: 200 } });
    expect(batch.code).toBe(4);
    expect(said(batch.stderr).error).toContain('privacy.maxBatch: 200 is too small');
    const { secureSum } = churnSettings;
    const fine = { ...privacy, gridSteps: 2 ** 24, maxBatch: 1_000_000 };
    const bits = await check({ ...churnSettings, privacy: fine, secureSum: { ...secureSum, minCohort: 8 } }, '10');
    expect(bits.code).toBe(4);
    expect(said(bits.stderr).error).toMatch(/a sum needs \d+\.\d+ bits, threshold-he has/);
  });

  test('5, network: nobody there, and a port in use', async () => {
    for (const args of [
      ['task', 'status', '--coordinator', NOBODY],
      ['ledger', 'verify', '--coordinator', NOBODY],
      ['task', 'check', file('ok.json', churnSettings), '--coordinator', NOBODY],
    ]) {
      const { code, stderr } = await parley(args);
      expect(code, stderr).toBe(5);
      expect(stderr).toContain('is the coordinator running?');
    }
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const { code, stderr } = await parley(['coordinator', '--folder', mkdirIn('busy'), '--port', String(port)]);
    server.close();
    expect(code).toBe(5);
    expect(stderr).toContain(String(port));
    expect(stderr).not.toContain('    at ');
  });

  test('6, does not verify: a model that is damaged', async () => {
    const model = mkdirIn('model');
    file('model/model.json', '{"format":"layers-model"}');
    const { code, stderr } = await parley(['predict', '--model', model, '--customer', '{}', '--backend', 'cpu']);
    expect(code, stderr).toBe(6);
  });
});

describe('parley client init', () => {
  test('writes a key and a policy that accepts little, once, and the key keeps its fingerprint', async () => {
    const to = join(folder, 'unit');
    const schema = file('contract.json', churnSettings.features);
    const unit = ['--tenant', 'unit', '--coordinator', NOBODY, '--data', 'customers.csv', '--schema', schema];
    const args = ['client', 'init', ...unit, '--to', to];
    const print = 'beef-beef-beef-beef-beef-beef-beef-beef-beef-beef';
    const first = await parley([...args, '--fingerprint', print, '--json']);
    expect(first.code, first.stderr).toBe(0);
    const { fingerprint } = JSON.parse(first.stdout) as { fingerprint: string };
    const shown = await parley(['tenant', 'fingerprint', '--folder', to, '--json']);
    expect(JSON.parse(shown.stdout)).toEqual({ fingerprint });
    expect(await parley([...args, '--fingerprint', print])).toMatchObject({ code: 2 });
    const bad = await parley([...args, '--to', join(folder, 'other'), '--fingerprint', 'beef']);
    expect(bad).toMatchObject({ code: 2, stderr: expect.stringContaining('coordinator.fingerprint: expected') });
  });
});

describe('parley simulate', () => {
  test.each(['threshold-he', 'masking', 'lattice-mask'])(
    'says what a plan gives, in one process: %s on the toy, as JSON',
    async (sum) => {
      const settings = file('toy.json', toySettings({ rounds: 2 }));
      const rows = Array.from({ length: 200 }, (_, i) => `${(i * 7) % 80},${(i * 7) % 80 > 40 ? 'no' : 'yes'}`);
      const data = file('toy.csv', `months,left\n${rows.join('\n')}\n`);
      const how = ['--secure-sum', sum, '--backend', 'cpu', '--json'];
      const args = ['simulate', settings, '--tenants', '4', '--data', data, ...how];
      const { code, stdout, stderr } = await parley(args);
      expect(code, stderr).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ phase: 'finished', tenants: 4, steps: 2, charges: 2, protection: [] });
    },
  );

  test('with plain sums says that they protect nobody', async () => {
    const { work } = churnSettings;
    const short = { ...churnSettings, work: { ...work, rounds: 5, averageLast: 2 } };
    const data = file('telco.csv', telcoCsv());
    const args = ['simulate', file('short.json', short), '--tenants', '20', '--data', data, '--secure-sum', 'plain'];
    const { code, stdout, stderr } = await parley(args);
    expect(code, stderr).toBe(0);
    expect(stdout).toContain('secure sum "plain": the coordinator sees every contribution. A simulation only.');
    expect(stdout).toMatch(/finished: 5 of 5 rounds, 20 tenants/);
    expect(stdout).toMatch(
      /ε at δ 0\.00001 for one customer \(one row is one customer\), added or removed: release .* coalition .* floor/,
    );
    const wrong = await parley([...args, '--secure-sum', 'hope']);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('there is no secure sum "hope"') });
  });

  test('reports rows it cannot read by line', async () => {
    const data = file('ragged.csv', 'months,left\n1,yes\n2\n');
    const args = ['simulate', file('toy.json', toySettings()), '--tenants', '4', '--data', data];
    expect(await parley(args)).toMatchObject({ code: 3, stderr: expect.stringContaining(`${data}:3`) });
  });
});

test('the demo runs to its verified ledger, with every figure it promises', async () => {
  const child = spawn(process.execPath, ['parley.js', 'demo', '--folder', join(folder, 'demo'), '--json'], {
    cwd: join(import.meta.dirname, '../..'),
  });
  let text = '';
  let errors = '';
  child.stdout.on('data', (data: Buffer) => {
    text += data;
  });
  child.stderr.on('data', (data: Buffer) => {
    errors += data;
  });
  const [code] = (await once(child, 'close')) as [number];
  expect(code, errors).toBe(0);
  const outcome = JSON.parse(text) as {
    units: { unit: string; alone: { rocAuc: number } }[];
    together: { rocAuc: number };
    pooled: { rocAuc: number };
    tasks: { phase: string; privacy: { epsilonSoFar: { coalition: number }; epsilon: { coalition: number } } }[];
    total: { training: number; heldOut: number; limit: { training: number; heldOut: number } };
    ledger: { entries: number };
    metrics: { rocAuc: { value: number; plusMinus: number } };
  };
  expect(outcome.units).toHaveLength(5);
  expect(outcome.tasks.map(({ phase }) => phase)).toEqual(['finished', 'finished', 'finished']);
  for (const { privacy } of outcome.tasks)
    expect(privacy.epsilonSoFar.coalition).toBeLessThanOrEqual(privacy.epsilon.coalition);
  expect(outcome.together.rocAuc).toBeGreaterThan(outcome.pooled.rocAuc - 0.01);
  expect(outcome.total.training).toBeLessThanOrEqual(outcome.total.limit.training);
  expect(outcome.total.heldOut).toBeLessThanOrEqual(outcome.total.limit.heldOut);
  // five units with two budgets each, three plans with five acceptances, a charge and a release a round, three ends
  expect(outcome.ledger.entries).toBe(5 * (1 + 2) + 3 * (1 + 5) + 2 * (100 + 5 + 1) + 3);
}, 240_000);

function mkdirIn(name: string): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  return path;
}
