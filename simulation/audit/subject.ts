import { createHash } from 'node:crypto';
import { makePlan, type Plan, type Roster, taskId } from '../../aggregation/plan.ts';
import { PlanRefused } from '../../aggregation/plan-refused.ts';
import { type Settings, unitOf } from '../../aggregation/settings.ts';
import type { PrivacyEvent } from '../../privacy/event.ts';
import { type Guarantees, planEvent } from '../../privacy/guarantee.ts';
import type { PlanEntry } from '../../privacy/ledger.ts';
import { EVERYBODY } from '../../privacy/poisson.ts';

/**
 * What is audited: the privacy that a task claims, and the settings it claims it for. Read from the task's settings, or from
 * what a ledger says of its plan.
 */
export interface Subject {
  readonly name: string;
  /** hash of the plan; of one over a roster that nobody is on, where there are only settings */
  readonly plan: string;
  readonly unit: string;
  readonly neighbouring: string;
  readonly claimed: Guarantees;
  readonly rounds: number;
  readonly privacy: Pick<
    Settings['privacy'],
    'mode' | 'epsilon' | 'delta' | 'samplingRate' | 'tenantsPerCustomer' | 'gridSteps'
  >;
  readonly cohort: Pick<Settings['secureSum'], 'minCohort' | 'colluders'>;
  /** the task's own plan; a ledger does not hold all of it */
  readonly own?: Plan;
}

/**
 * The subject of a task that has not run.
 *
 * @param rounds - instead of the settings' own
 * @throws PlanRefused when the settings are no plan for a roster of `minCohort` tenants, or have a mode without an attack
 */
export function subjectOf(settings: Settings, rounds?: number): Subject {
  if (!isAttacked(settings.privacy.mode)) throw unknown(settings.privacy.mode);
  const asked = rounds === undefined ? settings : withRounds(settings, rounds);
  const own = makePlan(asked, imagined(settings.secureSum.minCohort), '0'.repeat(64), 0);
  const { privacy, secureSum } = asked;
  return {
    name: asked.name,
    plan: taskId(own),
    unit: unitOf(asked),
    neighbouring: privacy.neighbouring,
    claimed: own.derived.epsilon,
    rounds: asked.work.kind === 'evaluate' ? 1 : asked.work.rounds,
    privacy,
    cohort: secureSum,
    own,
  };
}

/**
 * The subject of a task that a ledger tells of.
 *
 * @throws PlanRefused when the plan claims no ε, or has a mode without an attack
 */
export function subjectInLedger(entry: PlanEntry, rounds?: number): Subject {
  const { epsilon, mechanism, trust, tenantsPerCustomer, delta, unit, neighbouring } = entry;
  const { release, coalition, floor } = epsilon;
  const { mode, minCohort, colluders } = trust;
  if (release === 'infinite' || coalition === 'infinite' || floor === 'infinite')
    throw new PlanRefused(
      'epsilon',
      `plan ${entry.planHash.slice(0, 12)} claims none that is finite: there is nothing to attack`,
    );
  if (!isAttacked(mode)) throw unknown(mode);
  const { rate, gridSteps } = mechanism;
  const samplingRate = rate / EVERYBODY;
  return {
    name: entry.use.purpose,
    plan: entry.planHash,
    unit,
    neighbouring,
    claimed: { release, coalition, floor },
    rounds: rounds ?? mechanism.rounds,
    privacy: { mode, epsilon: coalition, delta, samplingRate, tenantsPerCustomer, gridSteps },
    cohort: { minCohort, colluders },
  };
}

/** Modes in which one customer's gradient is what is hidden. */
type Attacked = 'record-distributed' | 'record-local';

const isAttacked = (mode: string): mode is Attacked => mode === 'record-distributed' || mode === 'record-local';

const unknown = (mode: string): PlanRefused =>
  new PlanRefused('privacy.mode', `there is no attack on "${mode}": this audit looks for single customers`);

/** Everything a plan may release, in the eyes of somebody who holds all but `shares` of the noise. */
export function eventInEyesOf({ derived, settings: { privacy } }: Plan, shares: number): PrivacyEvent {
  return planEvent({ ...derived, ...privacy, shares: privacy.mode === 'record-local' ? 1 : shares });
}

function withRounds(settings: Settings, rounds: number): Settings {
  const { work } = settings;
  if (work.kind === 'evaluate') return settings;
  if (work.kind === 'segment') return { ...settings, work: { ...work, rounds } };
  return { ...settings, work: { ...work, rounds, averageLast: Math.min(work.averageLast, rounds) } };
}

/** Tenants that do not exist, to make a plan for. */
function imagined(tenants: number): Roster {
  return Array.from({ length: tenants }, (_, i) => ({
    tenant: `tenant-${i + 1}`,
    key: createHash('sha256').update(`nobody ${i}`).digest('hex'),
  }));
}
