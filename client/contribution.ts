import type { Plan } from '../aggregation/plan.ts';
import { clusterShape } from '../aggregation/progress.ts';
import type { Backend } from '../models/backend.ts';
import { padBatch } from '../models/batch.ts';
import type { Encoded } from '../models/encoded.ts';
import { scoreHistogramVectors } from '../models/evaluation.ts';
import { clusterVectors } from '../models/k-means.ts';
import { type ModelSpec, networkOf } from '../models/model.ts';
import { customerGradients, ghostClippedSums, type Network, scores } from '../models/network.ts';
import { clip } from '../privacy/clip.ts';
import { type GhostClipped, ghostClipped, quantize, quantizeChunks } from '../privacy/grid.ts';
import { addNoise, type NoiseShare } from '../privacy/noise.ts';
import { samplePoisson } from '../privacy/poisson.ts';
import type { RandomSource } from '../privacy/random.ts';
import type { CustomerVectors, Noised, Quantized } from '../privacy/steps.ts';

/**
 * The one path by which a number leaves this tenant:
 *
 *   customers ──sample──▶ their vectors ──clip──▶ grid ──noise──▶ (sealed by the secure sum)
 *
 * The noise share is handed in: it was drawn before the batch was known.
 */
export async function contribution(
  plan: Plan,
  customers: Customers,
  parameters: Float64Array,
  noise: NoiseShare,
  { backend, random }: { backend: Backend; random: RandomSource },
): Promise<Noised> {
  return addNoise(await onGrid(plan, customers, parameters, backend, random), noise);
}

/** A tenant's encoded customers, and which of them this task may use. */
export interface Customers {
  readonly encoded: Encoded;
  /** indices of the pool's customers: those trained on, or those held out */
  readonly pool: Int32Array;
}

async function onGrid(
  plan: Plan,
  customers: Customers,
  parameters: Float64Array,
  backend: Backend,
  random: RandomSource,
): Promise<Quantized> {
  const { derived, settings } = plan;
  const chosen = sampled(plan, customers, random);
  const { gridSteps } = settings.privacy;
  if (derived.path === 'ghost' && settings.work.kind === 'train')
    return quantizeChunks(await chunksOf(plan, customers.encoded, chosen, parameters, backend), gridSteps);
  const vectors = await vectorsOf(plan, customers.encoded, chosen, parameters, backend);
  return quantize(clip(vectors, derived.clipNorm), gridSteps);
}

/**
 * Who is in this round: each customer with probability q, independently. A batch beyond maxBatch is cut to a uniformly random
 * part of it; how unlikely that must be, and what pays for it, is beside `ACCOUNTED_DELTA_FRACTION`.
 */
function sampled({ derived, settings }: Plan, { pool }: Customers, random: RandomSource): Int32Array {
  const chosen = samplePoisson(pool.length, derived.rate, random).map((index) => pool[index]!);
  return chosen.length <= settings.privacy.maxBatch
    ? chosen
    : shuffled(chosen, random).subarray(0, settings.privacy.maxBatch);
}

/** Fisher–Yates on 32-bit words; the bias of the remainder, below 2^-12 of a position, only chooses whom to leave out. */
function shuffled(customers: Int32Array, random: RandomSource): Int32Array {
  const words = new Uint32Array(customers.length);
  random.fill(words);
  for (let last = customers.length - 1; last > 0; last--) {
    const other = words[last]! % (last + 1);
    [customers[last], customers[other]] = [customers[other]!, customers[last]!];
  }
  return customers;
}

async function vectorsOf(
  plan: Plan,
  encoded: Encoded,
  chosen: Int32Array,
  parameters: Float64Array,
  backend: Backend,
): Promise<CustomerVectors> {
  const { work, privacy } = plan.settings;
  switch (work.kind) {
    case 'train':
      return customerGradients(
        backend,
        network(work.model, encoded),
        parameters,
        padBatch(encoded, chosen, privacy.maxBatch),
      );
    case 'segment':
      return clusterVectors(clusterShape(plan), parameters, encoded, chosen, privacy.maxBatch);
    case 'evaluate': {
      const batch = padBatch(encoded, chosen, privacy.maxBatch);
      const predicted = await scores(backend, network(work.model, encoded), parameters, batch.inputs);
      return scoreHistogramVectors(batch, predicted, work.bins);
    }
  }
}

/** Sums of at most 64 clipped gradients in float32, for models too large to hold each customer's gradient apart. */
async function chunksOf(
  { settings: { work, privacy }, derived: { clipNorm } }: Plan,
  encoded: Encoded,
  chosen: Int32Array,
  parameters: Float64Array,
  backend: Backend,
): Promise<GhostClipped> {
  if (work.kind !== 'train') throw new Error(`a plan to ${work.kind} has no gradients`);
  const batch = padBatch(encoded, chosen, privacy.maxBatch);
  const sums = await ghostClippedSums(backend, network(work.model, encoded), parameters, batch, clipNorm);
  return ghostClipped({ ...sums, clipNorm });
}

function network(model: ModelSpec, { width }: Encoded): Network {
  if (model.kind === 'k-means') throw new Error('k-means is no network');
  return networkOf(model, width);
}
