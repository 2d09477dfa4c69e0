import type { PlanEntry } from '../privacy/ledger.ts';
import { type Plan, plannedEvent, poolOf, roundsOf, taskId } from './plan.ts';
import { unitOf } from './settings.ts';

/**
 * What the ledger says of a plan: everything an auditor needs to compute its ε again, and nothing about anyone's data.
 *
 * A function of the plan alone, so the coordinator writes it and every tenant checks it before it takes part.
 */
export function planEntry(plan: Plan): PlanEntry {
  const { settings, derived, roster } = plan;
  const { privacy, secureSum, use } = settings;
  const { clipNorm, sensitivity, noiseMultiplier, shareStdDev, dimension, rate, openings } = derived;
  const { gridSteps, maxBatch, maxCustomers } = privacy;
  return {
    kind: 'plan',
    planHash: taskId(plan),
    event: plannedEvent(plan),
    delta: privacy.delta,
    epsilon: derived.epsilon,
    epsilonByCopies: derived.epsilonByCopies,
    unit: unitOf(settings),
    neighbouring: privacy.neighbouring,
    tenantsPerCustomer: privacy.tenantsPerCustomer,
    accountant: { name: 'pld', version: 1 },
    mechanism: {
      ...{ clipNorm, gridSteps, sensitivity, noiseMultiplier, shareStdDev, dimension, rate, openings },
      ...{ maxBatch, maxCustomers, rounds: roundsOf(plan) },
    },
    trust: {
      mode: privacy.mode,
      secureSum: secureSum.protocol,
      minCohort: secureSum.minCohort,
      colluders: secureSum.colluders,
      threshold: derived.threshold,
    },
    roster,
    pool: poolOf(plan),
    use,
  };
}
