import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** It reads and writes through us. */
export type Compiler = Pick<typeof import('assemblyscript/asc'), 'main'>;

/** Where compiled kernels are kept, and who compiles them. */
export interface Workshop {
  /** a folder, made when it is not there; without it, one under the project's node_modules */
  readonly cache?: string;
  readonly compiler: () => Promise<Compiler>;
}

/** No binary is in the repository and no script runs at install time: the first use compiles, later ones find it. */
export const WORKSHOP: Workshop = { compiler: () => import('assemblyscript/asc') };

/** No garbage collector, no imports; 2 MiB of memory that never grows. */
const FLAGS = '-O3 --enable simd --runtime stub --noAssert --initialMemory 32 --maximumMemory 32'.split(' ');
const SOURCES = join('aggregation', 'kernels', 'assembly');
const ENTRY = 'kernels.ts';
const OUTPUT = 'kernels.wasm';

/**
 * The compiled kernels: from the cache when it holds them for exactly these sources, flags and compiler, and whole;
 * else compiled (a second or two) and put there. Two processes that do so at once do it twice.
 *
 * @throws Error when they are not in the cache and cannot be compiled, or the cache cannot be written
 */
export async function compiledKernels(workshop: Workshop = WORKSHOP): Promise<Uint8Array> {
  const project = projectFolder();
  const { cache = join(project, 'node_modules', '.cache', 'parley'), compiler } = workshop;
  const sources = readSources(join(project, SOURCES));
  const key = sha256(JSON.stringify([compilerVersion(), FLAGS, [...sources]]));
  const file = join(cache, `${key}.wasm`);
  const record = join(cache, `${key}.sha256`);
  const kept = readKept(file, record);
  if (kept !== undefined) return kept;
  makeWritable(cache);
  const compiled = await compile(sources, await compiler());
  put(file, compiled);
  put(record, sha256(compiled)); // last: a file without its record does not count
  return compiled;
}

/** What lies above this file, or above what `tsc` made of it, and has the sources. */
function projectFolder(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, SOURCES))) {
    if (folder === dirname(folder)) throw new Error(`no ${SOURCES} above ${import.meta.dirname}`);
    folder = dirname(folder);
  }
  return folder;
}

function readSources(folder: string): Map<string, string> {
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.ts'))
    .sort();
  return new Map(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}

/** Read, not imported: loading the compiler takes half a second. */
function compilerVersion(): string {
  const file = createRequire(import.meta.url).resolve('assemblyscript/package.json');
  return JSON.parse(readFileSync(file, 'utf8')).version;
}

/** undefined when it is not there, or not what was recorded: a half-written file is built again. */
function readKept(file: string, record: string): Uint8Array | undefined {
  if (!existsSync(file) || !existsSync(record)) return undefined;
  const bytes = new Uint8Array(readFileSync(file));
  return sha256(bytes) === readFileSync(record, 'utf8') ? bytes : undefined;
}

/** Tried before the compiler is: it takes longer than all the rest. */
function makeWritable(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    const probe = temporary(join(folder, 'probe'));
    writeFileSync(probe, '', { flag: 'wx' });
    rmSync(probe);
  } catch (cause) {
    throw new Error(`${folder} cannot be written (${(cause as NodeJS.ErrnoException).code})`, { cause });
  }
}

async function compile(sources: ReadonlyMap<string, string>, { main }: Compiler): Promise<Uint8Array> {
  let compiled: Uint8Array | undefined;
  const { error, stderr } = await main([ENTRY, '--outFile', OUTPUT, ...FLAGS], {
    readFile: (name) => sources.get(name) ?? null,
    writeFile: (name, contents) => {
      if (name === OUTPUT && typeof contents !== 'string') compiled = new Uint8Array(contents);
    },
    listFiles: () => [],
  });
  if (compiled === undefined) throw new Error(`the kernels do not compile: ${error?.message}\n${stderr}`);
  return compiled;
}

/** Whole or not at all: written under a name of its own, then given the right one. */
function put(file: string, contents: Uint8Array | string): void {
  const next = temporary(file);
  writeFileSync(next, contents, { flag: 'wx', flush: true });
  renameSync(next, file);
}

const temporary = (file: string): string => `${file}.${randomBytes(8).toString('hex')}.new`;

const sha256 = (contents: Uint8Array | string): string => createHash('sha256').update(contents).digest('hex');
