import { createHash, hash } from 'node:crypto';
import { z } from 'zod';
import { doubleBytes } from './doubles.ts';
import { cellsPerCluster } from './k-means.ts';
import { dimensionOf, layersOf, type Network } from './layers.ts';
import { type FeatureSchema, inputWidth } from './schema.ts';
import { spread } from './spread.ts';

/**
 * What is trained: a spec in the plan, and one vector of doubles that all parties agree on to the last bit.
 *
 *   plan ── spec, schema ──▶ initialParameters ──▶ parameters ──────────▶ artifact: a file others can load
 *                                                   │      ▲
 *                    inside a tenant:               ▼      │            for everyone, same bits everywhere:
 *     rows ─ encode ─▶ batch ──▶ one vector for each customer             optimiser.step   (gradients)
 *                      (network.customerGradients, or                     k-means.nextCentres (sums)
 *                       k-means.clusterVectors)                                ▲
 *                          └──▶ clip ▶ grid ▶ noise ▶ seal ▶ add ▶ open ── sum ┘
 *
 * Nothing here is private by itself: vectors of customers go to `privacy`, which clips and noises them.
 * What leaves this room for everyone is a function of the opened sum alone, in plain double arithmetic
 * (+ − × ÷ and √, which IEEE 754 rounds the same on every machine), so that every tenant can recompute
 * the next model and refuse one whose `parameterHash` differs.
 */
export type ModelSpec = LogisticSpec | MlpSpec | KMeansSpec;

/** A probability: σ(w·x + b). */
export interface LogisticSpec {
  readonly kind: 'logistic';
}

/** A probability: relu layers, then one sigmoid. */
export interface MlpSpec {
  readonly kind: 'mlp';
  /** widths of the hidden layers */
  readonly hidden: readonly number[];
  /** public; fixes the start */
  readonly seed: number;
}

/** Segments: the nearest of `clusters` centres. */
export interface KMeansSpec {
  readonly kind: 'k-means';
  readonly clusters: number;
}

/** Checks a spec that came from a file or a peer. */
export const modelSpec: z.ZodType<ModelSpec> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('logistic') }),
  z.strictObject({
    kind: z.literal('mlp'),
    hidden: z.array(z.int().min(1).max(4096)).min(1).max(8).default([64, 32]),
    seed: z.int().min(0).max(0xffff_ffff).default(1),
  }),
  z.strictObject({ kind: z.literal('k-means'), clusters: z.int().min(2).max(64) }),
]);

/** The dense network of a spec that predicts: widths from the inputs to the one output. */
export function networkOf(spec: LogisticSpec | MlpSpec, width: number): Network {
  return { widths: [width, ...(spec.kind === 'mlp' ? spec.hidden : []), 1] };
}

/** Length of the parameter vector. @param width - inputs of a row, `inputWidth(schema)` */
export function parameterCount(spec: ModelSpec, width: number): number {
  if (spec.kind === 'k-means') return spec.clusters * cellsPerCluster * width;
  return dimensionOf(networkOf(spec, width));
}

/** Coordinates of the vector each customer adds to a training round's sum. */
export function sumDimension(spec: ModelSpec, schema: FeatureSchema): number {
  const width = inputWidth(schema);
  if (spec.kind !== 'k-means') return parameterCount(spec, width);
  return spec.clusters * cellsPerCluster * (1 + width + (schema.label === undefined ? 0 : 1));
}

/**
 * Where training starts: a public function of the plan. Zeros for logistic regression; weights by He's rule
 * (uniform on ±√(6 / inputs), so that no logarithm or cosine has to agree between machines) and zero biases for a
 * network; points spread evenly over the box for k-means.
 *
 * @see He et al. 2015 (arXiv:1502.01852), equation 10
 */
export function initialParameters(spec: ModelSpec, width: number): Float64Array {
  if (spec.kind === 'k-means') return spread(spec.clusters * cellsPerCluster, width);
  const parameters = new Float64Array(parameterCount(spec, width));
  if (spec.kind === 'logistic') return parameters;
  const uniform = publicUniform(spec.seed);
  for (const layer of layersOf(networkOf(spec, width))) {
    const limit = Math.sqrt(6 / layer.inputs);
    for (let i = 0; i < layer.inputs * layer.outputs; i++)
      parameters[layer.weightsAt + i] = (2 * uniform() - 1) * limit;
  }
  return parameters;
}

/**
 * The identity of a model, hex: SHA-256 of `parley/parameters/v1\n` and the parameters as little-endian doubles.
 *
 * @throws RangeError when a parameter is not finite
 */
export function parameterHash(parameters: Float64Array): string {
  return createHash('sha256').update('parley/parameters/v1\n').update(parameterBytes(parameters)).digest('hex');
}

/** Parameters as `doubleBytes`. @throws RangeError when one is not finite */
export function parameterBytes(parameters: Float64Array): Uint8Array {
  const bad = parameters.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw new RangeError(`parameter ${bad} must be finite, got ${parameters[bad]}`);
  return doubleBytes(parameters);
}

/** Uniform doubles in [0, 1) from SHA-256 in counter mode: the same on every machine. Public, never for noise. */
function publicUniform(seed: number): () => number {
  let block = Buffer.alloc(0);
  let blocks = 0;
  let at = 0;
  return () => {
    if (at === block.length) {
      block = hash('sha256', `parley/initial/v1\n${seed}\n${blocks++}`, 'buffer');
      at = 0;
    }
    const value = block.readUInt32LE(at) * 2 ** -32;
    at += 4;
    return value;
  };
}
