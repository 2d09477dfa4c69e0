/**
 * Where to look: how far to tilt a composed loss, and how wide a window it then needs.
 *
 * Chosen on a sketch of the loss in a few hundred points. Nothing that is promised rests on it: any tilt gives true bounds,
 * a bad one gives wide ones.
 */
import { type Direction, type GaussianMixture, lossAt, type Reach } from './pld.ts';

/** The law of one loss in a few hundred points, and how often it occurs. */
export interface LossSketch {
  readonly loss: Float64Array;
  readonly mass: Float64Array;
  readonly count: number;
}

/** What is asked: the ε of a δ, or the δ of an ε. */
export type Aim = { readonly delta: number } | { readonly epsilon: number };

export interface Tilt {
  /** θ > 0 */
  readonly theta: number;
  /** the tilted loss lies within mean − lower … mean + upper, but for `OUTSIDE` at either end */
  readonly lower: number;
  readonly upper: number;
  /** exponents of Chernoff's bounds that say so */
  readonly lowerExponent: number;
  readonly upperExponent: number;
}

const OUTSIDE = 1e-12;

const NODES_PER_STD_DEV = 16;

/** By the trapezoid rule, whose error on a smooth mixture is nothing. */
export function lossSketch(
  mixture: GaussianMixture,
  count: number,
  { from, to }: Reach,
  direction: Direction,
): LossSketch {
  const nodes = Math.ceil((to - from) * NODES_PER_STD_DEV) + 1;
  const [loss, mass] = [new Float64Array(nodes), new Float64Array(nodes)];
  const density = (x: number) => Math.exp((-x * x) / 2) / (NODES_PER_STD_DEV * Math.sqrt(2 * Math.PI));
  for (let i = 0; i < nodes; i++) {
    const x = from + i / NODES_PER_STD_DEV;
    loss[i] = (direction === 'remove' ? 1 : -1) * lossAt(mixture, x);
    if (direction === 'add') mass[i] = density(x);
    else
      for (let k = 0; k < mixture.means.length; k++) mass[i]! += mixture.weights[k]! * density(x - mixture.means[k]!);
  }
  return { loss, mass, count };
}

/** Of the summed loss. */
export function variance(sketches: readonly LossSketch[]): number {
  let sum = 0;
  for (const { loss, mass, count } of sketches) {
    let [total, mean, square] = [0, 0, 0];
    for (let i = 0; i < loss.length; i++) {
      total += mass[i]!;
      mean += mass[i]! * loss[i]!;
    }
    mean /= total;
    for (let i = 0; i < loss.length; i++) square += mass[i]! * (loss[i]! - mean) ** 2;
    sum += count * square;
  }
  return sum;
}

/** log max_u (1 − e^(−u))·e^(−θu) = log(θ^θ / (1+θ)^(1+θ)): the most that a unit of tilted mass weighs in δ. */
export const logLargestWeight = (theta: number): number => theta * Math.log(theta / (1 + theta)) - Math.log1p(theta);

/** log of the best Rényi bound on δ(ε): min_θ K(θ) − θε + logLargestWeight(θ). */
export function renyiLogDelta(sketches: readonly LossSketch[], epsilon: number): number {
  const bound = (theta: number) => cumulant(sketches, theta) + logLargestWeight(theta) - theta * epsilon;
  return bound(leastOn(1e-3, 1e4, bound));
}

/**
 * `part` of the θ that makes the Rényi bound best.
 *
 * With all of it the tilted loss is centred near the ε in question, and nothing neglected weighs more than it should; but a
 * rare large loss, tilted so far, takes over and asks for a window many times as wide. A smaller part gives up a power of e
 * in what may be neglected, which `OUTSIDE` often has in hand.
 */
export function chooseTilt(sketches: readonly LossSketch[], aim: Aim, part: number): Tilt {
  const best = leastOn(1e-3, 1e4, (theta) => {
    const exponent = cumulant(sketches, theta) + logLargestWeight(theta);
    return 'delta' in aim ? (exponent - Math.log(aim.delta)) / theta : exponent - theta * aim.epsilon;
  });
  const theta = part * best;
  const at = cumulant(sketches, theta);
  const nearby = theta * 1e-4;
  const mean = (cumulant(sketches, theta + nearby) - cumulant(sketches, theta - nearby)) / (2 * nearby);
  // P[S − mean ≥ d] ≤ e^(K(θ+s) − K(θ) − s·(mean + d)) for every s > 0, and likewise below
  const reach = (sign: number) => (s: number) =>
    (cumulant(sketches, theta + sign * s) - at - sign * s * mean - Math.log(OUTSIDE)) / s;
  const [upperExponent, lowerExponent] = [leastOn(1e-3, 1e6, reach(1)), leastOn(1e-3, 1e6, reach(-1))];
  return { theta, lowerExponent, upperExponent, lower: reach(-1)(lowerExponent), upper: reach(1)(upperExponent) };
}

/** K(θ) = Σ count · log E[e^(θ·loss)] */
function cumulant(sketches: readonly LossSketch[], theta: number): number {
  let total = 0;
  for (const { loss, mass, count } of sketches) {
    const largest = Math.max(theta * loss[0]!, theta * loss.at(-1)!); // losses are monotone in the outcome
    let sum = 0;
    for (let i = 0; i < loss.length; i++) sum += mass[i]! * Math.exp(theta * loss[i]! - largest);
    total += count * (largest + Math.log(sum));
  }
  return total;
}

/** Where on (from, to) a function with one valley is least, by golden section on a logarithmic scale. */
function leastOn(from: number, to: number, value: (x: number) => number): number {
  const golden = (Math.sqrt(5) - 1) / 2;
  let [low, high] = [Math.log(from), Math.log(to)];
  let left = high - golden * (high - low);
  let right = low + golden * (high - low);
  let [atLeft, atRight] = [value(Math.exp(left)), value(Math.exp(right))];
  for (let round = 0; round < 20; round++) {
    if (!(atLeft > atRight)) {
      high = right;
      [right, atRight] = [left, atLeft];
      left = high - golden * (high - low);
      atLeft = value(Math.exp(left));
    } else {
      low = left;
      [left, atLeft] = [right, atRight];
      right = low + golden * (high - low);
      atRight = value(Math.exp(right));
    }
  }
  return Math.exp((low + high) / 2);
}
