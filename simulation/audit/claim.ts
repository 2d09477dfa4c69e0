import type { LedgerExport } from '../../aggregation/ledger-export.ts';
import type { Plan } from '../../aggregation/plan.ts';
import { verifyLedgerExport } from '../../aggregation/verify-ledger.ts';
import { ACCOUNTED_DELTA_FRACTION, type Guarantees } from '../../privacy/guarantee.ts';
import { epsilonBracket } from '../../privacy/pld-accountant.ts';
import { eventInEyesOf } from './subject.ts';

/** The first question of an audit: does the ε that is claimed follow from the noise that is planned? */
export interface ClaimCheck {
  /** upper ends of what the plan's mechanism costs, computed here; undefined where only a ledger is known */
  readonly recomputed?: Guarantees;
  /** what does not hold, a sentence each */
  readonly problems: readonly string[];
}

/**
 * Computes the three ε from the plan's noise, rate and openings, and compares. A claim is refuted when it lies below the lower
 * end of the bracket; one above the upper end is only generous.
 */
export function checkClaim(plan: Plan): ClaimCheck {
  const { minCohort, colluders } = plan.settings.secureSum;
  const delta = plan.settings.privacy.delta * ACCOUNTED_DELTA_FRACTION;
  const bracketOf = (shares: number) => epsilonBracket([eventInEyesOf(plan, shares)], delta);
  const brackets = { release: bracketOf(minCohort), coalition: bracketOf(minCohort - colluders), floor: bracketOf(1) };
  const kinds = ['release', 'coalition', 'floor'] as const;
  const problems = kinds.flatMap((kind) => {
    const [claimed, { low }] = [plan.derived.epsilon[kind], brackets[kind]];
    return claimed >= low
      ? []
      : [`${kind} ε ${claimed.toFixed(4)} is claimed, the noise gives at least ${low.toFixed(4)}`];
  });
  const { release, coalition, floor } = brackets;
  return { recomputed: { release: release.high, coalition: coalition.high, floor: floor.high }, problems };
}

/**
 * Every ε of a ledger computed again from its charges and mechanisms, and all it is signed with; findings are named by entry.
 * The keys are those of the file: whose they are is for `parley ledger verify` to say.
 */
export function checkLedger(ledger: LedgerExport): ClaimCheck {
  const { findings } = verifyLedgerExport(ledger);
  return { problems: findings.map(({ seq, problem }) => `ledger entry ${seq}: ${problem}`) };
}
