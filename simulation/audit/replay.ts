import type { Plan } from '../../aggregation/plan.ts';
import { startParameters } from '../../aggregation/progress.ts';
import type { Backend } from '../../models/backend.ts';
import { type Encoded, groupRows } from '../../models/encoded.ts';
import { initialParameters } from '../../models/model.ts';
import { inputWidth } from '../../models/schema.ts';
import type { RandomSource } from '../../privacy/random.ts';
import type { Contribute } from './contribute.ts';
import { replayed } from './replay-random.ts';

/**
 * Two worlds that differ in one customer, with the same chance in both: the same coins, the same places, the same noise. What
 * is left between the two contributions is what that customer does, and it may not be more than the plan's sensitivity.
 *
 *   everybody ─────────────┐  same words  ┌──▶ vector        difference ≤ sensitivity, in grid steps
 *   everybody and one more ┘              └──▶ vector        as many words drawn, but for that customer's coin
 *
 * Adding and removing are the same two worlds, read in either direction.
 *
 * @see Cebere et al. 2026 (arXiv:2602.17454): replay on neighbouring data with identical randomness
 */
export interface Neighbours {
  /** the customer that one of them has and the other has not */
  readonly one: string;
  /** L2 distance of the two integer vectors, in grid steps; infinite when one of them could not be made */
  readonly moved: number;
  /** as many words of chance and as many coordinates in both worlds */
  readonly sameFlow: boolean;
}

/** Customers in a world besides the one who makes the difference. */
const CROWD = 24;

/** Who makes the difference: what its inputs are, where they are not anybody's. */
const ONES: readonly { readonly one: string; readonly crowd: number; readonly inputs?: number | 'copied' }[] = [
  { one: 'anybody', crowd: CROWD },
  { one: 'the only customer', crowd: 0 },
  { one: 'a copy of another', crowd: CROWD, inputs: 'copied' },
  { one: 'a customer without numbers', crowd: CROWD, inputs: Number.NaN },
  { one: 'a customer with infinite numbers', crowd: CROWD, inputs: Number.POSITIVE_INFINITY },
  { one: 'a customer with huge numbers', crowd: CROWD, inputs: 1e30 },
];

/** @param random - for the customers, and for the key of what is replayed */
export async function replayNeighbours(
  plan: Plan,
  contribute: Contribute,
  { backend, random }: { backend: Backend; random: RandomSource },
): Promise<Neighbours[]> {
  const found: Neighbours[] = [];
  for (const { one, crowd, inputs } of ONES) {
    const world = people(plan, 1 + Math.min(crowd, plan.settings.privacy.maxBatch - 1), random);
    const last = world.inputs.length - world.inputs.length / world.customers;
    if (inputs === 'copied') world.inputs.copyWithin(last, 0, world.inputs.length - last);
    else if (inputs !== undefined) world.inputs.fill(inputs, last);
    found.push({ one, ...(await compared(plan, world, contribute, { backend, random })) });
  }
  return found;
}

/** The world with and without its last customer, which is in the batch for certain. */
async function compared(
  plan: Plan,
  world: Encoded,
  contribute: Contribute,
  { backend, random }: { backend: Backend; random: RandomSource },
): Promise<Omit<Neighbours, 'one'>> {
  const [coins, noises] = [keyFrom(random), keyFrom(random)];
  const everybody = Int32Array.from({ length: world.customers }, (_, customer) => customer);
  const last = world.customers - 1;
  const made = async (pool: Int32Array, but: { heads?: number; without?: number }) => {
    const [inBatch, noise] = [replayed(coins, but), replayed(noises)];
    const chance = { backend, random: inBatch, noise };
    const vector = await contribute(plan, { encoded: world, pool }, parametersOf(plan), chance);
    return { vector, words: inBatch.used, noiseWords: noise.used };
  };
  const without = await made(everybody.subarray(0, last), { without: last });
  const within = await made(everybody, { heads: last }).catch(() => undefined); // what data can stop, data can be told by
  if (within === undefined) return { moved: Infinity, sameFlow: false };
  const { dimension } = plan.derived;
  return {
    moved: Math.sqrt(without.vector.reduce((sum, value, i) => sum + (value - within.vector[i]!) ** 2, 0)),
    sameFlow:
      within.words === without.words + 1 && // its own coin
      within.noiseWords === without.noiseWords &&
      within.vector.length === dimension &&
      without.vector.length === dimension,
  };
}

/** What the task starts from; an evaluation, from a model that knows nothing. */
function parametersOf({ settings }: Plan): Float64Array {
  const { work, features } = settings;
  return work.kind === 'evaluate' ? initialParameters(work.model, inputWidth(features)) : startParameters(settings);
}

/** Customers nobody is, with up to three rows each: inputs in [−1, 1] and labels, all by chance. */
function people({ settings: { features } }: Plan, customers: number, random: RandomSource): Encoded {
  const maxRows = features.customer === 'row' ? 1 : features.customer.maxRows;
  const each = Math.min(3, maxRows);
  const [rows, width] = [customers * each, inputWidth(features)];
  const words = new Uint32Array(rows * (width + 1));
  random.fill(words);
  return {
    ...groupRows(
      Int32Array.from({ length: rows }, (_, row) => Math.floor(row / each)),
      customers,
    ),
    width,
    maxRows,
    inputs: Float32Array.from(words.subarray(rows), (word) => word / 2 ** 31 - 1),
    labels: Float32Array.from(words.subarray(0, rows), (word) => word % 2),
    heldOut: new Uint8Array(customers),
  };
}

function keyFrom(random: RandomSource): Uint8Array {
  const words = new Uint32Array(8);
  random.fill(words);
  return new Uint8Array(words.buffer);
}
