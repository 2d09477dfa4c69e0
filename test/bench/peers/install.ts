import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { askPython, runPython } from '../python.ts';

const REQUIREMENTS = join(import.meta.dirname, 'requirements.txt');
/** The oldest that Flower and TenSEAL run on. */
const OLDEST = [3, 11] as const;

/** Where the peers' packages are kept, and whether they may be fetched. */
export interface Installation {
  /** path or name of the Python that they are for */
  readonly python: string;
  /** a folder, made when it is needed */
  readonly cache: string;
  /** whether packages that are not there may be fetched; without it nothing reaches for the network */
  readonly install: boolean;
  /** the longest that each step of fetching may take */
  readonly timeoutMs: number;
}

/**
 * A Python that has exactly the packages of requirements.txt: a virtual environment in the cache, made there the first
 * time. One that is there is whole: it is made beside its place and then moved.
 *
 * @returns path of its interpreter
 * @throws Error of one line when it is not there and may not or cannot be made
 */
export async function peersPython({ python, cache, install, timeoutMs }: Installation): Promise<string> {
  const folder = join(cache, await keyOf(python, timeoutMs));
  if (!existsSync(folder)) {
    if (!install) throw new Error('the packages are not there and were not to be fetched (--install fetches them)');
    await make(folder, python, timeoutMs);
  }
  return interpreter(folder);
}

/** Another Python or other packages are another environment. */
async function keyOf(python: string, timeoutMs: number): Promise<string> {
  const who = 'import json, sys; print(json.dumps([*sys.version_info[:2], sys.version, sys.executable]))';
  const [major, minor, ...rest] = (await askPython(python, ['-I', '-c', who], { timeoutMs })) as [number, number];
  if (major !== OLDEST[0] || minor < OLDEST[1]) {
    throw new Error(`${python} is Python ${major}.${minor}; the peers need ${OLDEST.join('.')} or newer`);
  }
  const text = JSON.stringify([major, minor, ...rest, readFileSync(REQUIREMENTS, 'utf8')]);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

async function make(folder: string, python: string, timeoutMs: number): Promise<void> {
  mkdirSync(dirname(folder), { recursive: true });
  const beside = mkdtempSync(`${folder}-`);
  try {
    await runPython(python, ['-I', '-m', 'venv', beside], { timeoutMs });
    // only wheels with the hashes of the file: nothing runs while it is installed
    const exactly = ['--no-deps', '--only-binary=:all:', '--require-hashes', '-r', REQUIREMENTS];
    const pip = ['-I', '-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check', ...exactly];
    await runPython(interpreter(beside), pip, { timeoutMs });
    if (!existsSync(folder)) renameSync(beside, folder);
  } catch (error) {
    throw new Error(`the packages could not be fetched: ${(error as Error).message}`, { cause: error });
  } finally {
    // what venv started outlives it when it took too long, and writes for a while
    await rm(beside, { recursive: true, force: true, maxRetries: 5, retryDelay: 500 }).catch(() => {});
  }
}

const interpreter = (folder: string): string =>
  process.platform === 'win32' ? join(folder, 'Scripts', 'python.exe') : join(folder, 'bin', 'python');
