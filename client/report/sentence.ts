import type { PlanEntry } from '../../privacy/ledger.ts';
import type { Exposure } from './exposure.ts';
import type { ReportFigures, TaskFigures } from './figures.ts';
import { dayOf, isIn, periodInWords } from './period.ts';
import type { PoolFigures } from './pools.ts';
import { ofHundred } from './rounded.ts';

/**
 * A report for someone who reads one paragraph of it: who is protected, from whom, how much, for how long. No ε: what
 * it means is how many of those who were used the best attacker finds while wrongly suspecting 1 in 100 of the others.
 *
 * The figure holds also where tasks were chosen in view of earlier results, or says that it does not; and it is the largest of
 * any pool's: a customer is in one of them.
 */
export interface PlainWords {
  /** about the period */
  readonly sentence: string;
  /** about the whole ledger: the total that does not expire */
  readonly lifetime: string;
  /** what a customer is, as far as the numbers go */
  readonly customer: string;
}

export function plainWords(figures: ReportFigures): PlainWords {
  return { sentence: aboutPeriod(figures), lifetime: aboutLife(figures), customer: aboutCustomers(figures) };
}

function aboutPeriod(figures: ReportFigures): string {
  const { period, pools, tasks } = figures;
  const span = periodInWords(period);
  const used = tasks.filter(({ behindPeriod }) => behindPeriod > 0);
  if (used.length === 0)
    return `${span}, no sum over any customers was opened, so nothing new could be learned about anyone.`;
  const released = whatWasReleased(figures);
  const found = mostFound(pools.map(({ inPeriod }) => inPeriod));
  if (found.part >= 1)
    return `${span}, ${released}, and no bound is proven on what all of it tells about a single customer: whoever sees it may find out who was used.`;
  return (
    `${span}, ${released}: whoever tries to tell from all of it whether a given customer was used, and wrongly suspects 1 of ` +
    `100 who were not, finds at most ${ofHundred(found.part)} of 100 who were (blind guessing finds 1)${found.proviso}; this protects ` +
    `every customer of the units that have no part in it, against ${adversary(used)}, for as long as the results exist${retention(used)}.`
  );
}

function aboutLife({ ledger, pools }: ReportFigures): string {
  const spent = pools.filter(({ overLife }) => overLife.openings > 0);
  if (ledger.span === undefined || spent.length === 0)
    return 'This ledger holds no opening at all: nothing was ever spent.';
  const found = mostFound(spent.map(({ overLife }) => overLife));
  const span = `Over everything in this ledger, from ${dayOf(ledger.span.first)} to ${dayOf(ledger.span.last)}`;
  const atMost =
    found.part >= 1 ? 'no bound is proven' : `it is at most ${ofHundred(found.part)} of 100${found.proviso}`;
  return `${span}, ${atMost}; that total only grows, and it never expires.`;
}

/** Part of the customers that were used and are found, and on what condition. One customer is in one pool: the largest counts. */
function mostFound(exposures: readonly Exposure[]): { readonly part: number; readonly proviso: string } {
  const parts = exposures.map(({ attack, filterAttack }) => ({
    tight: attack.coalition[0]!.truePositiveRate,
    filter: filterAttack[0]!.truePositiveRate,
  }));
  const filter = Math.max(...parts.map((each) => Math.max(each.tight, each.filter)));
  return filter < 1
    ? { part: filter, proviso: '' }
    : { part: Math.max(...parts.map(({ tight }) => tight)), proviso: FIXED };
}

const FIXED =
  ', provided the tasks were fixed before the first of them: no bound is proven where later ones were chosen in view of its results';

function whatWasReleased({ tasks, period }: ReportFigures): string {
  const finished = tasks.filter(({ end }) => end?.kind === 'finish' && isIn(period, end.at));
  const unfinished = tasks.filter((task) => task.chargesInPeriod > 0 && !finished.includes(task));
  const sums = unfinished.reduce((sum, { chargesInPeriod }) => sum + chargesInPeriod, 0);
  const results =
    finished.length === 0
      ? []
      : [`${counted(finished.length, 'result was', 'results were')} released for ${listed(purposes(finished))}`];
  const rest =
    sums === 0
      ? []
      : [
          `${counted(sums, 'sum was', 'sums were')} opened by tasks that had not finished, for ${listed(purposes(unfinished))}`,
        ];
  return [...results, ...rest].join(' and ');
}

const purposes = (tasks: readonly TaskFigures[]): string[] => [...new Set(tasks.map(({ plan }) => plan.use.purpose))];

/** The strongest attacker that the figure holds against, for all of these tasks. */
function adversary(tasks: readonly TaskFigures[]): string {
  const plans = tasks.map(({ plan }) => plan);
  const sharing = plans.filter(({ trust }) => trust.mode !== 'record-local' && trust.secureSum !== 'plain');
  if (sharing.length === 0) return 'the coordinator and all other business units together';
  const colluders = Math.min(...sharing.map(({ trust }) => trust.colluders));
  if (colluders === 0) return 'the coordinator, but not if a business unit helps it';
  return `the coordinator together with ${colluders === 1 ? 'any one other business unit' : `any ${number(colluders)} other business units`}`;
}

function retention(tasks: readonly TaskFigures[]): string {
  const days = tasks.map(({ plan }) => plan.use.retentionDays);
  const stated = days.filter((each) => each !== undefined);
  const longest = stated.length === 0 ? '' : `; they may be used for up to ${Math.max(...stated)} days`;
  const unsaid = stated.length === days.length ? '' : '; not every plan says how long they may be used';
  return longest + (stated.length === 0 ? '; no plan says how long they may be used' : unsaid);
}

function aboutCustomers({ pools }: ReportFigures): string {
  const said = [...new Set(pools.flatMap(({ units }) => units))].map((unit) => UNITS[unit]);
  if (said.length === 0) return 'No plan says what a customer is.';
  const which =
    said.length === 1
      ? `Here ${said[0]}.`
      : `Tasks differ: ${said.join('; or ')}. Totals hold for customers that are the same by each.`;
  const most = Math.max(...pools.map(({ tenantsPerCustomer }) => tenantsPerCustomer));
  return `${which} It is taken to be a customer of ${most === 1 ? 'one business unit' : `at most ${number(most)} business units`}, and to be in one group only: trained on, or held out for evaluation.`;
}

export const UNITS: Readonly<Record<PlanEntry['unit'], string>> = {
  customer: "a customer is all rows of one name in one business unit's data",
  'row-as-customer': "a customer is one row of one business unit's data: who has several rows is not protected as one",
  tenant: 'what is protected is a whole business unit',
};

/** Group name of a pool, for people. */
export const poolName = ({ pool }: Pick<PoolFigures, 'pool'>): string =>
  ({ training: 'customers trained on', 'held-out': 'customers held out for evaluation' })[pool] ??
  `customers in "${pool}"`;

const NUMBERS = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'];
const number = (count: number): string => NUMBERS[count] ?? String(count);

const counted = (count: number, one: string, many: string): string => `${number(count)} ${count === 1 ? one : many}`;

const listed = (words: readonly string[]): string =>
  words.length <= 1 ? words.join() : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
