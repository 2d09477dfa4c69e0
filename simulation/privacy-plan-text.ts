import { COSTS_OF, type SumCost } from '../aggregation/sum-cost.ts';
import { ADVERSARIES, type Adversary, type ForEach } from '../privacy/adversary.ts';
import { whoIs } from './plan-charts.ts';
import type { PrivacyPlan } from './plan-figures.ts';

/**
 * A plan's figures for people: a compliance officer reads it from the top and knows who is protected, from whom, and how well;
 * further down is what a researcher turns.
 */
export function planText(plan: PrivacyPlan): string {
  return [
    headline(plan),
    ...protection(plan),
    ...attacks(plan),
    ...mechanism(plan),
    ...wire(plan),
    ...choices(plan),
    ...overTime(plan),
    ...ifOtherwise(plan),
    ...(plan.unit === 'tenant' ? [NOT_YET] : []),
  ].join('\n');
}

const NOT_YET = `Tasks in the mode "tenant-distributed" are planned here and not yet run.`;

const UNITS: Readonly<Record<PrivacyPlan['unit'], string>> = {
  customer: 'one customer (all its rows)',
  'row-as-customer': 'one customer (one row is one customer)',
  tenant: 'one tenant (all its customers together, by the update they give)',
};

function headline({ task, work, tenants, customers, dimension, mode }: PrivacyPlan): string {
  const who = customers === undefined ? '' : ` with some ${Math.round(customers)} customers that pay`;
  return `${task}: ${work}, ${tenants} tenants${who}, ${dimension} coordinates, ${mode}`;
}

function protection(plan: PrivacyPlan): string[] {
  const { unit, neighbouring, tenantsPerCustomer, epsilon, epsilonByCopies, delta, target } = plan;
  const copies =
    unit === 'tenant' ? '' : `, known to ${tenantsPerCustomer} tenant${tenantsPerCustomer === 1 ? '' : 's'} at most`;
  const lines = [
    section('Who is protected, and from whom'),
    line('unit', `${UNITS[unit]}, ${neighbouring}${copies}`),
    line(
      'ε',
      `${three(epsilon, fixed(4))}   at δ ${short(delta.total)}; coalition is promised to be at most ${target}`,
    ),
    ...ADVERSARIES.map((who) => line('', `${who.padEnd(9)} against ${whoIs(who, plan)}`)),
    line(
      'δ',
      delta.setAside === 0
        ? `all of it for the accountant`
        : `${short(delta.accounted, 8)} for the accountant, ${short(delta.setAside)} set aside for batches that must be cut; that takes ${short(delta.truncation)} at most`,
    ),
  ];
  if (epsilonByCopies.length > 0)
    lines.push(line('known to more', `1, 2, 3 tenants: coalition ε ${epsilonByCopies.map(fixed(4)).join(', ')}`));
  return lines;
}

function attacks({ attack, unit }: PrivacyPlan): string[] {
  const rates = attack.release.map(({ falsePositiveRate }) => falsePositiveRate);
  const rows = rates.map((rate, i) =>
    line(
      `at ${percent(rate)} wrong`,
      `${ADVERSARIES.map((who) => `${who} ${percent(attack[who][i]!.truePositiveRate)} (μ ${attack[who][i]!.mu.toFixed(3)})`).join(' · ')}`,
    ),
  );
  return [
    section(
      `What an attacker can gain: ${unit === 'tenant' ? 'tenants' : 'customers'} recognised, at most, for those wrongly suspected`,
    ),
    ...rows,
    line('', 'guessing recognises as many as it wrongly suspects; μ: as if one saw N(μ, 1) or N(0, 1)'),
  ];
}

function mechanism(plan: PrivacyPlan): string[] {
  const { noise, sampling, rounds, openings, renyi, noiseToSignal, unit, tenants } = plan;
  const batch =
    sampling.expectedBatch === undefined
      ? 'give --sizes to know how many'
      : `${short(sampling.expectedBatch)} expected${sampling.drawn === undefined ? '' : ` (q times the customers: ${short(sampling.drawn, 4)})`}`;
  const lines = [
    section('Noise'),
    line(
      'multiplier',
      `z = ${noise.multiplier.toFixed(4)}; Rényi accounting would need ${percent(renyi.noiseFactor - 1)} more, or call this noise ε ${renyi.epsilon.toFixed(4)}`,
    ),
    line(
      'σ of a share',
      `${Math.round(noise.share.gridSteps)} grid steps = ${short(noise.share.real, 4)} in a coordinate`,
    ),
    line(
      'σ of a sum',
      `${Math.round(noise.sum.gridSteps)} grid steps = ${short(noise.sum.real, 4)} in a coordinate, with all ${tenants} shares`,
    ),
    line('sampling', `q = ${short(sampling.rate, 6)}`),
    line(
      'batch',
      unit === 'tenant'
        ? `every tenant, one row each`
        : `${batch}; at most ${sampling.maxBatch} of a tenant, ${sampling.maxBatch * tenants} in all`,
    ),
    line('rounds', `${rounds}, and ${openings - rounds} spare openings`),
  ];
  if (noiseToSignal !== undefined) {
    const {
      ratio,
      ratioPerCoordinate,
      noise: length,
      largestSignal,
      contributions,
      noisePerCoordinate,
    } = noiseToSignal;
    lines.push(
      line('noise/signal', `${percent(ratio)} per round, ${percent(ratioPerCoordinate)} per coordinate`),
      line(
        '',
        `a sum over ${short(contributions)} is ${short(largestSignal)} long at most, its noise ${short(length)} (${short(noisePerCoordinate)} per coordinate); ${ratio > 1 ? 'no round shows anything by itself, only many together' : 'real signals are far below the most'}`,
      ),
    );
  }
  return lines;
}

function wire({ secureSum, tenants, rounds }: PrivacyPlan): string[] {
  const { protocol, opens, minCohort, colluders, bits, bytesPerRound } = secureSum;
  return [
    section('Secure sum'),
    line('protocol', `${protocol}; ${opens}; at least ${minCohort} take part, ${colluders} may collude`),
    line('bits', `${bits.needed.toFixed(2)} needed of ${bits.available.toFixed(2)}`),
    line(
      'bytes up',
      `${bytesPerRound} per tenant and round, ${(bytesPerRound * tenants) / 1000} kB per round, ${((bytesPerRound * tenants * rounds) / 1e6).toFixed(1)} MB in all rounds`,
    ),
  ];
}

/** Why one, or another: what each takes, and what is lost with a tenant. */
function choices({ secureSum }: PrivacyPlan): string[] {
  const { protocol, choices, minCohort } = secureSum;
  const fit = choices.filter(({ unfit }) => unfit === undefined);
  const rows = choices.map((one) =>
    line(
      one.protocol,
      one.unfit ??
        `${ms(one.clientMs)} a tenant, ${ms(one.coordinatorMs)} the coordinator (${ms(one.coordinatorMsAtWorst)} with ${minCohort} left), ${bytes(one.bytesUp)} up${one.protocol === protocol ? '  ← this task' : ''}`,
    ),
  );
  const least = (of: (one: SumCost) => number) => fit.reduce((a, b) => (of(b) < of(a) ? b : a)).protocol;
  const summary =
    fit.length === 0
      ? []
      : [
          line(
            'least',
            `work for tenants: ${least(({ clientMs }) => clientMs)}; bytes: ${least(({ bytesUp }) => bytesUp)}`,
          ),
        ];
  return [
    section(`Secure sums that could serve this task, a round on ${COSTS_OF}`),
    ...rows,
    ...summary,
    line(
      'threshold-he',
      'a second wall: vectors stay masked even if every key is lost; who is lost after it was ready costs the round',
    ),
    line(
      'the others',
      'rounds go on without who was lost; with enough tenants breached later, recorded rounds lie open',
    ),
  ];
}

const ms = (value: number): string => `${short(value, 2)} ms`;
const bytes = (count: number): string =>
  count < 1e4 ? `${count} B` : count < 1e6 ? `${short(count / 1e3)} kB` : `${short(count / 1e6)} MB`;

function overTime({ epsilonAfter }: PrivacyPlan): string[] {
  const columns: readonly [string, (row: PrivacyPlan['epsilonAfter'][number]) => string][] = [
    ['rounds', ({ at }) => String(at)],
    ...ADVERSARIES.map((who): [string, (row: ForEach<number>) => string] => [who, (row) => row[who].toFixed(3)]),
  ];
  return [
    section('ε after a part of the rounds, none of them repeated'),
    ...columns.map(([name, of]) => line(name, epsilonAfter.map((row) => of(row).padStart(8)).join(''))),
  ];
}

function ifOtherwise(plan: PrivacyPlan): string[] {
  const { dropOut, secureSum, oneMoreRound, otherSizes, openings } = plan;
  const { minCohort, colluders, bits } = secureSum;
  const shares =
    dropOut.length === 0
      ? [line('', 'every tenant adds the whole noise: whoever is missing, ε stays')]
      : [
          line('missing', dropOut.map(({ missing }) => percent(missing).padStart(8)).join('')),
          line('coalition', dropOut.map(({ epsilon }) => epsilon.toFixed(3).padStart(8)).join('')),
          line(
            '',
            `of ${minCohort - colluders} shares that the plan counts: n_min − c = ${minCohort} − ${colluders}, whoever else is there. With fewer than ${minCohort} tenants`,
          ),
          line(
            '',
            'nothing is opened, so none of this can happen by drop-out; it is what more colluders than planned would gain',
          ),
        ];
  return [
    section('ε if shares of the noise were missing'),
    ...shares,
    section('One round more, and other sizes'),
    line(
      'round',
      `${openings + 1} openings: ε ${three(oneMoreRound.epsilon, fixed(4))}; ${percent(oneMoreRound.noiseFactor - 1)} more noise keeps it`,
    ),
    ...otherSizes.map(({ factor, noiseToSignal, bitsNeeded }) =>
      line(
        factor < 1 ? 'half' : 'double',
        `the customers, same q: ε stays, noise/signal ${percent(noiseToSignal)}, ${bitsNeeded.toFixed(2)} of ${bits.available.toFixed(2)} bits`,
      ),
    ),
  ];
}

const section = (title: string): string => `\n${title}`;
const line = (name: string, value: string): string => `  ${name.padEnd(15)} ${value}`.trimEnd();
const fixed = (digits: number) => (value: number) => value.toFixed(digits);
const short = (value: number, digits = 3): string => String(Number(value.toPrecision(digits)));
const percent = (part: number): string => `${short(100 * part)} %`;
const three = (of: ForEach<number>, format: (value: number) => string): string =>
  ADVERSARIES.map((who: Adversary) => `${who} ${format(of[who])}`).join(' · ');
