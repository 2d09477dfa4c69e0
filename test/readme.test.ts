import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { limits } from '../privacy/budget.ts';
import { splitByUnit, telcoTable } from '../simulation/telco.ts';
import { codeIn, fingerprintIn, pageCommands } from './support/page-commands.ts';

/** The README is the product's face: its links lead somewhere, and its commands run, in their order, as they stand there. */
const root = fileURLToPath(new URL('..', import.meta.url));
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const commands = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)]
  .flatMap(([, block]) => block!.trim().split('\n'))
  .filter((line) => line.startsWith('npx parley '))
  .map((line) => line.slice('npx parley '.length));

test('every link in the README leads to a file', () => {
  const links = [...readme.matchAll(/\]\((?!http)([^)#]+)\)/g)].map(([, target]) => target!);
  expect(links.length).toBeGreaterThan(5);
  for (const link of links) expect(existsSync(join(root, link)), link).toBe(true);
});

test('every package of the project has its reason in the README', () => {
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  );
  for (const name of Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies })) {
    const [scope, last] = name.split('/');
    const isNamed =
      readme.includes(`\`${name}\``) ||
      readme.includes(`\`${scope}/*\``) ||
      readme.includes(`-${last?.replace('tfjs-', '')}\``);
    expect(isNamed || name.startsWith('@types/'), name).toBe(true);
  }
});

test('the budget in the README is one that a policy may have', () => {
  const [, block] = /```json\n([\s\S]*?)```/.exec(readme)!;
  const { budget } = JSON.parse(`{${block}}`) as { budget: Record<string, unknown> };
  expect(Object.keys(budget)).toEqual(['training', 'held-out']);
  for (const each of Object.values(budget)) expect(limits.parse(each)).toEqual(each);
});

test('the picture in the README is what the command draws', async () => {
  const drawn = join(folder, 'plan.svg');
  await run(`privacy plan ${join('simulation', 'tasks', 'churn.json')} --tenants 5 --svg ${drawn}`);
  const picture = /\((simulation\/pictures\/[^)]+)\)/.exec(readme)![1]!;
  expect(readFileSync(drawn, 'utf8')).toBe(readFileSync(join(root, picture), 'utf8'));
});

// ---- the commands of "For real", run for five units

const { folder, run, background, close } = pageCommands(
  'readme',
  /^(tenant (invite|list)|task start|task status|ledger export|token)/,
);
const units = ['north', 'south', 'east', 'west', 'centre'];
const said = new Map<string, string>();

beforeAll(async () => {
  const tables = [...splitByUnit(await telcoTable()).values()];
  for (const [i, unit] of units.entries()) {
    const { columns, rows } = tables[i]!;
    const lines = [columns, ...rows].map((cells) => cells.map((cell) => (cell === null ? '' : cell)).join(','));
    writeFileSync(join(folder, `${unit}.csv`), `${lines.join('\n')}\n`);
  }
});

afterAll(close);

const forUnit = (command: string, unit: string): string => command.replaceAll('north', unit);

test('the commands of "For real" run as they stand, from the first key to a verified ledger', {
  timeout: 300_000,
}, async () => {
  const [coordinator, invite, init, print, client, ...rest] = commands;
  await background(coordinator!, /listening|url/);
  for (const unit of units) said.set(unit, await run(forUnit(invite!, unit)));
  const hub = fingerprintIn(said.get('north')!);
  for (const unit of units) await run(forUnit(init!, unit).replace('FINGERPRINT', hub));
  const prints = new Map<string, string>();
  for (const unit of units) prints.set(unit, fingerprintIn(await run(forUnit(print!, unit))));
  for (const unit of units) {
    const file = join(folder, unit, 'policy.json');
    const policy = JSON.parse(readFileSync(file, 'utf8'));
    policy.peers = Object.fromEntries([...prints].filter(([other]) => other !== unit));
    writeFileSync(file, JSON.stringify(policy));
  }
  for (const unit of units)
    await background(forUnit(client!, unit).replace('CODE', codeIn(said.get(unit)!)), /"?connected"?/);
  for (const command of rest) {
    const model = existsSync(join(folder, 'north', 'models'))
      ? join('north', 'models', readdirSync(join(folder, 'north', 'models'))[0]!)
      : '';
    said.set(command, await run(command.replace('FINGERPRINT', hub).replace('MODEL', model)));
  }
  expect([...said.values()].join('\n')).toContain('ledger verified');
  expect(readFileSync(join(folder, 'scored.csv'), 'utf8').split('\n')[0]).toMatch(/,score$/);
});
