import type { SecureSumName } from '../aggregation/secure-sum.ts';
import type { Settings } from '../aggregation/settings.ts';
import type { SumCost } from '../aggregation/sum-cost.ts';
import type { ForEach } from '../privacy/adversary.ts';
import type { Guarantees } from '../privacy/guarantee.ts';
import type { AttackGain, DropOut, OneMoreRound, RenyiComparison } from './adversaries.ts';
import type { NoiseToSignal } from './noise-to-signal.ts';

/**
 * What is said about a task before it runs: every figure, for people and for programs alike (`parley privacy plan --json`).
 */
export interface PrivacyPlan {
  readonly task: string;
  readonly work: Settings['work']['kind'];
  readonly tenants: number;
  /** customers of the pool that pays, over all tenants; expected where a part is held out. Left out where no sizes are given */
  readonly customers?: number;
  readonly dimension: number;
  /** one customer is all its rows, or one row; or the unit is a whole tenant */
  readonly unit: 'customer' | 'row-as-customer' | 'tenant';
  readonly neighbouring: Settings['privacy']['neighbouring'];
  readonly mode: Settings['privacy']['mode'] | 'tenant-distributed';
  /** tenants one customer may be a customer of, m */
  readonly tenantsPerCustomer: number;
  /** coalition ε that the settings ask for; the ε below it is the noise's own */
  readonly target: number;
  readonly epsilon: Guarantees;
  /** for a customer of one tenant, of two and of three; none where a tenant is the unit */
  readonly epsilonByCopies: readonly number[];
  readonly delta: Delta;
  readonly noise: Noise;
  /** none where nobody says how many customers there are */
  readonly noiseToSignal?: NoiseToSignal;
  readonly sampling: Sampling;
  readonly rounds: number;
  /** sums the noise is calibrated for: the rounds and some spare */
  readonly openings: number;
  readonly secureSum: Wire;
  readonly attack: ForEach<readonly AttackGain[]>;
  /** the three ε after each tenth of the rounds, none of them repeated */
  readonly epsilonAfter: readonly (ForEach<number> & { readonly at: number })[];
  /** none where every tenant adds the whole noise: nobody's absence costs anything */
  readonly dropOut: readonly DropOut[];
  readonly renyi: RenyiComparison;
  readonly oneMoreRound: OneMoreRound;
  /** half and double the customers at the same rate: ε stays, and these do not. None where no number is known */
  readonly otherSizes: readonly OtherSize[];
}

export interface Delta {
  readonly total: number;
  /** for the accountant */
  readonly accounted: number;
  /** set aside for batches that must be cut at `maxBatch` */
  readonly setAside: number;
  /** the most that cutting can cost; at most what is set aside */
  readonly truncation: number;
}

/** Standard deviations per coordinate. */
export interface Noise {
  /** coalition's noise over the sensitivity, z */
  readonly multiplier: number;
  /** one tenant's, in grid steps and in the unit of the vectors */
  readonly share: { readonly gridSteps: number; readonly real: number };
  /** of a sum that every tenant contributed to */
  readonly sum: { readonly gridSteps: number; readonly real: number };
}

export interface Sampling {
  /** q, as it is accounted */
  readonly rate: number;
  /** customers a sum is expected to hold: the plan's public divisor, or q times the customers */
  readonly expectedBatch?: number;
  /** q times the customers, where sizes are given */
  readonly drawn?: number;
  /** most of one tenant */
  readonly maxBatch: number;
}

/** What crosses the wire, and who can open it. */
export interface Wire {
  readonly protocol: SecureSumName;
  /** the ledger's quorum */
  readonly threshold: number;
  /** who opens a sum, in words */
  readonly opens: string;
  readonly minCohort: number;
  readonly colluders: number;
  /** for one coordinate of a sum */
  readonly bits: { readonly needed: number; readonly available: number };
  /** sent by one tenant in a round, signatures not included */
  readonly bytesPerRound: number;
  /** what this sum would take in each protocol that protects; milliseconds of `COSTS_OF` */
  readonly choices: readonly SumCost[];
}

export interface OtherSize {
  /** customers, and everything that grows with them, times this */
  readonly factor: number;
  readonly noiseToSignal: number;
  readonly bitsNeeded: number;
}
