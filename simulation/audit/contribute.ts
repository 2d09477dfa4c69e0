import type { Plan } from '../../aggregation/plan.ts';
import { type Customers, contribution } from '../../client/contribution.ts';
import type { Backend } from '../../models/backend.ts';
import { drawNoise, MIN_SHARE_STD_DEV } from '../../privacy/noise.ts';
import type { RandomSource } from '../../privacy/random.ts';

/**
 * How a tenant's contribution to a round is made, with all chance in the audit's hand. What is audited is `asReleased`: the
 * client's own path, sample → vectors → clip → grid → noise.
 *
 * Nothing a client or a coordinator can reach imports this.
 */
export type Contribute = (
  plan: Plan,
  customers: Customers,
  parameters: Float64Array,
  chance: Chance,
) => Promise<Float64Array>;

export interface Chance {
  readonly backend: Backend;
  /** who is in the batch, and where */
  readonly random: RandomSource;
  readonly noise: RandomSource;
}

/** The client's path with the plan's noise. */
export const asReleased: Contribute = withNoise(({ derived }) => derived.shareStdDev);

/** The client's path with noise `factor` times too small: what an audit must catch before its verdict counts. */
export function withLessNoise(factor: number): Contribute {
  return withNoise(({ derived }) => Math.max(MIN_SHARE_STD_DEV, Math.round(derived.shareStdDev / factor)));
}

function withNoise(stdDevOf: (plan: Plan) => number): Contribute {
  return (plan, customers, parameters, { backend, random, noise }) => {
    const share = drawNoise(stdDevOf(plan), plan.derived.dimension, noise);
    return contribution(plan, customers, parameters, share, { backend, random });
  };
}
