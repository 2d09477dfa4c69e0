/**
 * The accountant: what events cost a customer, by Rényi differential privacy (Mironov 2017, arXiv:1702.07476).
 *
 * Promise: never too low. A curve holds, for each order α, an upper bound on the Rényi divergence between the worlds with
 * and without one customer (add-or-remove, the larger of both directions); curves add under composition, adaptive order
 * included. Where a bound is not known, none is claimed: the answer is Infinity.
 *
 * One `case` prices one event. One place multiplies by a count, one place adds.
 */
import type { MixtureOfGaussians, PrivacyEvent } from './event.ts';
import { continuousMultiplier, mixtureOf } from './mixture.ts';
import { type GaussianMixture, lossAt } from './pld.ts';
import { EVERYBODY } from './poisson.ts';

/** The orders of dp_accounting, so that results can be compared: 1.1 to 10.9 by 0.1, 11 to 63, 128, 256, 512, 1024. */
export const ORDERS: readonly number[] = [
  ...Array.from({ length: 99 }, (_, i) => (11 + i) / 10),
  ...Array.from({ length: 53 }, (_, i) => 11 + i),
  ...[128, 256, 512, 1024],
];

/** Rényi divergence in nats at each of `ORDERS`. */
export type RenyiCurve = Float64Array;

export interface EpsilonSpent {
  /** ≥ 0; Infinity when no finite guarantee holds */
  readonly epsilon: number;
  /** the Rényi order that proves it */
  readonly order: number;
}

/**
 * Smallest ε, over the Rényi orders, such that the composition of `events` is (ε, δ)-DP for one customer, add-or-remove.
 *
 * @param events - everything released about one customer, in any order
 * @param delta - in (0, 1)
 * @param orders - the orders that may prove it; all when left out. Pin one to keep a fully adaptive budget (`budget.ts`)
 * @throws RangeError when delta is outside (0, 1)
 * @see Canonne, Kamath, Steinke 2020 (arXiv:2004.00010), Proposition 12
 */
export function epsilonSpent(
  events: readonly PrivacyEvent[],
  delta: number,
  orders: readonly number[] = ORDERS,
): EpsilonSpent {
  if (!(delta > 0 && delta < 1)) throw new RangeError(`delta must lie in (0, 1), got ${delta}`);
  const curve = renyiCurve({ type: 'Composed', events });
  let best: EpsilonSpent = { epsilon: Infinity, order: orders[0]! };
  for (const order of orders) {
    const epsilon = epsilonAt(order, curve[ORDERS.indexOf(order)]!, delta);
    if (epsilon < best.epsilon) best = { epsilon, order };
  }
  return best;
}

function epsilonAt(order: number, divergence: number, delta: number): number {
  // Bretagnolle and Huber: total variation ≤ √(1 − exp(−KL)), and KL is at most the divergence of any order above 1.
  if (divergence === 0 || delta ** 2 + Math.expm1(-divergence) > 0) return 0;
  const epsilon = divergence + Math.log1p(-1 / order) - Math.log(delta * order) / (order - 1);
  return Number.isNaN(epsilon) ? Infinity : Math.max(0, epsilon);
}

/** The price of an event at each of `ORDERS`. */
export function renyiCurve(event: PrivacyEvent): RenyiCurve {
  switch (event.type) {
    case 'NoOp':
      return constant(0);
    case 'Gaussian':
      return gaussian(event.noiseMultiplier, EVERYBODY);
    case 'DiscreteGaussian':
      return gaussian(continuousMultiplier(event), EVERYBODY);
    case 'MixtureOfGaussians':
      return mixed(event);
    case 'PoissonSampled':
      return sampled(event.event, event.rate);
    case 'SelfComposed':
      return renyiCurve(event.event).map((divergence) => event.count * divergence);
    case 'Composed':
      return event.events.map(renyiCurve).reduce(add, constant(0));
    default: // NonPrivate, Unsupported, and whatever a later version wrote
      return constant(Infinity);
  }
}

const constant = (divergence: number): RenyiCurve => new Float64Array(ORDERS.length).fill(divergence);

const add = (a: RenyiCurve, b: RenyiCurve): RenyiCurve => a.map((divergence, i) => divergence + b[i]!);

/** Amplification by sampling is proven for Gaussian-like events only; for any other event none is claimed. */
function sampled(event: PrivacyEvent, rate: number): RenyiCurve {
  if (event.type === 'Gaussian') return gaussian(event.noiseMultiplier, rate);
  if (event.type === 'DiscreteGaussian') return gaussian(continuousMultiplier(event), rate);
  return renyiCurve(event);
}

/** Curves already computed: a budget asks for the same ones every round. */
const known = new Map<string, RenyiCurve>();

function curveOf(key: string, divergence: (order: number) => number): RenyiCurve {
  let curve = known.get(key);
  if (curve === undefined) {
    curve = Float64Array.from(ORDERS, divergence);
    if (known.size >= 1000) known.clear();
    known.set(key, curve);
  }
  return curve;
}

/** Curve of the Poisson-sampled Gaussian mechanism with q = rate / 2^32. */
function gaussian(multiplier: number, rate: number): RenyiCurve {
  if (!(multiplier > 0) || !(rate > 0 && rate <= EVERYBODY)) return constant(Infinity);
  return curveOf(`${multiplier} ${rate}`, (order) => sampledGaussian(order, multiplier, rate / EVERYBODY));
}

function mixed(event: MixtureOfGaussians): RenyiCurve {
  const mixture = mixtureOf(event);
  if (mixture === undefined) return constant(Infinity);
  if (mixture.means.length === 0) return constant(0);
  return curveOf(JSON.stringify(mixture), (order) => mixtureDivergence(order, mixture));
}

/** Nodes to a standard deviation: the trapezoid rule errs by e^(−2π²·16²) on a Gaussian, e^(−2π²z·16) on the mixture. */
const NODES_PER_STD_DEV = 16;
const MOST_NODES = 100_000;

/**
 * Rényi divergence of order α between (1−q)·N(0, z²) + q·N(1, z²) and N(0, z²). The other direction is never larger
 * (Mironov, Talwar, Zhang 2019, arXiv:1908.10530, Theorem 5), nor is a vector sum of sensitivity 1 (Theorem 4).
 *
 *   A = ∫ φ_z(x) · exp(α L(x)) dx,   L(x) = log(1 − q + q·exp((2x − 1) / 2z²)),   divergence = log A / (α − 1)
 *
 * By the trapezoid rule, which converges geometrically here: the integrand is analytic in the strip |Im x| < πz² and
 * vanishes with its derivatives at both ends (φ(14) < 1e-43). The binomial series is no alternative for orders that are
 * not integers: its signs alternate, and it may not converge at all.
 */
function sampledGaussian(order: number, z: number, q: number): number {
  const unsampled = order / (2 * z * z); // Mironov 2017, Corollary 3; a bound at any rate (quasi-convexity)
  const nodes = Math.ceil((28 + order / z) * NODES_PER_STD_DEV);
  if (q === 1 || nodes > MOST_NODES) return unsampled; // so many nodes: an order that never wins

  const low = -14 * z;
  const width = (order + 28 * z) / nodes;
  const log = (x: number) => order * logMixture(x, z, q);
  const step = width / (z * Math.sqrt(2 * Math.PI));
  let sum = 0;
  if (log(low + nodes * width) <= 600) {
    for (let i = 0; i <= nodes; i++) {
      const x = low + i * width;
      // A − 1, less α·∫φ·(exp(L) − 1), which is 0: no term is negative, so nothing cancels however small the rate.
      sum += Math.exp(-0.5 * (x / z) ** 2) * (Math.expm1(log(x)) - order * q * Math.expm1((2 * x - 1) / (2 * z * z)));
    }
    return Math.min(unsampled, Math.log1p(step * sum) / (order - 1));
  }
  const logTerm = (x: number) => log(x) - 0.5 * (x / z) ** 2;
  let largest = -Infinity;
  for (let i = 0; i <= nodes; i++) largest = Math.max(largest, logTerm(low + i * width));
  for (let i = 0; i <= nodes; i++) sum += Math.exp(logTerm(low + i * width) - largest);
  return Math.min(unsampled, (largest + Math.log(step * sum)) / (order - 1));
}

/** log(1 − q + q·exp((2x − 1) / 2z²)), without overflow and without loss near zero. */
function logMixture(x: number, z: number, q: number): number {
  const exponent = (2 * x - 1) / (2 * z * z);
  if (exponent < 500) return Math.log1p(q * Math.expm1(exponent));
  return exponent + Math.log(q + (1 - q) * Math.exp(-exponent));
}

/**
 * Rényi divergence of order α between P = Σ w_k·N(μ_k, 1) and Q = N(0, 1), in the larger direction: for more than two
 * components nobody has proven which that is.
 *
 *   P beside Q   A = ∫ φ(x) · exp(α L(x)) dx          Q beside P   A = ∫ φ(x) · exp(−(α − 1) L(x)) dx
 *
 * By the trapezoid rule, as above. Where |Im x| < π / μ_max the terms of P/Q lie in one half-plane, so that it has no zero
 * there and the integrand is analytic; the nodes are μ_max times as dense. The pair dominates the vector sum in every
 * hockey-stick divergence (copies.ts), hence in these.
 */
function mixtureDivergence(order: number, mixture: GaussianMixture): number {
  const [nearest, farthest] = [mixture.means[0]!, mixture.means.at(-1)!];
  const unsampled = (order * farthest ** 2) / 2; // a bound for any weights: quasi-convexity
  const low = -14 - (order - 1) * nearest;
  const width = order * farthest + 14 - low;
  const nodes = Math.ceil(width * NODES_PER_STD_DEV * Math.max(1, farthest));
  if (nodes > MOST_NODES) return unsampled;
  const losses = Float64Array.from({ length: nodes + 1 }, (_, i) => lossAt(mixture, low + (i * width) / nodes));
  const remove = logMoment(order, losses, low, width / nodes);
  const add = logMoment(1 - order, losses, low, width / nodes);
  return Math.min(unsampled, Math.max(remove, add) / (order - 1));
}

/** log ∫ φ(x) · exp(s·L(x)) dx, given L at low, low + step, … */
function logMoment(s: number, losses: Float64Array, low: number, step: number): number {
  const weight = step / Math.sqrt(2 * Math.PI);
  const logDensity = (i: number) => -0.5 * (low + i * step) ** 2;
  let sum = 0;
  // A − 1, less s·∫φ·(exp(L) − 1), which is 0: by convexity no term is negative for s > 1 or s < 0, so nothing cancels.
  for (const [i, loss] of losses.entries()) {
    sum += Math.exp(logDensity(i)) * (Math.expm1(s * loss) - s * Math.expm1(loss));
  }
  if (Number.isFinite(sum)) return Math.log1p(weight * sum);
  let largest = -Infinity;
  sum = 0;
  for (const [i, loss] of losses.entries()) largest = Math.max(largest, s * loss + logDensity(i));
  for (const [i, loss] of losses.entries()) sum += Math.exp(s * loss + logDensity(i) - largest);
  return largest + Math.log(weight * sum);
}
