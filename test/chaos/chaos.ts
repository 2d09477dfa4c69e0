import { parseArgs } from 'node:util';
import { SECURE_SUMS } from '../../aggregation/secure-sum.ts';
import { toySettings } from '../support-client/toy-task.ts';
import { SCALE } from './faults/fault.ts';
import { FAULTS } from './faults/faults.ts';
import { seeded } from './matrix.ts';
import { type Reported, runFaults } from './run-faults.ts';

/**
 * `npm run chaos`: real processes, killed at every commit and at random, one task for each death.
 *
 *   --only NAME          faults with this in their name
 *   --secure-sum NAME    under this one alone
 *   --stride N           every N-th point of each fault: a part of it all
 *   --at N               this point alone
 *   --seed N             of what is left to chance
 *   --rounds N           of each task
 *   --scale N            of a network's times; at 1 a latency of 5 s is 5 s. Without it a short task meets several faults
 *   --json               everything as one document at the end
 *
 * Ends with 1 when something was lost, counted twice or not finished, and says how to see it again; with 2 when there is nothing
 * to try.
 */
const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    'secure-sum': { type: 'string' },
    stride: { type: 'string', default: '1' },
    at: { type: 'string' },
    seed: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '2' },
    scale: { type: 'string', default: String(SCALE) },
    json: { type: 'boolean', default: false },
  },
});
const faults = FAULTS.filter(({ name }) => name.includes(values.only));
const sums = SECURE_SUMS.filter(
  (name) => (values['secure-sum'] ?? name) === name && (name !== 'plain' || values['secure-sum'] === name),
);
if (faults.length === 0 || sums.length === 0) {
  console.error(`there is no fault called ${values.only}, or no secure sum called ${values['secure-sum']}`);
  process.exit(2);
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1)); // what is on disk is removed
const [stride, seed, rounds] = [values.stride, values.seed, values.rounds].map((text) => Number.parseInt(text, 10));
const say = (line: string): void => (values.json ? undefined : console.log(line));
say(`${stride === 1 ? 'every' : `every ${stride}.`} point of each fault, ${rounds} rounds a task, seed ${seed}`);

/** A machine on which everything starts at once is slow: nobody who comes back is to come too late. */
const PATIENT = { stageTimeoutMs: 30_000, patienceMs: 60_000 };

const all: Reported[] = [];
for (const secureSum of sums)
  all.push(
    ...(await runFaults({
      ...{ secureSum, faults, stride: stride!, at: values.at === undefined ? undefined : Number(values.at) },
      settings: (name) => toySettings({ name, protocol: secureSum, rounds: rounds!, timing: PATIENT }),
      // the same for a point, whatever was tried before it
      random: (point) => seeded(seed! * 7919 + point),
      scale: Number(values.scale),
      onTask: report,
    })),
  );
const bad = all.filter(isBad);
if (values.json) console.log(JSON.stringify({ seed, stride, rounds, scale: values.scale, tasks: all }, undefined, 2));
else console.log(`\n${table(all)}\n`);
process.exit(bad.length > 0 ? 1 : 0);

function report(one: Reported): void {
  say(lineOf(one));
  if (!isBad(one)) return;
  const again = `npm run chaos -- --only "${one.fault}" --secure-sum ${one.secureSum} --at ${one.point} --seed ${seed} --rounds ${rounds} --scale ${values.scale}`;
  console.error(`${[one.failure ?? [], one.lost, one.counted, one.other].flat().join('\n')}\n  again: ${again}`);
}

function isBad({ failure, lost, counted, other }: Reported): boolean {
  return failure !== undefined || lost.length + counted.length + other.length > 0;
}

function lineOf(one: Reported): string {
  const ending = isBad(one) ? 'WRONG' : one.isFinished ? 'finished' : 'worn out';
  const rounds = `${one.opened} rounds, ${one.abandoned} abandoned, ${one.deaths} deaths, ${(one.ms / 1000).toFixed(1)} s`;
  return `${one.secureSum.padEnd(13)} ${one.fault.padEnd(40)} ${String(one.point).padStart(3)}  ${ending.padEnd(9)} ${rounds}`;
}

function table(tasks: readonly Reported[]): string {
  const columns = ['injected', 'tasks', 'finished', 'rounds', 'abandoned', 'releases', 'lost', 'double-counted'];
  const sum = (some: readonly Reported[], of: (one: Reported) => number): number =>
    some.reduce((n, one) => n + of(one), 0);
  const row = (name: string, some: readonly Reported[]): string[] => [
    name,
    ...[
      sum(some, ({ deaths }) => deaths),
      some.length,
      sum(some, ({ isFinished }) => Number(isFinished)),
      sum(some, ({ opened }) => opened),
      sum(some, ({ abandoned }) => abandoned),
      sum(some, ({ releases }) => releases),
      sum(some, ({ lost }) => lost.length),
      sum(some, ({ counted }) => counted.length),
    ].map(String),
  ];
  const kinds = [...new Set(tasks.map(({ fault }) => fault))];
  const rows = [
    ['fault', ...columns],
    ...kinds.map((kind) =>
      row(
        kind,
        tasks.filter(({ fault }) => fault === kind),
      ),
    ),
    row('all', tasks),
  ];
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((cells) => cells[i]!.length)));
  const lines = rows.map((cells) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '),
  );
  const starts = tasks.flatMap(({ startsMs }) => startsMs).sort((a, b) => a - b);
  const middle = starts[Math.floor(starts.length / 2)];
  const back =
    middle === undefined
      ? ''
      : `\na killed coordinator serves again after ${(middle / 1000).toFixed(1)} s (median), its process started`;
  return lines.join('\n') + back;
}
