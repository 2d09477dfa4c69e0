import type { Plan } from '../../../aggregation/plan.ts';
import type { Encoded } from '../../../models/encoded.ts';
import type { RandomSource } from '../../../privacy/random.ts';
import { asReleased, type Contribute } from '../../../simulation/audit/contribute.ts';
import { replayRandom } from '../../privacy/replay-random.ts';

/** Mistakes that have been made in libraries of this kind, as other ways to make a contribution. */

const withShare = (scale: (plan: Plan) => number): Contribute => {
  return (plan, customers, parameters, chance) => {
    const shareStdDev = Math.round(plan.derived.shareStdDev * scale(plan));
    return asReleased({ ...plan, derived: { ...plan.derived, shareStdDev } }, customers, parameters, chance);
  };
};

const shares = ({ settings: { secureSum } }: Plan): number => secureSum.minCohort - secureSum.colluders;

/** Each tenant adds σ/n where n shares of σ/√n make σ. */
export const dividedByCount: Contribute = withShare((plan) => Math.sqrt(shares(plan)) / shares(plan));

/** Shares for two tenants more than are certain to be there. */
export const tooManyShares: Contribute = withShare((plan) => Math.sqrt(shares(plan) / (shares(plan) + 2)));

/** The same vectors on the same grid, clipped at a norm 32 times too large. */
export const unclipped: Contribute = (plan, customers, parameters, chance) => {
  const { settings, derived } = plan;
  const privacy = { ...settings.privacy, gridSteps: 32 * settings.privacy.gridSteps };
  const wide = {
    ...plan,
    settings: { ...settings, privacy },
    derived: { ...derived, clipNorm: 32 * derived.clipNorm },
  };
  return asReleased(wide, customers, parameters, chance);
};

/** No noise at all: what was added is drawn again, and taken off. */
export const noiseless: Contribute = async (plan, customers, parameters, { backend, random, noise }) => {
  const seed = wordsOf(noise);
  const noisy = await asReleased(plan, customers, parameters, { backend, random, noise: replayRandom(seed) });
  const nobody = { encoded: customers.encoded, pool: new Int32Array(0) };
  const alone = await asReleased(plan, nobody, parameters, {
    backend,
    random: replayRandom(''),
    noise: replayRandom(seed),
  });
  return noisy.map((value, i) => value - alone[i]!);
};

/** Every tenant draws its noise once, and keeps it. */
export function reusing(): Contribute {
  const seeds = new WeakMap<Encoded, string>();
  return (plan, customers, parameters, { backend, random, noise }) => {
    const seed = seeds.get(customers.encoded) ?? wordsOf(noise);
    seeds.set(customers.encoded, seed);
    return asReleased(plan, customers, parameters, { backend, random, noise: replayRandom(seed) });
  };
}

/** A batch without customers is sent as it is. */
export const quietWhenEmpty: Contribute = async (plan, customers, parameters, chance) =>
  customers.pool.length === 0
    ? new Float64Array(plan.derived.dimension)
    : asReleased(plan, customers, parameters, chance);

/** Stops at a customer whose inputs are not numbers. */
export const upsetByNaN: Contribute = (plan, customers, parameters, chance) => {
  const { inputs, width } = customers.encoded;
  const upset = [...customers.pool].some((customer) => Number.isNaN(inputs[customer * width]));
  return upset ? Promise.reject(new Error('not a number')) : asReleased(plan, customers, parameters, chance);
};

/** Draws once more for each customer who is there. */
export const drawingByData: Contribute = (plan, customers, parameters, chance) => {
  chance.noise.fill(new Uint32Array(customers.pool.length));
  return asReleased(plan, customers, parameters, chance);
};

function wordsOf(random: RandomSource): string {
  const words = new Uint32Array(4);
  random.fill(words);
  return words.join();
}
