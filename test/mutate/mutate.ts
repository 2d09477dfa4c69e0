import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { mutations } from './mutations.ts';
import { type Outcome, runMutations } from './run-mutations.ts';

/**
 * `npm run mutate`: makes every mistake of the list, one at a time, in a copy of this repository, and says who found it.
 *
 *   --only NAME    mistakes with this in their name
 *   --fast         the few that `npm test` tries
 *   --jobs N       copies at work at the same time; one for each core when left out
 *   --json         all outcomes as one document
 *
 * Ends with 1 unless every mistake is caught, and with 2 when there is nothing to try.
 */
const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    fast: { type: 'boolean', default: false },
    jobs: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const chosen = mutations.filter(
  ({ name, fast }) => (!values.fast || fast === true) && name.includes(values.only ?? ''),
);
if (chosen.length === 0) {
  console.error(`there is no mistake called ${values.only}; their names are in test/mutate/mistakes`);
  process.exit(2);
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1)); // copies are removed
const width = Math.max(...chosen.map(({ name }) => name.length));
const startedAt = performance.now();
const outcomes = await runMutations(chosen, {
  root: join(import.meta.dirname, '..', '..'),
  ...(values.jobs === undefined ? {} : { jobs: Math.max(1, Number.parseInt(values.jobs, 10) || 1) }),
  onOutcome: (outcome) => (values.json ? undefined : console.log(rowOf(outcome))),
});
const missed = outcomes.filter(({ verdict }) => verdict !== 'caught');
if (values.json) console.log(JSON.stringify(outcomes, undefined, 2));
else
  console.log(
    `${outcomes.length - missed.length} of ${outcomes.length} mistakes caught in ${((performance.now() - startedAt) / 1000).toFixed(0)} s`,
  );
if (missed.length > 0) process.exitCode = 1;

function rowOf({ name, verdict, by, seconds }: Outcome): string {
  const [first, ...more] = by;
  const indent = ' '.repeat(width + 20);
  const row = `${verdict.padEnd(9)} ${name.padEnd(width)} ${seconds.toFixed(1).padStart(6)} s  ${first}`;
  return [row, ...more.map((one) => `${indent}${one}`)].join('\n');
}
