import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { telcoCsv } from '../simulation/telco.ts';

/** The operator's page: its links lead somewhere, and its commands run, in their order, as they stand there. */
const ROOT = join(import.meta.dirname, '..');
const page = readFileSync(join(ROOT, 'coordinator/OPERATE.md'), 'utf8');
const blocks = (language: string): string[] =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, block]) => block!.trim());
const commands = blocks('sh')
  .flatMap((block) => block.split('\n'))
  .map((line) => line.replace(/^npx parley /, ''));

const folder = mkdtempSync(join(tmpdir(), 'parley-operate-'));
const port = 20_000 + (process.pid % 20_000);
const running = new Map<string, ChildProcess>();

beforeAll(async () => {
  symlinkSync(join(ROOT, 'simulation'), join(folder, 'simulation'));
  writeFileSync(join(folder, 'north.csv'), telcoCsv().split('\n').slice(0, 200).join('\n'));
});
afterAll(() => {
  for (const child of running.values()) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

const start = (command: string): ChildProcess =>
  spawn(
    process.execPath,
    [
      join(ROOT, 'parley.js'),
      ...command.split(' ').map((word) => word.replace('7400', String(port)).replace('7401', '0')),
    ],
    { cwd: folder },
  );

async function run(command: string): Promise<string> {
  const asks = /^(tenant|token|coordinator backup)/.test(command) ? ` --coordinator http://127.0.0.1:${port}` : '';
  const child = start(`${command}${asks}`);
  let out = '';
  for (const stream of [child.stdout!, child.stderr!])
    stream.on('data', (data: Buffer) => {
      out += data;
    });
  const [code] = (await once(child, 'close')) as [number];
  expect(code, `${command}\n${out}`).toBe(0);
  return out;
}

async function background(name: string, command: string, until: RegExp): Promise<void> {
  const child = start(command);
  running.set(name, child);
  await new Promise<void>((resolve, reject) => {
    let out = '';
    const look = (data: Buffer): void => {
      out += data;
      if (until.test(out)) resolve();
    };
    child.stdout!.on('data', look);
    child.stderr!.on('data', look);
    child.on('exit', () => reject(new Error(`${command} ended:\n${out}`)));
  });
}

test('its links lead to files', () => {
  const links = [...page.matchAll(/\]\((?!http)([^)#]+)\)/g)].map(([, target]) => target!);
  expect(links.length).toBeGreaterThan(4);
  for (const link of links) expect(existsSync(join(ROOT, 'coordinator', link)), link).toBe(true);
});

test('its commands run as they stand, and the token it makes for Prometheus reads the metrics', async () => {
  const said = new Map<string, string>();
  for (const command of commands) {
    const invited = said.get('tenant') ?? '';
    const filled = command
      .replace('FINGERPRINT', invited.match(/([0-9a-f]{4}-){9}[0-9a-f]{4}/)?.[0] ?? '')
      .replace('CODE', invited.match(/\b([0-9a-f]{4}-){7}[0-9a-f]{4}\b/)?.[0] ?? '');
    if (/^coordinator --/.test(filled)) await background('coordinator', filled, /"url"/);
    else if (/^client --/.test(filled)) await background('client', filled, /"?connected"?/);
    else {
      if (filled.startsWith('coordinator check')) await stopped('coordinator');
      said.set(filled.split(' ')[0]!, await run(filled));
    }
    if (filled.startsWith('token create')) await readMetrics(said.get('token')!);
  }
  expect(commands.length).toBe(9);
});

async function readMetrics(said: string): Promise<void> {
  const { token } = JSON.parse(said) as { token: string };
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { authorization: `Bearer ${token}` } });
  expect(answer.status).toBe(200);
  expect(await answer.text()).toContain('parley_connections{kind="tenants"} 1');
}

/** As the page says: told to end, it is done with 0. */
async function stopped(name: string): Promise<void> {
  const child = running.get(name)!;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  expect((await gone)[0]).toBe(0);
}

test('its settings for Prometheus name the ports and the rules that there are', () => {
  const [settings] = blocks('yaml').map((block) => parse(block)) as [
    { rule_files: string[]; scrape_configs: { static_configs: { targets: string[] }[] }[] },
  ];
  expect(settings.scrape_configs.map(({ static_configs: [one] }) => one!.targets)).toEqual([
    ['127.0.0.1:7400'],
    ['127.0.0.1:7401'],
  ]);
  for (const file of settings.rule_files) expect(existsSync(file.replace('/opt/parley', ROOT)), file).toBe(true);
});
