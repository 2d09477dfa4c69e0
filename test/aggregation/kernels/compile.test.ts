import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Compiler, compiledKernels, WORKSHOP } from '../../../aggregation/kernels/compile.ts';
import type { Kernels } from '../../../aggregation/kernels/kernels.ts';
import { kernelsOf, loadKernels } from '../../../aggregation/kernels/load-kernels.ts';

const nobody = (): Promise<Compiler> => Promise.reject(new Error('nobody compiles here'));

/** Hands out what was compiled before: a second each is saved below. */
const handsOut = (bytes: Uint8Array) => async (): Promise<Compiler> => ({
  main: async (_, files) => {
    files.writeFile('kernels.wasm', bytes);
    return { error: null, stderr: [] };
  },
});

const own = await compiledKernels();
let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'parley-kernels-'));
});
afterEach(() => rmSync(cache, { recursive: true, force: true }));

/** Fills the cache. */
async function filled(compiler = handsOut(own)): Promise<{ file: string; record: string; bytes: Buffer }> {
  await compiledKernels({ cache, compiler });
  const names = readdirSync(cache).sort();
  expect(names.map((name) => name.replace(/^[0-9a-f]{64}/, ''))).toEqual(['.sha256', '.wasm']);
  const [record, file] = names.map((name) => join(cache, name)) as [string, string];
  return { file, record, bytes: readFileSync(file) };
}

/** 7 + 5 through the words of whichever kernels these are. */
function twelve({ words }: Kernels): number {
  const [sum, term, value] = [new Uint8Array(4), new Uint8Array(4), new Float64Array(1)];
  words.encode(32, Float64Array.of(7), sum);
  words.encode(32, Float64Array.of(5), term);
  words.add(32, sum, term);
  words.decode(32, sum, value);
  return value[0]!;
}

describe('compiled kernels', () => {
  test('are compiled once, kept, and found without the compiler', async () => {
    const { bytes } = await filled(WORKSHOP.compiler);
    expect(Buffer.compare(bytes, own)).toBe(0); // the same sources, the same module
    const kernels = await kernelsOf({ cache, compiler: nobody });
    expect(kernels.name).toBe('wasm');
    expect(kernels).not.toHaveProperty('reason');
    expect(twelve(kernels)).toBe(12);
    expect(Buffer.compare(await compiledKernels({ cache, compiler: nobody }), bytes)).toBe(0);
  });

  const damages: [string, (file: string, record: string) => void][] = [
    ['is cut short', (file) => truncateSync(file, 1000)],
    ['is empty', (file) => truncateSync(file, 0)],
    [
      'has one bit changed',
      (file) =>
        writeFileSync(
          file,
          readFileSync(file).map((byte, i) => (i === 4000 ? byte ^ 1 : byte)),
        ),
    ],
    ['is gone', (file) => rmSync(file)],
    ['has no record', (_, record) => rmSync(record)],
    ['has half a record', (_, record) => truncateSync(record, 32)],
  ];
  test.each(damages)('are built again when the file %s', async (_, damage) => {
    const { file, record, bytes } = await filled();
    const hash = readFileSync(record, 'utf8');
    damage(file, record);
    expect((await kernelsOf({ cache, compiler: nobody })).reason).toBe('nobody compiles here');
    const kernels = await kernelsOf({ cache, compiler: handsOut(bytes) });
    expect(twelve(kernels)).toBe(12);
    expect(kernels.name).toBe('wasm');
    expect(Buffer.compare(readFileSync(file), bytes)).toBe(0);
    expect(readFileSync(record, 'utf8')).toBe(hash);
    expect(readdirSync(cache)).toHaveLength(2); // nothing half-written is left
  });
});

describe('the same in TypeScript, saying why, when', () => {
  test('the compiler is not installed', async () => {
    const missing = Object.assign(new Error("Cannot find package 'assemblyscript'"), { code: 'ERR_MODULE_NOT_FOUND' });
    const kernels = await kernelsOf({ cache, compiler: () => Promise.reject(missing) });
    expect(kernels.name).toBe('typescript');
    expect(kernels.reason).toBe("Cannot find package 'assemblyscript'");
    expect(twelve(kernels)).toBe(12);
    expect(readdirSync(cache)).toEqual([]);
  });

  test('the sources do not compile', async () => {
    const compiler = async (): Promise<Compiler> => {
      const { main } = await WORKSHOP.compiler();
      const broken = (name: string, text: string | null) => (name === 'slots.ts' ? 'export function (' : text);
      return {
        main: (flags, files) => main(flags, { ...files, readFile: (name) => broken(name, files.readFile(name)) }),
      };
    };
    const kernels = await kernelsOf({ cache, compiler });
    expect(kernels.name).toBe('typescript');
    expect(kernels.reason).toContain('do not compile');
    expect(kernels.reason).toContain('slots.ts');
    expect(readdirSync(cache)).toEqual([]);
  });

  test('the cache can only be read, before any time is spent on compiling', async () => {
    const compiler = () => Promise.reject(new Error('compiled all the same'));
    chmodSync(cache, 0o555);
    const kernels = await unprivileged(() => kernelsOf({ cache: join(cache, 'parley'), compiler }));
    const there = await unprivileged(() => kernelsOf({ cache, compiler }));
    chmodSync(cache, 0o755);
    expect(kernels.reason).toBe(`${join(cache, 'parley')} cannot be written (EACCES)`);
    expect(there.reason).toBe(`${cache} cannot be written (EACCES)`);
    expect([kernels.name, there.name]).toEqual(['typescript', 'typescript']);
    expect(twelve(kernels)).toBe(12);
  });

  test('the cache is no folder', async () => {
    writeFileSync(join(cache, 'file'), '');
    const kernels = await kernelsOf({ cache: join(cache, 'file', 'parley'), compiler: nobody });
    expect(kernels.reason).toContain('cannot be written (ENOTDIR)');
  });

  test('the sources are not there', () => {
    const lonely = join(cache, 'compile.ts');
    copyFileSync(new URL('../../../aggregation/kernels/compile.ts', import.meta.url), lonely);
    const call = `import(${JSON.stringify(lonely)}).then((m) => m.compiledKernels()).catch((e) => console.log(e.message))`;
    const said = execFileSync(process.execPath, ['--input-type=module', '-e', call], {
      encoding: 'utf8',
      timeout: 30_000,
    });
    expect(said.trim()).toBe(`no ${join('aggregation', 'kernels', 'assembly')} above ${realpathSync(cache)}`);
  });

  test('the module does not start', async () => {
    const kernels = await kernelsOf({ cache, compiler: handsOut(Uint8Array.of(0, 1, 2)) });
    expect(kernels.name).toBe('typescript');
    expect(kernels.reason).toContain('WebAssembly');
  });
});

test('a process has one set of kernels, and here they are WebAssembly', async () => {
  const [first, second] = await Promise.all([loadKernels(), loadKernels()]);
  expect(first).toBe(second);
  expect(first.name).toBe('wasm');
});

/** Runs it as a user who is not root, to whom no folder is closed; does so itself when it is not root. */
async function unprivileged<T>(work: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return work();
  process.seteuid?.(65_534);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}
