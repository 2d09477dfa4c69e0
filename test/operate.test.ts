import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { telcoCsv } from '../simulation/telco.ts';
import { codeIn, fingerprintIn, pageCommands } from './support/page-commands.ts';

/** The operator's page: its links lead somewhere, and its commands run, in their order, as they stand there. */
const ROOT = join(import.meta.dirname, '..');
const page = readFileSync(join(ROOT, 'coordinator/OPERATE.md'), 'utf8');
const blocks = (language: string): string[] =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, block]) => block!.trim());
const commands = blocks('sh')
  .flatMap((block) => block.split('\n'))
  .map((line) => line.replace(/^npx parley /, ''));

const { folder, port, run, background, close } = pageCommands('operate', /^(tenant|token|coordinator backup)/);

beforeAll(() => {
  writeFileSync(join(folder, 'north.csv'), telcoCsv().split('\n').slice(0, 200).join('\n'));
});
afterAll(close);

test('its links lead to files', () => {
  const links = [...page.matchAll(/\]\((?!http)([^)#]+)\)/g)].map(([, target]) => target!);
  expect(links.length).toBeGreaterThan(4);
  for (const link of links) expect(existsSync(join(ROOT, 'coordinator', link)), link).toBe(true);
});

test('its commands run as they stand, and the token it makes for Prometheus reads the metrics', async () => {
  const said = new Map<string, string>();
  let coordinator: ChildProcess | undefined;
  for (const command of commands) {
    const invited = said.get('tenant') ?? '';
    const filled = command.replace('FINGERPRINT', fingerprintIn(invited)).replace('CODE', codeIn(invited));
    if (/^coordinator --/.test(filled)) coordinator = await background(filled, /"url"/);
    else if (/^client --/.test(filled)) await background(filled, /"?connected"?/);
    else {
      if (filled.startsWith('coordinator check')) await stopped(coordinator!);
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
async function stopped(child: ChildProcess): Promise<void> {
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
