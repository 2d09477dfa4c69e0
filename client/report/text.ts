import { ADVERSARIES } from '../../privacy/adversary.ts';
import { type ReportFigures, shortTask } from './figures.ts';
import type { Report } from './report.ts';
import { epsilonText, ofHundred, short } from './rounded.ts';
import { poolName } from './sentence.ts';

/** The report for a terminal: the plain words, the totals, one line a task, and what went otherwise. */
export function reportText({ words, caveats, figures, verifyWith }: Report): string {
  return [
    words.sentence,
    words.lifetime,
    words.customer,
    ...caveats.map((caveat) => `! ${caveat}`),
    '',
    ...totals(figures),
    ...tasks(figures),
    ...(figures.deviations.length === 0
      ? []
      : [
          '',
          'Deviations and changes',
          ...figures.deviations.map(({ seq, task, what }) => `  entry ${seq}, ${shortTask(task)}: ${what}`),
        ]),
    '',
    'Verify it yourself',
    ...verifyWith.map((command) => `  ${command}`),
  ].join('\n');
}

const COLUMNS = ['release', 'coalition', 'floor', 'filter', 'found at 1 %'];

function totals({ pools, period }: ReportFigures): string[] {
  return pools.flatMap(({ inPeriod, overLife, delta, ...pool }) => [
    `ε at δ ${short(delta)} of one customer, added or removed; ${poolName(pool)}`,
    row('', COLUMNS),
    ...(period.name === 'all' ? [] : [[period.name, inPeriod] as const])
      .concat([['whole ledger', overLife]])
      .map(([name, { stated, filter, attack, filterAttack }]) =>
        row(`  ${name}`, [
          ...ADVERSARIES.map((against) => epsilonText(stated[against])),
          epsilonText(filter),
          `${ofHundred(Math.max(attack.coalition[0]!.truePositiveRate, filterAttack[0]!.truePositiveRate))} %`,
        ]),
      ),
  ]);
}

function tasks({ tasks: all }: ReportFigures): string[] {
  if (all.length === 0) return [];
  return [
    'By task, at its own δ, of the openings used so far',
    row('', [...COLUMNS.slice(0, 3), 'openings', 'state']),
    ...all.map(({ task, plan, end, charged, planned }) =>
      row(`  ${shortTask(task)} ${plan.use.purpose}`, [
        ...ADVERSARIES.map((against) => epsilonText(charged.stated[against])),
        `${charged.openings}/${planned.openings}`,
        end === undefined ? 'running' : end.kind === 'finish' ? 'finished' : 'stopped',
      ]),
    ),
  ];
}

const row = (name: string, cells: readonly string[]): string =>
  `${name.padEnd(28)}${cells.map((cell) => cell.padStart(13)).join('')}`;
