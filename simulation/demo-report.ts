import { inThree, type TaskResult, type TaskView } from '../coordinator/task-view.ts';
import type { Metric, Metrics } from '../models/evaluation.ts';
import type { Estimate } from '../models/profile.ts';
import type { Total } from './demo-processes.ts';
import type { Reference } from './reference.ts';

/** What the demonstration prints at its end. Every figure that carries noise stands with its ±. */
export interface UnitRow {
  readonly unit: string;
  readonly customers: number;
  readonly alone: Reference;
}

export function describeUnits(
  rows: readonly UnitRow[],
  together: Reference,
  pooled: Reference,
  heldOut: number,
): string {
  const line = (name: string, customers: string, { rocAuc, prAuc, accuracy }: Reference): string =>
    `  ${name.padEnd(32)} ${customers.padStart(9)}   ${rocAuc.toFixed(4)}   ${prAuc.toFixed(4)}   ${accuracy.toFixed(4)}`;
  const all = rows.reduce((sum, row) => sum + row.customers, 0);
  return `
On all ${heldOut} held-out customers (only the demo can see this):
  ${'model'.padEnd(32)} customers   ROC-AUC  PR-AUC   accuracy
${rows.map((row) => line(`${row.unit} alone`, String(row.customers), row.alone)).join('\n')}
${line('all together, private', String(all), together)}
${line('pooled, without privacy', String(all), pooled)}
  ROC-AUC given up for privacy: ${(pooled.rocAuc - together.rocAuc).toFixed(4)}`;
}

export function describeMetrics(metrics: Metrics): string {
  const shown: readonly (readonly [string, Metric])[] = [
    ['ROC-AUC', metrics.rocAuc],
    ['PR-AUC', metrics.prAuc],
    ['accuracy', metrics.accuracy],
    ['recall', metrics.recall],
    ['F1', metrics.f1],
    ['calibration error', metrics.calibrationError],
  ];
  return `
What the federation itself knows (private evaluation, ± from the known noise):
${shown.map(([name, { value, plusMinus }]) => `  ${name.padEnd(18)} ${value.toFixed(3)} ± ${plusMinus.toFixed(3)}`).join('\n')}`;
}

export function describeSegments({ segments, tooSmall }: Extract<TaskResult, { kind: 'segments' }>): string {
  const figure = ({ value, plusMinus }: Estimate, digits: number): string =>
    `${value.toFixed(digits)} ± ${plusMinus.toFixed(digits)}`;
  const lines = segments.map((segment) => {
    const means = segment.features.map(({ name, mean }) => `${name} ${figure(mean, 1)}`);
    const rate = segment.positiveRate;
    const churn =
      rate === undefined ? [] : [`churn ${(100 * rate.value).toFixed(1)} ± ${(100 * rate.plusMinus).toFixed(1)} %`];
    return `  segment ${segment.segment + 1}: ${figure(segment.customers, 0)} customers · ${[...means, ...churn].join(' · ')}`;
  });
  if (tooSmall > 0) lines.push(`  ${tooSmall} smaller than 100, not shown`);
  return lines.join('\n');
}

export function describeSpending(total: Total, tasks: readonly TaskView[]): string {
  const lines = tasks.map(({ name, privacy, charges, openings }) => {
    const { release, coalition, floor } = privacy.epsilon;
    return `  ${name.padEnd(18)} ${release.toFixed(3).padStart(7)}  ${coalition.toFixed(3).padStart(9)}  ${floor.toFixed(3).padStart(6)}   ${inThree(privacy.epsilonSoFar)}   ${charges} of ${openings}`;
  });
  return `
ε at δ ${total.delta}, one customer (${tasks[0]?.privacy.unit === 'row-as-customer' ? 'one row is one customer' : 'all its rows'}) added or removed, in one unit:
  ${'task'.padEnd(18)} release  coalition   floor   charged (all three)     openings
${lines.join('\n')}
  One customer's total over all tasks, as its unit counts it: trained on ε ${total.training.toFixed(3)} of ${total.limit.training}, held out ε ${total.heldOut.toFixed(3)} of ${total.limit.heldOut} (coalition)`;
}
