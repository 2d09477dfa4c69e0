/**
 * Many releases: the law of the sum of their privacy losses, by one Fourier transform for each kind of release.
 *
 *   law of a loss ──tilt by θ──▶ ──FFT──▶ ──power, product──▶ ──inverse──▶ W ──▶ δ(ε) = e^(K − θε) · Σ_u W(ε + u)·(1 − e^(−u))·e^(−θu)
 *
 * Tilting (Esscher 1932) weighs a loss ℓ by e^(θℓ)/M(θ); with log M(θ) summed to K, the composed law W then sits where the sum
 * crosses ε, and the tiny δ is the product of a power of e and a sum of ordinary size. Rounding errors of the transform, which
 * would drown a δ below 1e-10, are as small beside 1e-20 as beside 1e-3. e^(K − θε) is the Rényi bound of order 1 + θ.
 *
 * Promise: both bounds of a `Profile` hold with everything that the numbers leave out:
 *
 * - W outside the window of N points, and what wraps around into it: both below its mass τ outside, which Chernoff's bound
 *   gives from M(θ ± s). Each unit of W enters the sum with at most c(θ) = max_u (1 − e^(−u))·e^(−θu) = θ^θ/(1+θ)^(1+θ).
 * - Rounding. An FFT errs by ρ = 7u·log₂N relative in the 2-norm, u = 2^−53 (Higham 2002, Theorem 24.2). For spectra X of
 *   modulus ≤ 1 a power errs by T·|error|, and the exponential and arctangent that compute it by 7uT relative. So by Parseval
 *   W errs by η = ρ·Σ T·‖x‖₂ + (7u·ΣT + ρ)·‖W‖₂ in the 2-norm, and the sum by η·‖(1 − e^(−u))·e^(−θu)‖₂ (Cauchy–Schwarz).
 * - Masses that are right to a relative 1e-14 each: a factor 1 ± 1e-14·ΣT. (The sum is an increasing function of each loss,
 *   and such a function's mean moves by no more than the tails do.)
 */
import FFT from 'fft.js';
import type { LossLaw } from './pld.ts';
import { logLargestWeight, type Tilt } from './pld-tilt.ts';

const UNIT_ROUNDOFF = 2 ** -53;
const MASS_ERROR = 1e-14;

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

/** δ as a function of ε between two bounds, for one direction. */
export interface Profile {
  /** losses of the window's points: first + i·step, i from 0 to points − 1 */
  readonly first: number;
  readonly step: number;
  readonly points: number;
  /** Side 'high': an ε that is proven to have at most this δ. Side 'low': one that is proven to have more. May be negative. */
  epsilonAt(delta: number, side: Side): number;
  /** Bound on δ(ε) from above or from below. */
  deltaAt(epsilon: number, side: Side): number;
  /** The part of the upper bound on δ(ε) that only allows for errors. */
  slackAt(epsilon: number): number;
}

export type Side = 'high' | 'low';

/** Composes `prepared` laws, the i-th one `counts[i]` times. */
export function compose(prepared: Prepared, counts: readonly number[]): Profile {
  const { tilt, size, spectra } = prepared;
  const { theta } = tilt;
  const total = (value: (each: Spectrum) => number): number =>
    spectra.reduce((sum, each, i) => sum + counts[i]! * value(each), 0);

  const step = spectra[0]!.law.step;
  const spare = size - (tilt.lower + tilt.upper) / step;
  const start = Math.floor(total((each) => each.mean) - tilt.lower / step - spare / 2);
  const first = total((each) => each.law.origin) + start * step;
  const law = window(prepared, counts, start - total((each) => each.centre));

  // From the top, over j ≥ i: slope_i = Σ W_j·e^(−(1+θ)(j−i)h) and value_i = Σ W_j·(1 − e^(−(j−i)h))·e^(−θ(j−i)h).
  const [slope, value] = [new Float64Array(size), new Float64Array(size)];
  const [decay, steepDecay, gap] = [Math.exp(-theta * step), Math.exp(-(1 + theta) * step), -Math.expm1(-step)];
  slope[size - 1] = law[size - 1]!;
  for (let i = size - 2; i >= 0; i--) {
    value[i] = decay * (value[i + 1]! + gap * slope[i + 1]!);
    slope[i] = law[i]! + steepDecay * slope[i + 1]!;
  }

  const allowance = errorAllowance(prepared, counts, first, norm(law));
  const openings = total(() => 1);
  const infinite = -Math.expm1(total((each) => Math.log1p(-each.law.infinite)));
  const cumulant = total((each) => each.logMgf);
  const scaleAt = (i: number) => Math.exp(cumulant - theta * (first + i * step));
  const bound = (sum: number, i: number, side: Side) =>
    side === 'high'
      ? (sum + allowance) * scaleAt(i) * (1 + MASS_ERROR * openings) + infinite
      : (sum - allowance) * scaleAt(i) * (1 - MASS_ERROR * openings) + infinite;

  /** The point at or above ε, and the sum at ε: below a point it grows by (1 − e^(ε − ℓ))·slope. */
  const sumAt = (epsilon: number) => {
    const i = Math.min(size - 1, Math.max(0, Math.ceil((epsilon - first) / step)));
    return { i, sum: value[i]! + Math.max(0, -Math.expm1(epsilon - first - i * step)) * slope[i]! };
  };

  return {
    first,
    step,
    points: size,
    deltaAt(epsilon, side) {
      if (epsilon < first && side === 'high') return 1; // nothing is known below the window
      const { i, sum } = sumAt(Math.max(first, epsilon));
      return Math.min(1, Math.max(0, bound(sum, i, side)));
    },
    slackAt(epsilon) {
      return allowance / (allowance + Math.max(0, sumAt(epsilon).sum));
    },
    epsilonAt(delta, side) {
      let [below, i] = [-1, size]; // the upper bound crosses δ between these two points
      while (i - below > 1) {
        const middle = (below + i) >> 1;
        if (bound(value[middle]!, middle, 'high') > delta) below = middle;
        else i = middle;
      }
      if (i === size) return side === 'high' ? Infinity : -Infinity;
      // The lower bound crosses it there or below; still further down it falls again, so the first crossing is the one.
      while (side === 'low' && i > 0 && bound(value[i - 1]!, i - 1, 'low') <= delta) i--;
      if (side === 'low' && i === 0) return -Infinity;
      const missing =
        (delta - bound(value[i]!, i, side)) / (bound(value[i]! + slope[i]!, i, side) - bound(value[i]!, i, side));
      return first + i * step + Math.log1p(-Math.min(Math.max(0, missing || 0), gap));
    },
  };
}

/** What the head of this file allows for, as an error of `value`. */
function errorAllowance(
  { tilt: { theta, upperExponent, lowerExponent }, size, spectra }: Prepared,
  counts: readonly number[],
  first: number,
  lawNorm: number,
): number {
  const total = (value: (each: Spectrum) => number): number =>
    spectra.reduce((sum, each, i) => sum + counts[i]! * value(each), 0);
  const step = spectra[0]!.law.step;
  const outside =
    Math.exp(total((each) => each.upper) - upperExponent * (first + size * step)) +
    Math.exp(total((each) => each.lower) + lowerExponent * first);
  const transformError = 7 * UNIT_ROUNDOFF * Math.log2(size);
  const roundoff =
    transformError * total(({ norm }) => norm) + (7 * UNIT_ROUNDOFF * total(() => 1) + transformError) * lawNorm;
  const largestWeight = Math.exp(logLargestWeight(theta));
  // ∫ (1 − e^(−u))²·e^(−2θu) du = 2 / (2θ(2θ+1)(2θ+2)); the sum over a grid exceeds 1/h of it by the maximum at most
  const weightsNorm = Math.sqrt(1 / (step * theta * (2 * theta + 1) * (2 * theta + 2)) + largestWeight ** 2);
  // Bounds are scaled by e^(−θℓ) at a point ℓ; a step below, where they are used too, that factor is e^(θh) larger.
  return Math.exp(theta * step) * (largestWeight * outside + weightsNorm * roundoff);
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
