import type { Tensor1D } from '@tensorflow/tfjs-core';
import type { Backend, TensorFlow } from './backend.ts';
import type { Batch } from './batch.ts';
import type { CustomerVectors } from './customer-vectors.ts';
import { dimensionOf, type Layer, layersOf, type Network } from './layers.ts';
import { forward, forwardBackward, readAll, weightTensors } from './passes.ts';

/**
 * Gradients and scores of dense networks under binary cross-entropy. Rows never mix, which is what makes one backward
 * pass give every customer's gradient.
 *
 * A row's gradient for a layer is the outer product of its input activations a (and 1, for the bias) and its δ, the
 * derivative of the row's loss by the layer's pre-activations. One forward and one backward pass over the padded
 * batch leave all a and δ; everything else here is arithmetic on them ("ghost clipping", book-keeping form).
 *
 * @see Goodfellow 2015 (arXiv:1510.01799); Li et al. 2022 (arXiv:2110.05679); Bu et al. 2023 (arXiv:2210.00038)
 */

/** Most customers whose clipped gradients are added in float32 before they are rounded to the grid. */
export const ghostChunk = 64;

/** Rows scored at once: bounds the memory of a long table. */
const scoreBlock = 4096;

/**
 * Every customer's gradient: the mean over its rows, a slot without rows is 0. Not clipped; a row that is not finite
 * makes its own customer's vector so, and no other's. Padding costs the same work as rows.
 */
export async function customerGradients(
  backend: Backend,
  net: Network,
  parameters: Float64Array,
  batch: Batch,
): Promise<CustomerVectors> {
  const layers = layersOf(net);
  const traced = await readTrace(backend, net, parameters, batch);
  const { order, first, real } = rowsOfSlots(batch);
  return {
    count: batch.customers,
    dimension: dimensionOf(net),
    read(index, into) {
      into.fill(0);
      const scale = 1 / Math.max(1, real[index]!);
      for (let at = first[index]!; at < first[index + 1]!; at++) addRow(layers, traced, order[at]!, scale, into);
    },
  };
}

/**
 * Sums of clipped gradients, for models too large to hold one vector per customer: per chunk of at most 64 customers
 * Σ g · min(1, clipNorm / ‖g‖) in float32; a gradient that is not finite counts as 0. The norm of a row's gradient
 * needs no gradient: Σ over layers (‖a‖² + 1)·‖δ‖².
 *
 * @returns always the same number of chunks for a batch size, in the order of the slots
 * @throws RangeError when a customer may have more than one row, or clipNorm is not positive
 */
export async function ghostClippedSums(
  backend: Backend,
  net: Network,
  parameters: Float64Array,
  batch: Batch,
  clipNorm: number,
): Promise<{ readonly dimension: number; readonly chunks: Float32Array[] }> {
  if (batch.rows !== batch.customers) throw new RangeError('ghost clipping needs one row for each customer');
  if (!(clipNorm > 0)) throw new RangeError(`clipNorm must be positive, got ${clipNorm}`);
  const layers = layersOf(net);
  const trace = await readTrace(backend, net, parameters, batch);
  const factors = clipFactors(layers, trace, batch.rows, clipNorm);
  const sums = backend.tf.tidy(() =>
    Array.from({ length: Math.ceil(batch.rows / ghostChunk) }, (_, chunk) => {
      const rows = factors.subarray(chunk * ghostChunk, (chunk + 1) * ghostChunk);
      return chunkSum(backend.tf, layers, trace, rows, chunk * ghostChunk);
    }),
  );
  return { dimension: dimensionOf(net), chunks: await readAll(sums) };
}

/**
 * The plain gradient Σ weight · ∂loss over the rows, without clipping: a reference, never to leave a tenant.
 * `weights` may be any numbers here.
 */
export async function plainGradient(
  backend: Backend,
  net: Network,
  parameters: Float64Array,
  batch: Batch,
): Promise<Float32Array> {
  const { tf } = backend;
  const sum = tf.tidy(() => {
    const { activations, deltas } = forwardBackward(tf, net, parameters, batch);
    const parts = deltas.flatMap((delta, l) => [
      tf.reshape(tf.matMul(tf.transpose(activations[l]!), delta), [-1]),
      tf.sum(delta, 0),
    ]);
    return tf.concat(parts as Tensor1D[]);
  });
  return (await readAll([sum]))[0]!;
}

/** Probabilities of the positive label. @param inputs - rows × width */
export async function scores(
  backend: Backend,
  net: Network,
  parameters: Float64Array,
  inputs: Float32Array,
): Promise<Float32Array> {
  const width = net.widths[0]!;
  const rows = inputs.length / width;
  if (!Number.isInteger(rows)) throw new RangeError(`inputs must be whole rows of ${width} numbers`);
  const all = new Float32Array(rows);
  for (let from = 0; from < rows; from += scoreBlock) {
    const block = inputs.subarray(from * width, Math.min(rows, from + scoreBlock) * width);
    const tensor = backend.tf.tidy(() => {
      const x = backend.tf.tensor2d(block, [block.length / width, width]);
      return forward(backend.tf, x, weightTensors(backend.tf, net, parameters)).probabilities;
    });
    all.set((await readAll([tensor]))[0]!, from);
  }
  return all;
}

/** For each row min(1, clipNorm / ‖g‖), from ‖g‖² = Σ (‖a‖² + 1)·‖δ‖²; 0 where the norm is not finite. */
function clipFactors(layers: readonly Layer[], trace: ReadTrace, rows: number, clipNorm: number): Float64Array {
  return Float64Array.from({ length: rows }, (_, row) => {
    let square = 0;
    for (const [l, { inputs, outputs }] of layers.entries()) {
      square += (squaredNorm(trace.activations[l]!, row, inputs) + 1) * squaredNorm(trace.deltas[l]!, row, outputs);
    }
    return Number.isFinite(square) ? Math.min(1, clipNorm / Math.sqrt(square)) : 0;
  });
}

function squaredNorm(rows: Float32Array, row: number, width: number): number {
  let square = 0;
  for (let at = row * width; at < (row + 1) * width; at++) square += rows[at]! * rows[at]!;
  return square;
}

/** Σ over the rows from `first` on of (a, 1) ⊗ factor · δ: each layer's weights, then its biases. */
function chunkSum(tf: TensorFlow, layers: readonly Layer[], trace: ReadTrace, factors: Float64Array, first: number) {
  const parts = layers.map(({ inputs, outputs }, l) => {
    const a = withOnes(trace.activations[l]!, inputs, first, factors);
    const errors = scaledRows(trace.deltas[l]!, outputs, first, factors);
    const left = tf.transpose(tf.tensor2d(a, [factors.length, inputs + 1]));
    return tf.reshape(tf.matMul(left, tf.tensor2d(errors, [factors.length, outputs])), [-1]) as Tensor1D;
  });
  return tf.concat(parts);
}

/** Rows of activations, each with a 1 for the bias. Dropped rows are 0: 0 · NaN would be NaN. */
function withOnes(values: Float32Array, width: number, first: number, factors: Float64Array): Float32Array {
  const rows = new Float32Array(factors.length * (width + 1));
  for (const [row, factor] of factors.entries()) {
    if (factor === 0) continue;
    rows.set(values.subarray((first + row) * width, (first + row + 1) * width), row * (width + 1));
    rows[row * (width + 1) + width] = 1;
  }
  return rows;
}

function scaledRows(values: Float32Array, width: number, first: number, factors: Float64Array): Float32Array {
  const rows = new Float32Array(factors.length * width);
  for (const [row, factor] of factors.entries()) {
    if (factor === 0) continue;
    for (let j = 0; j < width; j++) rows[row * width + j] = factor * values[(first + row) * width + j]!;
  }
  return rows;
}

/** A trace as plain arrays, one pair for each layer. */
interface ReadTrace {
  readonly activations: readonly Float32Array[];
  readonly deltas: readonly Float32Array[];
}

async function readTrace(backend: Backend, net: Network, parameters: Float64Array, batch: Batch): Promise<ReadTrace> {
  const { tf } = backend;
  const trace = tf.tidy(() => {
    const { activations, deltas } = forwardBackward(tf, net, parameters, batch);
    return { hidden: activations.slice(1), deltas };
  });
  const values = await readAll([...trace.hidden, ...trace.deltas]);
  const hidden = trace.hidden.length;
  return { activations: [batch.inputs, ...values.slice(0, hidden)], deltas: values.slice(hidden) };
}

function addRow(layers: readonly Layer[], trace: ReadTrace, row: number, scale: number, into: Float64Array): void {
  for (let l = 0; l < layers.length; l++) {
    const { inputs, outputs, weightsAt, biasAt } = layers[l]!;
    const a = trace.activations[l]!;
    const delta = trace.deltas[l]!;
    for (let j = 0; j < outputs; j++) {
      const error = scale * delta[row * outputs + j]!;
      into[biasAt + j]! += error;
      for (let i = 0, at = weightsAt + j; i < inputs; i++, at += outputs) into[at]! += a[row * inputs + i]! * error;
    }
  }
}

/** Rows grouped by slot (counting sort), and how many of each slot's rows are no padding. */
function rowsOfSlots({ customerOfRow, customers, rows, weights }: Batch) {
  const first = new Int32Array(customers + 1);
  const real = new Int32Array(customers);
  for (let row = 0; row < rows; row++) {
    first[customerOfRow[row]! + 1]! += 1;
    real[customerOfRow[row]!]! += weights[row]!;
  }
  for (let c = 0; c < customers; c++) first[c + 1]! += first[c]!;
  const next = first.slice();
  const order = new Int32Array(rows);
  for (let row = 0; row < rows; row++) order[next[customerOfRow[row]!]!++] = row;
  return { order, first, real };
}
