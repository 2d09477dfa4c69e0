import { expect, test } from 'vitest';
import { askPython, runPython } from './python.ts';

/** Node stands in for Python: what is tested is how a process is run, and every machine has it. */
const node = process.execPath;
const ask = (script: string, question = {}) => askPython(node, ['-e', script], question);

test('the last line is what counts: libraries warn before it', async () => {
  expect(await ask(`console.log('WARNING: old'); console.log('{"a": [1, 2]}')`)).toEqual({ a: [1, 2] });
});

test('input arrives whole, also when it is larger than a pipe', async () => {
  const echo = `process.stdin.pipe(process.stdout)`;
  const input = JSON.stringify(Array.from({ length: 200_000 }, (_, i) => i));
  expect(await runPython(node, ['-e', echo], { input })).toBe(input);
});

test('input that is not read is no failure', async () => {
  expect(await ask('console.log(1); process.exit(0)', { input: 'x'.repeat(1 << 22) })).toBe(1);
});

test('what is added to the environment arrives, and the rest stays', async () => {
  const print = 'console.log(JSON.stringify([process.env.OMP_NUM_THREADS, process.env.PATH]))';
  expect(await ask(print, { env: { OMP_NUM_THREADS: '1' } })).toEqual(['1', process.env['PATH']]);
});

test('an interpreter that is not there is named', async () => {
  await expect(askPython('/nowhere/python3', [])).rejects.toThrow('/nowhere/python3 cannot be run (ENOENT)');
});

test.each([
  ['console.log("[1, 2")', 'should print JSON last, and printed "[1, 2"'],
  ['', 'should print JSON last, and printed ""'],
])('%j is no answer', async (script, message) => {
  await expect(ask(script)).rejects.toThrow(message);
});

test.each([
  [
    'Traceback\\n  at x\\nModuleNotFoundError: No module named x\\n',
    'ended with 3: ModuleNotFoundError: No module named x',
  ],
  [
    'ERROR: no route\\nERROR: No matching distribution\\n[notice] a new release\\n',
    'ended with 3: ERROR: No matching distribution',
  ],
  ['the sum is off by 1\\n', 'ended with 3: the sum is off by 1'],
])('of a failure that prints %j, one line says why', async (stderr, message) => {
  const failing = ask(`process.stderr.write('${stderr}'); process.exitCode = 3`);
  await expect(failing).rejects.toThrow(new Error(`${node} ${message}`));
});

test('one that never ends is ended, also when it ignores requests to end', async () => {
  const deaf = `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)`;
  await expect(ask(deaf, { timeoutMs: 500 })).rejects.toThrow('took more than 0.5 s');
});
