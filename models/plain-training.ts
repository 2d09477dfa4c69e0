import type { Backend } from './backend.ts';
import { padBatch } from './batch.ts';
import { type Encoded, rowsOfCustomer } from './encoded.ts';
import { dimensionOf, layersOf, type Network } from './layers.ts';
import { plainGradient } from './network.ts';

/** Weight of ½‖w‖² beside the summed loss; scikit-learn's C = 1. Biases are free. */
const penalty = 1;

/** Adam's usual constants, and how long a network trains. */
const adam = { rate: 0.005, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, steps: 150 };

/**
 * Training without any privacy, on rows one party may see: what a tenant could do alone, or everyone with the data
 * pooled. The reference beside private results; its outcome must never leave a tenant.
 *
 * Logistic regression to convergence by Newton's method with an L2 penalty of 1 (scikit-learn's C = 1); a network by
 * 150 full-batch steps of Adam with the same penalty. Each customer counts once, whatever its rows.
 *
 * @param start - `initialParameters` of the spec
 * @throws RangeError when there are no labels
 */
export async function trainPlain(
  backend: Backend,
  net: Network,
  start: Float64Array,
  encoded: Encoded,
): Promise<Float64Array> {
  if (encoded.labels === null) throw new RangeError('training needs labels: name the label column in the schema');
  return net.widths.length === 2 ? newton(start, encoded, encoded.labels) : trainByAdam(backend, net, start, encoded);
}

/** Iteratively reweighted least squares, at most 50 steps. */
function newton(start: Float64Array, encoded: Encoded, labels: Float32Array): Float64Array {
  const weights = rowWeights(encoded);
  let parameters = start.slice();
  for (let iteration = 0; iteration < 50; iteration++) {
    const { gradient, hessian } = curvature(parameters, encoded, labels, weights);
    const direction = solve(hessian, gradient);
    parameters = parameters.map((value, i) => value - direction[i]!);
    if (direction.every((value) => Math.abs(value) < 1e-10)) break;
  }
  return parameters;
}

/** Gradient and Hessian (lower triangle, row by row) of the penalised loss; the bias is the last parameter. */
function curvature(parameters: Float64Array, encoded: Encoded, labels: Float32Array, weights: Float64Array) {
  const { inputs, rows, width } = encoded;
  const size = width + 1;
  const gradient = parameters.map((value, i) => (i < width ? penalty * value : 0));
  const hessian = new Float64Array(size * size);
  for (let i = 0; i < width; i++) hessian[i * size + i] = penalty;
  const x = new Float64Array(size).fill(1);
  for (let row = 0; row < rows; row++) {
    x.set(inputs.subarray(row * width, (row + 1) * width));
    const probability = 1 / (1 + Math.exp(-dot(x, parameters)));
    const error = weights[row]! * (probability - labels[row]!);
    const spread = weights[row]! * probability * (1 - probability);
    for (let i = 0; i < size; i++) {
      gradient[i]! += error * x[i]!;
      const scaled = spread * x[i]!;
      for (let j = 0; j <= i; j++) hessian[i * size + j]! += scaled * x[j]!;
    }
  }
  return { gradient, hessian };
}

/** Solves A·x = b by Cholesky; A symmetric and positive definite, its lower triangle given and overwritten. */
function solve(a: Float64Array, b: Float64Array): Float64Array {
  const size = b.length;
  const x = b.slice();
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let value = a[i * size + j]!;
      for (let k = 0; k < j; k++) value -= a[i * size + k]! * a[j * size + k]!;
      a[i * size + j] = i === j ? Math.sqrt(value) : value / a[j * size + j]!;
    }
    for (let k = 0; k < i; k++) x[i]! -= a[i * size + k]! * x[k]!;
    x[i]! /= a[i * size + i]!;
  }
  for (let i = size - 1; i >= 0; i--) {
    for (let k = i + 1; k < size; k++) x[i]! -= a[k * size + i]! * x[k]!;
    x[i]! /= a[i * size + i]!;
  }
  return x;
}

async function trainByAdam(
  backend: Backend,
  net: Network,
  start: Float64Array,
  encoded: Encoded,
): Promise<Float64Array> {
  const everyone = Int32Array.from({ length: encoded.customers }, (_, customer) => customer);
  const padded = padBatch(encoded, everyone, encoded.customers);
  const share = everyone.map((customer) => rowsOfCustomer(encoded, customer).length);
  const batch = { ...padded, weights: padded.weights.map((w, row) => w / share[padded.customerOfRow[row]!]!) };
  const decay = weightMask(net);
  const parameters = start.slice();
  const mean = new Float64Array(dimensionOf(net));
  const square = new Float64Array(dimensionOf(net));
  for (let step = 1; step <= adam.steps; step++) {
    const gradient = await plainGradient(backend, net, parameters, batch);
    for (let i = 0; i < parameters.length; i++) {
      const g = (gradient[i]! + penalty * decay[i]! * parameters[i]!) / encoded.customers;
      mean[i] = adam.beta1 * mean[i]! + (1 - adam.beta1) * g;
      square[i] = adam.beta2 * square[i]! + (1 - adam.beta2) * g * g;
      const corrected = Math.sqrt(square[i]! / (1 - adam.beta2 ** step)) + adam.epsilon;
      parameters[i]! -= (adam.rate * mean[i]!) / (1 - adam.beta1 ** step) / corrected;
    }
  }
  return parameters;
}

/** 1 for weights, 0 for biases. */
function weightMask(net: Network): Uint8Array {
  const mask = new Uint8Array(dimensionOf(net));
  for (const layer of layersOf(net)) mask.fill(1, layer.weightsAt, layer.biasAt);
  return mask;
}

/** 1 ÷ the rows of the row's customer. */
function rowWeights(encoded: Encoded): Float64Array {
  return Float64Array.from(encoded.customerOfRow, (customer) => 1 / rowsOfCustomer(encoded, customer).length);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
