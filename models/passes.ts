import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import type { TensorFlow } from './backend.ts';
import type { Batch } from './batch.ts';
import { dimensionOf, layersOf, type Network } from './layers.ts';

/** For each layer the activations going in, [rows, inputs], and δ, [rows, outputs]. */
export interface Trace {
  readonly activations: Tensor2D[];
  readonly deltas: Tensor2D[];
}

export interface Weights {
  readonly kernel: Tensor2D;
  readonly bias: Tensor2D;
}

/** A parameter vector as float32 tensors. @throws RangeError when its length is not the network's */
export function weightTensors(tf: TensorFlow, net: Network, parameters: Float64Array): Weights[] {
  const dimension = dimensionOf(net);
  if (parameters.length !== dimension) throw new RangeError(`${dimension} parameters needed, got ${parameters.length}`);
  return layersOf(net).map(({ inputs, outputs, weightsAt, biasAt }) => ({
    kernel: tf.tensor2d(Float32Array.from(parameters.subarray(weightsAt, biasAt)), [inputs, outputs]),
    bias: tf.tensor2d(Float32Array.from(parameters.subarray(biasAt, biasAt + outputs)), [1, outputs]),
  }));
}

/** Activations going into each layer, and the probabilities. */
export function forward(
  tf: TensorFlow,
  inputs: Tensor2D,
  weights: readonly Weights[],
): { readonly activations: Tensor2D[]; readonly probabilities: Tensor2D } {
  const activations = [inputs];
  for (const { kernel, bias } of weights.slice(0, -1)) {
    activations.push(tf.relu(tf.add(tf.matMul(activations.at(-1)!, kernel), bias)));
  }
  const { kernel, bias } = weights.at(-1)!;
  const logits: Tensor2D = tf.add(tf.matMul(activations.at(-1)!, kernel), bias);
  return { activations, probabilities: tf.sigmoid(logits) };
}

/** One forward and one backward pass over a padded batch; δ of padding is 0. */
export function forwardBackward(tf: TensorFlow, net: Network, parameters: Float64Array, batch: Batch): Trace {
  const { rows } = batch;
  const weights = weightTensors(tf, net, parameters);
  const { activations, probabilities } = forward(tf, tf.tensor2d(batch.inputs, [rows, batch.width]), weights);
  const error = tf.sub(probabilities, tf.tensor2d(batch.labels, [rows, 1]));
  // δ of sigmoid and cross-entropy together
  let delta = tf.mul<Tensor2D>(error, tf.tensor2d(batch.weights, [rows, 1]));
  const deltas = [delta];
  for (let l = weights.length - 1; l > 0; l--) {
    const back = tf.matMul(delta, tf.transpose(weights[l]!.kernel));
    delta = tf.mul(back, tf.step(activations[l]!));
    deltas.unshift(delta);
  }
  return { activations, deltas };
}

/** Reads tensors and lets go of them. */
export async function readAll(tensors: readonly Tensor[]): Promise<Float32Array[]> {
  try {
    return (await Promise.all(tensors.map((tensor) => tensor.data()))) as Float32Array[];
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
}
