import { cutAt, type LineChart, type Point, roundUp, type Series } from '../../aggregation/plot.ts';
import { ADVERSARIES, type Adversary } from '../../privacy/adversary.ts';
import type { LedgerEntry } from '../../privacy/ledger.ts';
import { attackGain, epsilonOf, type Spent } from './exposure.ts';
import { type PlannedTask, spentBy } from './openings.ts';
import type { Period } from './period.ts';
import type { PoolFigures } from './pools.ts';
import { poolName } from './sentence.ts';

/**
 * One pool of customers in two pictures, over the whole ledger: how its ε grew with every opened sum, whatever task it was
 * for, and what the best attack at its end can gain.
 */
export const WHO: Readonly<Record<Adversary, string>> = {
  release: 'an outsider, who sees what is released',
  coalition: 'the coordinator and the colluders planned for',
  floor: 'everybody else together',
};

/** Pictures of one pool; none where there is nothing to draw. */
export interface PoolCharts {
  readonly epsilon: LineChart | undefined;
  readonly attack: LineChart | undefined;
}

export function chartsOf(pool: PoolFigures, entries: readonly LedgerEntry[], period: Period): PoolCharts {
  const tasks = new Set(pool.tasks);
  const plans = entries.filter((entry): entry is PlannedTask => entry.kind === 'plan' && tasks.has(entry.task));
  const charges = entries.filter(({ kind, task }) => kind === 'charge' && tasks.has(task));
  if (charges.length === 0) return { epsilon: undefined, attack: undefined };
  return { epsilon: epsilonChart(pool, plans, charges, period), attack: attackChart(pool, spentBy(plans, charges)) };
}

/** Points of a curve; print shows no more. */
const MOST_POINTS = 40;

/** A curve that ends above this many times the coalition's is cut there: it would flatten the others. */
const TALLEST = 4;

/** Of an axis: ε may be 0 all along. */
const LEAST_TOP = 0.01;

/** @returns undefined when ε is infinite */
function epsilonChart(
  figures: PoolFigures,
  plans: readonly PlannedTask[],
  charges: readonly LedgerEntry[],
  period: Period,
): LineChart | undefined {
  const last = figures.overLife.stated.coalition;
  if (!Number.isFinite(last)) return undefined;
  const at = sample(charges.length);
  const curves = ADVERSARIES.map(
    (against): Series => ({
      label: WHO[against],
      points: at.map((x) => ({ x, y: epsilonOf(spentBy(plans, charges.slice(0, x)), against, figures.delta) })),
    }),
  );
  const highest = Math.max(...curves.map(({ points }) => points.at(-1)!.y));
  const top = roundUp(Math.max(LEAST_TOP, Math.min(highest, TALLEST * last)));
  const begins = charges.filter(({ time }) => time < period.from).length;
  const ends = charges.filter(({ time }) => time < period.to).length;
  return {
    title: `ε, ${poolName(figures)}`,
    x: { label: 'sums opened, in the order of the ledger', from: 0, to: charges.length },
    y: { label: `ε at δ = ${figures.delta}, upper bound`, from: 0, to: top },
    series: [
      ...curves.map(({ label, points }) => ({ label, points: cutAt(top, points) })),
      ...(begins === 0 ? [] : [upright('the period begins', begins, top)]),
      ...(ends === charges.length ? [] : [upright('the period ends', ends, top)]),
    ],
  };
}

/** Rates of false positives, closer together where the curves bend. */
const RATES = [0.001, 0.003, 0.01, 0.03, 0.06, ...Array.from({ length: 9 }, (_, i) => (i + 1) / 10), 0.96, 0.99];

function attackChart(figures: PoolFigures, spent: readonly Spent[]): LineChart {
  const [none, all] = [
    { x: 0, y: 0 },
    { x: 100, y: 100 },
  ];
  const points = (against: Adversary): Point[] =>
    RATES.map((rate) => ({ x: 100 * rate, y: 100 * attackGain(spent, against, rate).truePositiveRate }));
  return {
    title: `Best attack, ${poolName(figures)}`,
    x: { label: 'wrongly suspected, of 100 who were not used', from: 0, to: 100 },
    y: { label: 'found, of 100 who were, at most', from: 0, to: 100 },
    series: [
      ...ADVERSARIES.map((against) => ({ label: WHO[against], points: [none, ...points(against), all] })),
      { label: 'blind guessing', points: [none, all] },
    ],
  };
}

/** Some of 0 … count, evenly, with both ends and the first step, which is the steepest. */
function sample(count: number): readonly number[] {
  const steps = Math.min(count, MOST_POINTS);
  return [...new Set([0, 1, ...Array.from({ length: steps }, (_, i) => Math.round((count * (i + 1)) / steps))])];
}

const upright = (label: string, x: number, top: number): Series => ({
  label,
  points: [
    { x, y: 0 },
    { x, y: top },
  ],
});
