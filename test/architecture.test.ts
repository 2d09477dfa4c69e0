import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

/** Rooms and arrows: what a file may import is decided by where it lies. */
const root = fileURLToPath(new URL('..', import.meta.url));

/** Downward only; `client` and `coordinator` never each other. */
const MAY_USE = {
  models: [],
  privacy: [],
  aggregation: ['models', 'privacy'],
  client: ['aggregation', 'models', 'privacy'],
  coordinator: ['aggregation', 'models', 'privacy'],
  simulation: ['client', 'coordinator', 'aggregation', 'models', 'privacy'],
} as const satisfies Record<string, readonly string[]>;
type Room = keyof typeof MAY_USE;
const ROOMS = Object.keys(MAY_USE) as Room[];

function filesOf(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|js|mjs)$/.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}

const withoutComments = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[\s;{(])\/\/[^\n]*/g, '$1');

/** Everything that is imported, exported from, required or resolved, at load time or later, types too. */
function importsIn(text: string): string[] {
  const code = withoutComments(text);
  const forms = [
    /\b(?:import|export)\b[^'"`;()]*?\bfrom\s*['"]([^'"]+)['"]/g,
    /\bimport\s*['"]([^'"]+)['"]/g,
    /\bimport\s*\(\s*['"`]([^'"`]+)['"`]/g,
    /\brequire(?:\.resolve)?\s*\(\s*['"`]([^'"`]+)['"`]/g,
    /\bnew URL\s*\(\s*['"`](\.[^'"`]+)['"`]\s*,\s*import\.meta\.url/g,
  ];
  return forms.flatMap((form) => [...code.matchAll(form)].map(([, name]) => name!));
}

/** Imports of ours, as paths from the root. */
function ours(file: string): string[] {
  return importsIn(readFileSync(join(root, file), 'utf8'))
    .filter((name) => name.startsWith('.'))
    .map((name) => relative(root, resolve(root, dirname(file), name)));
}

const roomOf = (path: string): string => (path.includes('/') ? path.slice(0, path.indexOf('/')) : '(root)');

/** The arrows of a room's files that it may not have. */
function forbidden(room: Room): string[] {
  const allowed = new Set<string>([room, ...MAY_USE[room]]);
  // the demonstration starts the command as a process, like anybody else
  const started = room === 'simulation' ? ['parley.js'] : [];
  return filesOf(room).flatMap((file) =>
    ours(file)
      .filter((target) => !allowed.has(roomOf(target)) && !started.includes(target))
      .map((target) => `${file} → ${target}`),
  );
}

describe('the finder of imports', () => {
  test.each([
    [`import { a } from './x.ts';`, ['./x.ts']],
    [`import type { A } from "../y.ts";`, ['../y.ts']],
    [`import {\n  a,\n  type B,\n} from '../z.ts';`, ['../z.ts']],
    [`import * as round from './round.ts';`, ['./round.ts']],
    [`import './side-effect.ts';`, ['./side-effect.ts']],
    [`export { a } from './b.ts';\nexport * from './c.ts';`, ['./b.ts', './c.ts']],
    ["const { run } = await import('./late.ts');", ['./late.ts']],
    ['await import(`./tick.ts`);', ['./tick.ts']],
    [`type T = import('./type.ts').T;`, ['./type.ts']],
    [`import data from './tasks/churn.json' with { type: 'json' };`, ['./tasks/churn.json']],
    [`new URL('../simulation/data.csv', import.meta.url)`, ['../simulation/data.csv']],
    [`// import './not.ts'\n/* import './nor.ts' */ const url = 'http://x'; import './yes.ts';`, ['./yes.ts']],
  ])('sees %j', (text, expected) => {
    expect(importsIn(text)).toEqual(expected);
  });

  test('sees every relative path in quotes that the rooms hold', () => {
    for (const room of ROOMS)
      for (const file of filesOf(room)) {
        const quoted = withoutComments(readFileSync(join(root, file), 'utf8')).match(/['"`]\.\.?\/[^'"`\n]*\.ts['"`]/g);
        expect(importsIn(readFileSync(join(root, file), 'utf8')).length, file).toBeGreaterThanOrEqual(
          quoted?.length ?? 0,
        );
      }
  });
});

describe.each(ROOMS)('%s', (room) => {
  test(`imports of ours only ${MAY_USE[room].join(', ') || 'itself'}`, () => {
    expect(filesOf(room).length).toBeGreaterThan(3);
    expect(forbidden(room)).toEqual([]);
  });

  test('never imports what it is told at run time', () => {
    // an import of a variable could reach any room; the one of optional packages takes names, not paths
    const dynamic = filesOf(room).flatMap((file) =>
      [...withoutComments(readFileSync(join(root, file), 'utf8')).matchAll(/\bimport\s*\(\s*(?!['"`])[^)]*\)/g)].map(
        ([text]) => `${file}: ${text}`,
      ),
    );
    expect(dynamic.filter((one) => !one.startsWith('models/backend.ts'))).toEqual([]);
  });
});

test('a tenant’s security officer reads no server code: the client reaches nothing of coordinator or simulation', () => {
  const reached = new Set<string>();
  const visit = (file: string): void => {
    if (reached.has(file) || !file.endsWith('.ts')) return;
    reached.add(file);
    for (const target of ours(file)) visit(target);
  };
  for (const file of filesOf('client')) visit(file);
  expect([...reached].filter((file) => ['coordinator', 'simulation', '(root)'].includes(roomOf(file)))).toEqual([]);
  expect([...reached].map(roomOf)).toContain('privacy');
});

test('no file imports itself through others', () => {
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) return void circles.push([...path.slice(path.indexOf(file)), file].join(' → '));
    if (done.has(file) || !file.endsWith('.ts')) return;
    for (const target of valueImports(file)) visit(target, [...path, file]);
    done.add(file);
  };
  for (const room of ROOMS) for (const file of filesOf(room)) visit(file, []);
  expect(circles).toEqual([]);
});

/** Imports that exist at run time: types are erased. */
function valueImports(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8').replace(/\b(?:import|export)\s+type\b[^;]*;/g, '');
  return importsIn(text)
    .filter((name) => name.startsWith('.'))
    .map((name) => relative(root, resolve(root, dirname(file), name)));
}

/** Every file of the rooms whose code, comments apart, matches. */
const withCode = (pattern: RegExp): string[] =>
  ROOMS.flatMap((room) =>
    filesOf(room).filter((file) => pattern.test(withoutComments(readFileSync(join(root, file), 'utf8')))),
  );

test('nothing is ever drawn from Math.random', () => {
  expect(withCode(/\bMath\s*\.\s*random\b/)).toEqual([]);
});

test('only commands print: whatever handles rows, batches, noise or vectors has nowhere to write them', () => {
  const printing = withCode(/\bconsole\b|\bprocess\s*\.\s*(stdout|stderr)\b|\bfrom 'pino'/);
  const allowed = /-commands?\.ts$|^aggregation\/(log|secret)\.ts$|^simulation\/progress-line\.ts$/;
  expect(printing.length).toBeGreaterThan(5);
  expect(printing.filter((file) => !allowed.test(file))).toEqual([]);
});

test('the command line loads what a command does when it is called, not before', () => {
  const loaded = new Set<string>();
  const visit = (file: string): void => {
    if (loaded.has(file)) return;
    loaded.add(file);
    if (file.endsWith('.ts')) for (const target of atLoad(file)) visit(target);
  };
  visit('cli.ts');
  const commands = ['client', 'coordinator', 'simulation'].map((room) => `${room}/commands.ts`);
  const light = ['command-options', 'exit', 'plain-text'].map((name) => `aggregation/${name}.ts`);
  expect([...loaded].sort()).toEqual([...light, 'cli.ts', ...commands, 'package.json'].sort());
});

/** What is loaded together with a file: not what it imports when it is called. */
const atLoad = (file: string): string[] =>
  [...readFileSync(join(root, file), 'utf8').matchAll(/^(?:import|export) (?!type )[^;]*?'(\.[^']+)'/gm)].map(
    ([, path]) => relative(root, resolve(root, dirname(file), path!)),
  );

test('there is no room nobody knows, and no drawer for everything', () => {
  const folders = readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .filter((name) => filesIn(name) > 0);
  expect(folders.filter((name) => !(name in MAY_USE) && name !== 'test')).toEqual([]);
  const names = ROOMS.flatMap(filesOf).map((file) => file.split('/').at(-1)!);
  expect(names.filter((name) => /^(utils?|helpers?|common|misc|index)\.ts$/.test(name))).toEqual([]);
});

/** TypeScript files outside of installed and built folders. */
const filesIn = (folder: string): number =>
  ['node_modules', 'dist', 'demo-run'].includes(folder)
    ? 0
    : filesOf(folder).filter((file) => file.endsWith('.ts')).length;

test('packages that are imported are in package.json', () => {
  const { dependencies, optionalDependencies, devDependencies } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  ) as Record<string, Record<string, string>>;
  const known = new Set([...Object.keys({ ...dependencies, ...optionalDependencies }), ...builtinModules]);
  const packageOf = (name: string): string =>
    name
      .split('/')
      .slice(0, name.startsWith('@') ? 2 : 1)
      .join('/');
  const unknown = ROOMS.flatMap((room) =>
    filesOf(room).flatMap((file) =>
      importsIn(readFileSync(join(root, file), 'utf8'))
        .filter((name) => !name.startsWith('.') && !name.startsWith('node:') && !known.has(packageOf(name)))
        .map((name) => `${file} → ${name}`),
    ),
  );
  expect(unknown).toEqual([]);
  expect(Object.keys(devDependencies!)).toContain('vitest');
});
