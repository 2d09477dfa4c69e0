import type { Plan } from '../aggregation/plan.ts';
import { clusterShape } from '../aggregation/progress.ts';
import type { Backend } from '../models/backend.ts';
import { padBatch } from '../models/batch.ts';
import { type Encoded, subset } from '../models/encoded.ts';
import { customerScores, histogramVectors } from '../models/evaluation.ts';
import { clusterVectors } from '../models/k-means.ts';
import type { Network } from '../models/layers.ts';
import { type ModelSpec, networkOf } from '../models/model.ts';
import { customerGradients, ghostClippedSums, scores } from '../models/network.ts';
import { clip } from '../privacy/clip.ts';
import { type GhostClipped, ghostClipped, quantize, quantizeChunks } from '../privacy/grid.ts';
import { addNoise, type NoiseShare } from '../privacy/noise.ts';
import { PADDING, placeBatch, samplePoisson } from '../privacy/poisson.ts';
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
 * Who is in this round: each customer with probability q, independently, at a random place of a batch of always `maxBatch`
 * places. A batch that does not fit is cut to a random part of it; what pays for that stands in privacy/guarantee.ts,
 * why the places are random in privacy/poisson.ts.
 */
function sampled({ derived, settings }: Plan, { pool }: Customers, random: RandomSource): Int32Array {
  const chosen = samplePoisson(pool.length, derived.rate, random).map((index) => pool[index]!);
  return placeBatch(chosen, settings.privacy.maxBatch, random);
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
      return clusterVectors(clusterShape(plan), parameters, encoded, withoutPadding(chosen), privacy.maxBatch);
    case 'evaluate':
      return evaluationVectors(plan, encoded, withoutPadding(chosen), parameters, backend, work);
  }
}

const withoutPadding = (batch: Int32Array): Int32Array => batch.filter((customer) => customer !== PADDING);

async function evaluationVectors(
  { settings: { privacy } }: Plan,
  encoded: Encoded,
  chosen: Int32Array,
  parameters: Float64Array,
  backend: Backend,
  { model, bins }: { model: ModelSpec; bins: number },
): Promise<CustomerVectors> {
  const heldOut = subset(encoded, chosen);
  // scored in a batch of always the same size, as in training
  const inputs = new Float32Array(privacy.maxBatch * encoded.maxRows * encoded.width);
  inputs.set(heldOut.inputs);
  const all = await scores(backend, network(model, encoded), parameters, inputs);
  const rowScores = all.subarray(0, heldOut.rows);
  const everyone = Int32Array.from(heldOut.heldOut.keys());
  const judged = customerScores(heldOut, rowScores, everyone);
  return histogramVectors(judged.scores, judged.labels, privacy.maxBatch, bins);
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
