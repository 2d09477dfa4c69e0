import { truePositiveRateAt } from '../../privacy/attack/roc.ts';
import type { Guarantees } from '../../privacy/guarantee.ts';
import type { AuditReport } from './audit.ts';

/** What an audit found, as data: for `--json`, and for whoever keeps it. */
export interface AuditSummary {
  readonly verdict: AuditReport['verdict'];
  readonly reasons: readonly string[];
  readonly task: string;
  readonly plan: string;
  readonly sums: string;
  readonly unit: string;
  readonly neighbouring: string;
  readonly delta: number;
  readonly claimed: Guarantees;
  readonly recomputed: Guarantees | null;
  readonly canaries: number;
  readonly rounds: number;
  readonly tenants: number;
  readonly secureSum: string;
  readonly confidence: number;
  readonly significance: number;
  readonly lowerBounds: {
    readonly oneRun: number;
    readonly fdp: number;
    /** estimate and interval; no bound */
    readonly gaussianFit: { readonly epsilon: number; readonly interval: readonly [number, number] };
  };
  readonly auc: number;
  readonly truePositiveRates: readonly RateFound[];
  readonly replay: AuditReport['replay'];
  readonly noise: AuditReport['noise'];
  readonly power: { readonly caughtAt: number | null; readonly oneRun: number; readonly fdp: number };
}

export interface RateFound {
  readonly falsePositiveRate: number;
  readonly found: number;
  /** the most that the claim allows */
  readonly atMost: number;
}

/** False positive rates that are reported: the two that attacks are compared by first. */
const RATES = [0.001, 0.01, 0.1, 0.5] as const;

export function summaryOf(report: AuditReport): AuditSummary {
  const { subject, evidence, control, claim, confidence, limit } = report;
  return {
    ...{ verdict: report.verdict, reasons: report.reasons },
    ...{ task: subject.name, plan: subject.plan, sums: report.sumsHash },
    ...{ unit: subject.unit, neighbouring: subject.neighbouring, delta: subject.privacy.delta },
    ...{ claimed: subject.claimed, recomputed: claim.recomputed ?? null },
    ...{ canaries: report.canaries, rounds: subject.rounds, tenants: subject.cohort.minCohort },
    ...{ secureSum: report.secureSum, confidence, significance: Number((1 - confidence).toPrecision(6)) },
    lowerBounds: {
      ...{ oneRun: evidence.oneRun, fdp: evidence.fdp.epsilon },
      gaussianFit: { epsilon: evidence.fit.epsilon, interval: evidence.fit.interval },
    },
    auc: evidence.roc.auc,
    truePositiveRates: RATES.map((falsePositiveRate) => ({
      falsePositiveRate,
      found: truePositiveRateAt(evidence.roc, falsePositiveRate),
      atMost: limit.at(falsePositiveRate),
    })),
    ...{ replay: report.replay, noise: report.noise },
    power: {
      caughtAt: control.caughtAt ?? null,
      ...{ oneRun: control.evidence.oneRun, fdp: control.evidence.fdp.epsilon },
    },
  };
}

/** As text for a terminal. */
export function describeAudit(summary: AuditSummary): string {
  const { claimed, lowerBounds, replay, noise, power, truePositiveRates } = summary;
  const customer = summary.unit === 'row-as-customer' ? 'one row' : 'all its rows';
  const moved = Math.max(...replay.neighbours.map((neighbour) => neighbour.moved));
  const percent = (rate: number): string => `${(100 * rate).toPrecision(3)} %`.padStart(9);
  return `Audit of "${summary.task}": ${summary.canaries} canaries, each there by the toss of a coin; ${summary.rounds} rounds, ${summary.tenants} tenants, secure sum "${summary.secureSum}"
  claimed       ε at δ ${summary.delta} for one customer (${customer}), ${summary.neighbouring}:
                release ${claimed.release.toFixed(3)} · coalition ${claimed.coalition.toFixed(3)} · floor ${claimed.floor.toFixed(3)}${recomputed(summary)}
  neighbours    ${replay.neighbours.length} oddest customers, same chance: moved by ${moved.toFixed(1)} of ${replay.allowed} grid steps
  noise         ${noise.values} values against the exact discrete Gaussian: p ${noise.varianceP.toPrecision(2)} (variance), ${noise.chiSquareP.toPrecision(2)} (chi-square), ${noise.kolmogorovSmirnovP.toPrecision(2)} (Kolmogorov–Smirnov)
                rounds correlated by ${noise.correlation.toFixed(1)} standard deviations at most, ${noise.correlationLimit.toFixed(1)} would be too many
  lower bounds  ε ≥ ${lowerBounds.oneRun.toFixed(3)} (one-run) and ${lowerBounds.fdp.toFixed(3)} (f-DP), together with confidence ${summary.confidence}
  estimate      ε ${lowerBounds.gaussianFit.epsilon.toFixed(3)}, ${lowerBounds.gaussianFit.interval.map((end) => end.toFixed(3)).join(' to ')} (Gaussian fit, bootstrap interval; no bound)
  attack        AUC ${summary.auc.toFixed(4)} (0.5 is blind)
                of those absent taken for present   ${truePositiveRates.map((rate) => percent(rate.falsePositiveRate)).join('')}
                of those present found              ${truePositiveRates.map((rate) => percent(rate.found)).join('')}
                the claim allows, on average        ${truePositiveRates.map((rate) => percent(rate.atMost)).join('')}
  power         ${powerOf(power)}
  plan ${summary.plan}
  sums ${summary.sums}
${[`${summary.verdict}${summary.verdict === 'PASS' ? ': nothing that contradicts the claim. An attack that finds nothing proves nothing' : ':'}`, ...summary.reasons.map((reason) => `  ${reason}`)].join('\n')}`;
}

const recomputed = ({ recomputed: own }: AuditSummary): string =>
  own === null
    ? ''
    : `\n                from the plan's noise ${own.release.toFixed(3)} · ${own.coalition.toFixed(3)} · ${own.floor.toFixed(3)}`;

const powerOf = ({ caughtAt, oneRun, fdp }: AuditSummary['power']): string =>
  caughtAt === null
    ? `too little: not even the largest control was caught (ε ≥ ${oneRun.toFixed(3)}, ${fdp.toFixed(3)})`
    : `control: noise ${caughtAt} times too small was caught (ε ≥ ${oneRun.toFixed(3)} one-run, ${fdp.toFixed(3)} f-DP)`;
