import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Catcher, Tests } from './mutation.ts';

/** What a catcher says of a copy. */
export type Finding =
  | { readonly colour: 'green' }
  /** @member by - the first test that failed, or what the compiler or the audit said */
  | { readonly colour: 'red'; readonly by: string }
  /** it could not be asked: nothing was run, or it did not end */
  | { readonly colour: 'none'; readonly because: string };

/** Asks one catcher about the copy in `folder`. */
export function ask(catcher: Catcher, folder: string): Promise<Finding> {
  if (catcher === 'types') return compiled(folder);
  if (catcher === 'audit') return audited(folder);
  return tested(catcher, folder);
}

/** One text for each catcher. */
export const nameOf = (catcher: Catcher): string =>
  typeof catcher === 'string' ? catcher : `${catcher.file}${catcher.named === undefined ? '' : ` "${catcher.named}"`}`;

/** Far more than any catcher takes on a slow machine: a mistake may make a loop that never ends. */
const LONGEST_MS = 180_000;

async function tested({ file, named }: Tests, folder: string): Promise<Finding> {
  const report = join(folder, 'mutate-report.json');
  rmSync(report, { force: true });
  const { output, ended } = await run(folder, join('node_modules', 'vitest', 'vitest.mjs'), [
    ...['run', file, '--bail=1', '--maxWorkers=1'],
    ...['--reporter=json', `--outputFile=${report}`],
    // a cache of its own: nothing is left behind in the packages, which are only linked
    ...['--cache=false', `--fsModuleCachePath=${join(dirname(folder), 'cache')}`],
    ...(named === undefined ? [] : ['--testNamePattern', escaped(named)]),
  ]);
  if (!ended) return { colour: 'none', because: `did not end within ${LONGEST_MS / 1000} s` };
  if (!existsSync(report)) return { colour: 'none', because: `vitest wrote no report: ${lastLine(output)}` };
  return readReport(JSON.parse(readFileSync(report, 'utf8')) as Report);
}

/** As much of vitest's JSON report as is read here. */
interface Report {
  readonly testResults: readonly {
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

function readReport({ testResults }: Report): Finding {
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  const failed = tests.find(({ status }) => status === 'failed');
  if (failed !== undefined) return { colour: 'red', by: failed.fullName };
  // a file that does not even load says nothing about the mistake
  const broken = testResults.find(({ status }) => status === 'failed');
  if (broken !== undefined) return { colour: 'none', because: `not a test failed, but the file: ${broken.message}` };
  if (!tests.some(({ status }) => status === 'passed')) return { colour: 'none', because: 'no such test' };
  return { colour: 'green' };
}

async function compiled(folder: string): Promise<Finding> {
  const { code, output, ended } = await run(folder, join('node_modules', 'typescript', 'bin', 'tsc'), ['--noEmit']);
  if (!ended) return { colour: 'none', because: 'the compiler did not end' };
  const [first = ''] = output.split('\n');
  if (code === 0) return { colour: 'green' };
  return /error TS/.test(first) ? { colour: 'red', by: `tsc: ${first}` } : { colour: 'none', because: first };
}

/** Exit code of a verdict that something is wrong (`aggregation/exit.ts`). */
const VIOLATION = 6;

async function audited(folder: string): Promise<Finding> {
  const task = join('simulation', 'tasks', 'churn.json');
  const { code, output, ended } = await run(folder, 'parley.js', ['audit', task, ...QUICK]);
  if (!ended) return { colour: 'none', because: 'the audit did not end' };
  if (code === 0) return { colour: 'green' };
  if (code !== VIOLATION) return { colour: 'none', because: `the audit ended with ${code}: ${lastLine(output)}` };
  const [, reason = 'a violation, it does not say of what'] = output.match(/^VIOLATION:\n +(.*)$/m) ?? [];
  return { colour: 'red', by: `parley audit: ${reason}` };
}
const QUICK = ['--canaries', '200', '--rounds', '8'];

/** Runs a script of the copy in a process group of its own, which is ended whole when it takes too long. */
async function run(
  folder: string,
  script: string,
  args: readonly string[],
): Promise<{ code: number | null; output: string; ended: boolean }> {
  const child = spawn(process.execPath, [script, ...args], {
    ...{ cwd: folder, detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: environment() },
  });
  const kill = (): void => {
    try {
      process.kill(-child.pid!, 'SIGKILL');
    } catch {
      child.kill('SIGKILL'); // no such group: it has ended by itself, or this system has none
    }
  };
  process.once('exit', kill);
  let ended = true;
  const clock = setTimeout(() => {
    ended = false;
    kill();
  }, LONGEST_MS);
  let output = '';
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (text) => (output += text));
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(clock);
  process.off('exit', kill);
  return { code, output, ended };
}

/** Ours, without what a test runner around this one says of itself. */
const environment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_ENV$|TEST$)/.test(name)));

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const lastLine = (output: string): string => output.trim().split('\n').at(-1)!;
