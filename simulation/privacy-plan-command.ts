import { writeFileSync } from 'node:fs';
import { CommandError, EXIT, isStorageError } from '../aggregation/exit.ts';
import { PlanRefused } from '../aggregation/plan-refused.ts';
import { lineCharts } from '../aggregation/plot.ts';
import { type Settings, settingsSchema } from '../aggregation/settings.ts';
import { readSettings } from '../coordinator/settings-file.ts';
import type { Priced } from './adversaries.ts';
import { attackChart, epsilonChart, whoIs } from './plan-charts.ts';
import type { PrivacyPlan } from './plan-figures.ts';
import { privacyPlan, type Tenants } from './privacy-plan.ts';
import { planText } from './privacy-plan-text.ts';
import { tenantPlan } from './tenant-plan.ts';
import { textPlot } from './text-plot.ts';

/** `parley privacy plan`: what a task would cost, promise and need, before anything runs. */
export interface PrivacyPlanOptions {
  readonly tenants?: number;
  /** customers of each tenant, held-out ones included */
  readonly sizes?: readonly number[];
  readonly unit: string;
  readonly epsilon?: number;
  readonly delta?: number;
  readonly rounds?: number;
  /** tenants one customer may be a customer of */
  readonly copies?: number;
  readonly minCohort?: number;
  readonly colluders?: number;
  readonly svg?: string;
  readonly json?: boolean;
}

/** @throws CommandError - refused (4) with the setting that does not fit and the number that says why */
export async function planPrivacy(file: string, options: PrivacyPlanOptions): Promise<void> {
  const tenants = tenantsOf(options);
  const settings = changed(readSettings(file), options);
  const { plan, priced } = planned(settings, tenants, options);
  if (options.svg !== undefined) write(options.svg, pictures(plan, priced));
  if (options.json) return console.log(JSON.stringify(plan));
  return console.log(`${planText(plan)}\n\n${terminalPlot(plan, priced)}`);
}

function planned(settings: Settings, tenants: Tenants, { unit, delta, copies }: PrivacyPlanOptions) {
  if (unit !== 'customer' && unit !== 'tenant')
    throw new CommandError(EXIT.usage, `there is no unit "${unit}"; choose customer or tenant`);
  if (unit === 'tenant' && copies !== undefined)
    throw new CommandError(
      EXIT.usage,
      '--copies counts tenants of one customer; with --unit tenant there is no customer',
    );
  try {
    return unit === 'tenant' ? tenantPlan(settings, tenants.count, delta) : privacyPlan(settings, tenants);
  } catch (error) {
    if (error instanceof PlanRefused) throw new CommandError(EXIT.refused, error.message);
    throw error;
  }
}

function tenantsOf({ tenants, sizes }: PrivacyPlanOptions): Tenants {
  const count = tenants ?? sizes?.length;
  if (count === undefined)
    throw new CommandError(EXIT.usage, 'give --tenants with a number, or --sizes with the customers of each tenant');
  if (sizes !== undefined && sizes.length !== count)
    throw new CommandError(EXIT.usage, `--tenants says ${count}, --sizes lists ${sizes.length}`);
  if (count < 1 || count > 200) throw new CommandError(EXIT.usage, `a roster has 1 to 200 tenants, not ${count}`);
  return { count, ...(sizes === undefined ? {} : { sizes }) };
}

/** The settings with what the command line says instead. */
function changed(settings: Settings, options: PrivacyPlanOptions): Settings {
  const { epsilon, copies, minCohort, colluders, rounds, delta, unit } = options;
  if (rounds !== undefined && settings.work.kind === 'evaluate')
    throw new CommandError(EXIT.usage, '--rounds: an evaluation has one round');
  const work = {
    ...settings.work,
    ...(rounds === undefined ? {} : { rounds }),
    // which iterates are averaged costs nothing: fewer rounds need no other settings
    ...(rounds !== undefined && settings.work.kind === 'train' && rounds > 0
      ? { averageLast: Math.min(settings.work.averageLast, rounds) }
      : {}),
  };
  const parsed = settingsSchema.safeParse({
    ...settings,
    work,
    privacy: {
      ...settings.privacy,
      ...(epsilon === undefined ? {} : { epsilon }),
      ...(copies === undefined ? {} : { tenantsPerCustomer: copies }),
      ...(delta === undefined || unit === 'tenant' ? {} : { delta }), // a tenant's δ may be larger than any customer's
    },
    secureSum: {
      ...settings.secureSum,
      ...(minCohort === undefined ? {} : { minCohort }),
      ...(colluders === undefined ? {} : { colluders }),
    },
  });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new CommandError(EXIT.usage, problems.join('\n'));
}

function pictures(plan: PrivacyPlan, priced: Priced): string {
  const left = epsilonChart(plan, priced, (who, last) => `${who} (${last.toFixed(2)}): ${whoIs(who, plan)}`);
  const right = attackChart(plan, priced, (who) => `${who}: ${whoIs(who, plan)}`);
  const { release, coalition, floor } = plan.epsilon;
  return lineCharts(
    [left, right],
    `Planned privacy of the task ${plan.task}: epsilon ${release.toFixed(3)} (release), ${coalition.toFixed(3)} (coalition), ${floor.toFixed(3)} (floor) at delta ${plan.delta.total}, unit ${plan.unit}, ${plan.neighbouring}. Left: epsilon against sums opened. Right: the largest true positive rate against the false positive rate of any attack.`,
  );
}

/** ε over the rounds: Braille dots on a terminal, letters elsewhere. */
function terminalPlot(plan: PrivacyPlan, priced: Priced): string {
  const braille = process.stdout.isTTY === true;
  const chart = epsilonChart(plan, priced, (who, last) => `${who} ${last.toFixed(2)}`);
  return textPlot(chart, { columns: 48, rows: 12, braille });
}

function write(file: string, content: string): void {
  try {
    writeFileSync(file, content);
  } catch (error) {
    if (isStorageError(error)) throw error;
    throw new CommandError(
      EXIT.storage,
      `${file}: cannot be written (${(error as NodeJS.ErrnoException).code}); is its folder there?`,
    );
  }
}
