import { fork } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CORPUS, keep, recordedFrames } from './corpus.ts';
import type { Report } from './run-target.ts';
import { SHARES } from './targets.ts';
import type { FromWorker, Job } from './worker.ts';

/*
 * npm run fuzz -- --inputs 1000000 --seed 1 [--target decoder] [--workers 2] [--json]
 *
 * Feeds every target its share, in processes of their own, and says what became of it. What shows a fault is made small and
 * put into corpus/, where `npm test` finds it. Exits with 1 when something was found.
 */
const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    target: { type: 'string' },
    workers: { type: 'string', default: String(availableParallelism()) },
    json: { type: 'boolean', default: false },
  },
});
const [inputs, seed, workers] = [values.inputs, values.seed, values.workers].map(Number) as [number, number, number];
if (![inputs, seed, workers].every((n) => Number.isInteger(n) && n > 0))
  throw new Error('--inputs, --seed and --workers take whole numbers above 0');
const names = Object.keys(SHARES).filter((name) => values.target === undefined || name === values.target);
if (names.length === 0) throw new Error(`--target ${values.target}: one of ${Object.keys(SHARES).join(', ')}`);

/** A process that says nothing for so long is in a loop that nothing interrupts. */
const SILENT_MS = 300_000;

const started = performance.now();
const jobs = jobsOf();
const reports: Report[] = [];
await Promise.all(Array.from({ length: Math.min(workers, jobs.length) }, work));
conclude();

/** Two for each target, so that all workers are busy to the end; the dearest first. */
function jobsOf(): Job[] {
  const all = names.reduce((sum, name) => sum + SHARES[name]!, 0);
  return names
    .flatMap((target) => {
      const share = Math.ceil((inputs * SHARES[target]!) / all / 2);
      return [0, 1].map((half): Job => ({ target, inputs: share, seed: seed + half * 1_000_003, replay: half === 0 }));
    })
    .reverse();
}

async function work(): Promise<void> {
  for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) reports.push(await run(job));
}

function run(job: Job): Promise<Report> {
  return new Promise((resolve) => {
    const worker = fork(fileURLToPath(new URL('./worker.ts', import.meta.url)), {
      execArgv: ['--expose-gc', '--no-warnings'],
    });
    let fed = 0;
    const broken = (showed: string): void => resolve(lost(job, fed, showed));
    let silence = setTimeout(() => worker.kill('SIGKILL'), SILENT_MS);
    worker.on('message', (message: FromWorker) => {
      clearTimeout(silence);
      if ('report' in message) return resolve(message.report);
      fed = message.progress;
      silence = setTimeout(() => worker.kill('SIGKILL'), SILENT_MS);
      if (!values.json) process.stderr.write(`\r${job.target} ${fed} of ${job.inputs}      `);
    });
    worker.on('exit', (code, signal) => {
      clearTimeout(silence);
      broken(
        signal === 'SIGKILL'
          ? 'hang: the process said nothing any more'
          : `crash: the process ended with ${code ?? signal}`,
      );
    });
    worker.send(job);
  });
}

/** Of a process that is gone: all that is known is how far it was. */
function lost({ target, seed: from }: Job, fed: number, showed: string): Report {
  const detail = `${showed}, after ${fed} inputs of seed ${from}: run it again with --target ${target} --seed ${from}`;
  return { target, inputs: fed, outcomes: {}, findings: [{ showed, detail, input: undefined }], ms: 0, heap: [0, 0] };
}

function conclude(): void {
  const seconds = (performance.now() - started) / 1000;
  const findings = new Map(
    reports.flatMap((report) =>
      report.findings.map((one) => [`${report.target} ${one.showed}`, { target: report.target, ...one }]),
    ),
  );
  const files = [...findings.values()].map((one) => (one.input === undefined ? undefined : keep(one)));
  const fed = reports.reduce((sum, report) => sum + report.inputs, 0);
  const corpus = {
    frames: recordedFrames().length,
    inputs: readdirSync(CORPUS).filter((file) => file.endsWith('.json')).length,
  };
  const summary = { seed, inputs: fed, seconds: Math.round(seconds), perSecond: Math.round(fed / seconds), corpus };
  if (values.json) console.log(JSON.stringify({ ...summary, reports, findings: [...findings.values()] }));
  else print(summary, [...findings.values()], files);
  process.exitCode = findings.size > 0 ? 1 : 0;
}

function print(
  summary: object,
  findings: readonly { target: string; showed: string; detail: string }[],
  files: readonly (string | undefined)[],
): void {
  process.stderr.write('\n');
  console.log(
    `${'target'.padEnd(22)}${'inputs'.padStart(9)}${'a second'.padStart(10)}${'heap, MiB'.padStart(14)}  outcomes`,
  );
  for (const name of names) {
    const mine = reports.filter(({ target }) => target === name);
    const [fed, ms] = [mine.reduce((sum, one) => sum + one.inputs, 0), mine.reduce((sum, one) => sum + one.ms, 0)];
    const heap = mine.map((one) => one.heap.join(' → ')).join(', ');
    const outcomes = new Map<string, number>();
    for (const one of mine)
      for (const [what, count] of Object.entries(one.outcomes)) outcomes.set(what, (outcomes.get(what) ?? 0) + count);
    const said = [...outcomes].sort((a, b) => b[1] - a[1]).map(([what, count]) => `${what} ${count}`);
    console.log(
      `${name.padEnd(22)}${String(fed).padStart(9)}${String(Math.round((fed * 1000) / ms)).padStart(10)}${heap.padStart(20)}  ${said.join(', ')}`,
    );
  }
  console.log(JSON.stringify(summary));
  for (const [i, { target, showed, detail }] of findings.entries())
    console.log(`\nFOUND ${target}: ${showed}\n${detail}\n${files[i] ?? ''}`);
}
