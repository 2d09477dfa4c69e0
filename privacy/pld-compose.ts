/**
 * Many releases: the law of the sum of their privacy losses, by one Fourier transform for each kind of release.
 *
 *   law of a loss ──tilt by θ──▶ ──FFT──▶ ──power, product──▶ ──inverse──▶ W ──▶ δ(ε) = e^(K − θε) · Σ_u W(ε + u)·(1 − e^(−u))·e^(−θu)
 *
 * Tilting (Esscher 1932) weighs a loss ℓ by e^(θℓ)/M(θ); with log M(θ) summed to K, the composed law W then sits where the sum
 * crosses ε, and the tiny δ is the product of a power of e and a sum of ordinary size. Rounding errors of the transform, which
 * would drown a δ below 1e-10, are as small beside 1e-20 as beside 1e-3. e^(K − θε) is the Rényi bound of order 1 + θ.
 *
 * Promise: `Profile.deltaBounds` holds with everything that the numbers leave out:
 *
 * - W outside the window of N points, and what wraps around into it: both below its mass τ outside, which Chernoff's bound
 *   gives from M(θ ± s). Each unit of W enters the sum with at most c(θ) = max_u (1 − e^(−u))·e^(−θu) = θ^θ/(1+θ)^(1+θ).
 * - Rounding. An FFT errs by ρ = 7u·log₂N relative in the 2-norm, u = 2^−53 (Higham 2002, Theorem 24.2). For spectra X of
 *   modulus ≤ 1 a power errs by T·|error|, and the exponential and arctangent that compute it by 7uT relative. So by Parseval
 *   W errs by η = ρ·Σ T·‖x‖₂ + (7u·ΣT + ρ)·‖W‖₂ in the 2-norm, and the sum by η·‖(1 − e^(−u))·e^(−θu)‖₂ (Cauchy–Schwarz).
 * - Masses that are right to a relative 1e-14 each: a factor 1 + 1e-14·ΣT. (The sum is an increasing function of each loss,
 *   and such a function's mean moves by no more than the tails do.)
 */
import FFT from 'fft.js';
import { type GaussianMixture, type LossLaw, lossAt } from './pld.ts';

/** Tilted mass outside the window that the window is chosen for; what remains is bounded again, exactly. */
const OUTSIDE = 1e-10;
const UNIT_ROUNDOFF = 2 ** -53;
export const MASS_ERROR = 1e-14;

export interface Repeated<Part> {
  readonly part: Part;
  readonly count: number;
}

/** A loss law in a few hundred points, to choose θ and the window by. Nothing that is promised rests on it. */
export interface LossSketch {
  readonly loss: Float64Array;
  readonly mass: Float64Array;
}

/** What θ is chosen for: the ε of a δ, or the δ of an ε. */
export type Aim = { readonly delta: number } | { readonly epsilon: number };

export interface Tilt {
  readonly theta: number;
  /** W lies within mean − lower … mean + upper, up to OUTSIDE */
  readonly lower: number;
  readonly upper: number;
  /** exponents of the two Chernoff bounds */
  readonly lowerExponent: number;
  readonly upperExponent: number;
}

/** The two sketches of a mixture: by the trapezoid rule, 16 nodes to a standard deviation. */
export function lossSketches(mixture: GaussianMixture, reach: number): { remove: LossSketch; add: LossSketch } {
  const from = -reach;
  const nodes = Math.ceil((2 * reach + Math.max(...mixture.means)) * 16);
  const loss = new Float64Array(nodes + 1);
  const [p, q] = [new Float64Array(nodes + 1), new Float64Array(nodes + 1)];
  for (let i = 0; i <= nodes; i++) {
    const x = from + i / 16;
    loss[i] = lossAt(mixture, x);
    q[i] = Math.exp((-x * x) / 2) / (16 * Math.sqrt(2 * Math.PI));
    for (let k = 0; k < mixture.means.length; k++) {
      p[i]! += (mixture.weights[k]! * Math.exp(-((x - mixture.means[k]!) ** 2) / 2)) / (16 * Math.sqrt(2 * Math.PI));
    }
  }
  return { remove: { loss, mass: p }, add: { loss: loss.map((each) => -each), mass: q } };
}

/** Mean and variance of a sketched loss. */
export function moments({ loss, mass }: LossSketch): { mean: number; variance: number } {
  let [total, mean, variance] = [0, 0, 0];
  for (let i = 0; i < loss.length; i++) {
    total += mass[i]!;
    mean += mass[i]! * loss[i]!;
  }
  mean /= total;
  for (let i = 0; i < loss.length; i++) variance += mass[i]! * (loss[i]! - mean) ** 2;
  return { mean, variance: variance / total };
}

/** Σ count · log M(θ) */
function sketchedCumulant(sketches: readonly Repeated<LossSketch>[], theta: number): number {
  let sum = 0;
  for (const { part, count } of sketches) sum += count * logMgf(part.loss, part.mass, theta);
  return sum;
}

function logMgf(loss: Float64Array, mass: Float64Array, theta: number): number {
  const largest = theta * (theta > 0 ? Math.max(loss[0]!, loss.at(-1)!) : Math.min(loss[0]!, loss.at(-1)!));
  let sum = 0;
  for (let i = 0; i < loss.length; i++) sum += mass[i]! * Math.exp(theta * loss[i]! - largest);
  return largest + Math.log(sum);
}

/** log max_u (1 − e^(−u))·e^(−θu) */
const logLargestWeight = (theta: number): number => theta * Math.log(theta / (1 + theta)) - Math.log1p(theta);

/** The θ that makes the Rényi bound best, and how far W spreads around its mean. Any θ > 0 gives true bounds. */
export function chooseTilt(sketches: readonly Repeated<LossSketch>[], aim: Aim): Tilt {
  const theta = leastOn(1e-3, 1e4, (each) => {
    const exponent = sketchedCumulant(sketches, each) + logLargestWeight(each);
    return 'delta' in aim ? (exponent - Math.log(aim.delta)) / each : exponent - each * aim.epsilon;
  });
  const at = sketchedCumulant(sketches, theta);
  const slight = theta * 1e-4;
  const slope = (sketchedCumulant(sketches, theta + slight) - sketchedCumulant(sketches, theta - slight)) / (2 * slight);
  const spread = (sign: number) => (exponent: number) =>
    (sketchedCumulant(sketches, theta + sign * exponent) - at - sign * exponent * slope - Math.log(OUTSIDE)) / exponent;
  const upperExponent = leastOn(1e-3, 1e6, spread(1));
  const lowerExponent = leastOn(1e-3, 1e6, spread(-1));
  return { theta, lowerExponent, upperExponent, lower: spread(-1)(lowerExponent), upper: spread(1)(upperExponent) };
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

/** A law tilted and transformed: all that composing it costs but the powers. */
interface Spectrum {
  readonly law: LossLaw;
  readonly logMgf: number;
  /** log M(θ + s) − log M(θ) at the two Chernoff exponents */
  readonly upper: number;
  readonly lower: number;
  /** of the tilted law, in grid steps from `origin` */
  readonly mean: number;
  /** grid step that was put at index 0 */
  readonly centre: number;
  readonly norm: number;
  /** re, im of the frequencies 0 to N/2 */
  readonly values: Float64Array;
}

/** Laws ready to be composed, each as often as one likes. */
export interface Prepared {
  readonly tilt: Tilt;
  readonly size: number;
  readonly spectra: readonly Spectrum[];
}

const LARGEST_SIZE = 2 ** 21;

/** @param laws - on one grid step, all in one direction */
export function prepare(laws: readonly LossLaw[], tilt: Tilt): Prepared {
  const needed = (tilt.lower + tilt.upper) / laws[0]!.step + 2;
  let size = 16;
  while (size < needed && size < LARGEST_SIZE) size *= 2;
  return { tilt, size, spectra: laws.map((law) => spectrumOf(law, tilt, size)) };
}

const transforms = new Map<number, FFT>();

function transformOf(size: number): FFT {
  let transform = transforms.get(size);
  if (transform === undefined) {
    transform = new FFT(size);
    transforms.set(size, transform);
  }
  return transform;
}

function spectrumOf(law: LossLaw, { theta, upperExponent, lowerExponent }: Tilt, size: number): Spectrum {
  const { mass, origin, step } = law;
  const { weights, logTotal } = tilted(mass, theta * step);
  let mean = 0;
  for (let i = 0; i < weights.length; i++) mean += weights[i]! * i;
  const centre = Math.round(mean);
  const folded = new Float64Array(size);
  for (let i = 0, at = modulo(-centre, size); i < weights.length; i++) {
    folded[at]! += weights[i]!;
    at = at + 1 === size ? 0 : at + 1;
  }
  const values = new Float64Array(2 * size);
  transformOf(size).realTransform(values, folded);
  return {
    law,
    logMgf: logTotal + theta * origin,
    upper: tilted(weights, upperExponent * step).logTotal + upperExponent * origin,
    lower: tilted(weights, -lowerExponent * step).logTotal - lowerExponent * origin,
    mean,
    centre,
    norm: norm(folded),
    values: values.slice(0, size + 2),
  };
}

/** mass[i]·e^(i·rate), scaled to sum 1, and the logarithm of the sum it had. */
function tilted(mass: Float64Array, rate: number): { weights: Float64Array; logTotal: number } {
  const weights = new Float64Array(mass.length);
  const largest = rate > 0 ? rate * (mass.length - 1) : 0;
  let sum = 0;
  let lost = 0; // Kahan: the logarithm of this sum is multiplied by the count
  for (let i = 0; i < mass.length; i++) {
    weights[i] = mass[i]! * Math.exp(i * rate - largest);
    const term = weights[i]! - lost;
    const next = sum + term;
    lost = next - sum - term;
    sum = next;
  }
  for (let i = 0; i < mass.length; i++) weights[i]! /= sum;
  return { weights, logTotal: largest + Math.log(sum) };
}

const modulo = (value: number, size: number): number => ((value % size) + size) % size;

function norm(values: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * values[i]!;
  return Math.sqrt(sum);
}

/** δ as a function of ε, between two bounds, for one direction. */
export interface Profile {
  /** losses of the window's points: first + i·step, i from 0 to points − 1 */
  readonly first: number;
  readonly step: number;
  readonly points: number;
  /** Smallest ε that is proven to reach δ (side 'high'), or largest that is proven not to (side 'low'); maybe negative. */
  epsilonAt(delta: number, side: Side): number;
  /** Bound on δ(ε) from above or from below. */
  deltaAt(epsilon: number, side: Side): number;
}

export type Side = 'high' | 'low';

/** Composes `prepared` laws, the i-th one `counts[i]` times. */
export function compose(prepared: Prepared, counts: readonly number[]): Profile {
  const { tilt, size, spectra } = prepared;
  const { theta } = tilt;
  const step = spectra[0]!.law.step;
  const total = (value: (each: Spectrum) => number): number =>
    spectra.reduce((sum, each, i) => sum + counts[i]! * value(each), 0);

  const mean = total((each) => each.mean);
  const spare = size - (tilt.lower + tilt.upper) / step;
  const start = Math.floor(mean - tilt.lower / step - spare / 2); // the window's first point, in steps from the origin
  const origin = total((each) => each.law.origin);
  const first = origin + start * step;
  const law = window(prepared, counts, start - total((each) => each.centre));

  const outside =
    Math.exp(total((each) => each.upper) - tilt.upperExponent * (first + size * step)) +
    Math.exp(total((each) => each.lower) + tilt.lowerExponent * first);
  const transformError = 7 * UNIT_ROUNDOFF * Math.log2(size);
  const roundoff =
    transformError * total((each) => each.norm) +
    (7 * UNIT_ROUNDOFF * total(() => 1) + transformError) * norm(law);
  const largestWeight = Math.exp(logLargestWeight(theta));
  const weightsNorm = Math.sqrt(
    Math.min(size, 2 / (step * 2 * theta * (2 * theta + 1) * (2 * theta + 2))) + 1) * 1;
  // A bound that holds at a point of the grid is off by e^(θh) at most inside the cell below it.
  const allowance = Math.exp(theta * step) * (largestWeight * outside + weightsNorm * roundoff);
  const factor = MASS_ERROR * total(() => 1);
  const infinite = -Math.expm1(total((each) => Math.log1p(-each.law.infinite)));
  const cumulant = total((each) => each.logMgf);

  // From the top: sums of W(ℓ_j)·e^(−(1+θ)(ℓ_j − ℓ_i)) and of W(ℓ_j)·(1 − e^(−(ℓ_j − ℓ_i)))·e^(−θ(ℓ_j − ℓ_i)) over j ≥ i.
  const [slope, value] = [new Float64Array(size), new Float64Array(size)];
  const [decay, steep, gap] = [Math.exp(-theta * step), Math.exp(-(1 + theta) * step), -Math.expm1(-step)];
  slope[size - 1] = law[size - 1]!;
  for (let i = size - 2; i >= 0; i--) {
    value[i] = decay * (value[i + 1]! + gap * slope[i + 1]!);
    slope[i] = law[i]! + steep * slope[i + 1]!;
  }

  const scale = (i: number) => Math.exp(cumulant - theta * (first + i * step));
  const bound = (sum: number, i: number, side: Side) =>
    side === 'high'
      ? Math.min(1, (sum + allowance) * scale(i) * (1 + factor) + infinite)
      : Math.max(0, (sum - allowance) * scale(i) * (1 - factor) + infinite);

  return {
    first,
    step,
    points: size,
    deltaAt(epsilon, side) {
      const i = Math.min(size - 1, Math.max(0, Math.ceil((epsilon - first) / step)));
      const part = Math.min(1, -Math.expm1(epsilon - first - i * step)); // 1 − e^(ε − ℓ_i)
      const inside = epsilon > first + i * step ? 0 : value[i]! + part * slope[i]!;
      return bound(inside, i, side);
    },
    epsilonAt(delta, side) {
      let [low, high] = [-1, size - 1]; // δ is crossed between these two points
      if (bound(value[high]!, high, side) > delta) return side === 'high' ? Infinity : first + high * step;
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (bound(value[middle]!, middle, side) > delta) low = middle;
        else high = middle;
      }
      const target = (delta - infinite) / scale(high) / (side === 'high' ? 1 + factor : 1 - factor);
      const part = (target - value[high]! + (side === 'high' ? -allowance : allowance)) / slope[high]!;
      return first + high * step + Math.log1p(-Math.min(Math.max(0, part || 0), gap));
    },
  };
}

/** W on the window that begins at grid step `start` from where the centres come to lie. */
function window({ size, spectra }: Prepared, counts: readonly number[], start: number): Float64Array {
  const spectrum = new Float64Array(2 * size);
  for (let k = 0; k <= size; k += 2) {
    let logModulus = 0;
    for (let i = 0; i < spectra.length; i++) {
      const { values } = spectra[i]!;
      logModulus += (counts[i]! / 2) * Math.log(values[k]! * values[k]! + values[k + 1]! * values[k + 1]!);
    }
    if (!(logModulus > -80)) continue; // e^(−80) is nothing beside the rounding of W
    let angle = 0;
    for (let i = 0; i < spectra.length; i++) {
      const { values } = spectra[i]!;
      angle += counts[i]! * Math.atan2(values[k + 1]!, values[k]!);
    }
    const modulus = Math.exp(logModulus);
    spectrum[k] = modulus * Math.cos(angle);
    spectrum[k + 1] = modulus * Math.sin(angle);
    if (k > 0 && k < size) {
      spectrum[2 * size - k] = spectrum[k]!;
      spectrum[2 * size - k + 1] = -spectrum[k + 1]!;
    }
  }
  const composed = new Float64Array(2 * size);
  transformOf(size).inverseTransform(composed, spectrum);
  const law = new Float64Array(size);
  for (let i = 0, at = modulo(start, size); i < size; i++) {
    law[i] = composed[2 * at]!;
    at = at + 1 === size ? 0 : at + 1;
  }
  return law;
}
