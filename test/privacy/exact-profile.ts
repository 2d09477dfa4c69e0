/**
 * δ(ε) of a composed mixture of Gaussians without any grid of losses: by inverting the Laplace transform of the loss.
 *
 *   δ(ε) = 1/2πi ∫ φ(s)^T · e^(−sε) / (s(s + 1)) ds  along Re s = θ > 0,   φ(s) = E[e^(sL)]
 *
 * since (1 − e^(ε − ℓ))⁺ has the transform e^(−sε)/(s(s + 1)). Both integrals by the trapezoid rule, which converges
 * geometrically on them. Shares no code and no idea with the accountant under test. Good to ten digits where T is large enough
 * for φ^T to die out.
 */
export interface Mixture {
  readonly means: readonly number[];
  readonly weights: readonly number[];
}

type Direction = 'remove' | 'add';

/** Smallest ε ≥ 0 with δ(ε) ≤ delta, in the worse direction. */
export function exactEpsilon(mixture: Mixture, count: number, delta: number): number {
  const ofDirection = (direction: Direction) => {
    const deltaAt = exactDelta(mixture, count, delta, direction);
    if (deltaAt(0) <= delta) return 0;
    let [low, high] = [0, 1];
    while (deltaAt(high) > delta) high *= 2;
    for (let i = 0; i < 60; i++) {
      const middle = (low + high) / 2;
      if (deltaAt(middle) > delta) low = middle;
      else high = middle;
    }
    return high;
  };
  return Math.max(ofDirection('remove'), ofDirection('add'));
}

/** δ as a function of ε, precise near `delta`. */
export function exactDelta(
  mixture: Mixture,
  count: number,
  delta: number,
  direction: Direction,
): (epsilon: number) => number {
  const { loss, mass } = outcomes(mixture, direction);
  const cumulant = (theta: number) => count * Math.log(transform(loss, mass, theta, 0).re);
  const bound = (theta: number) => (cumulant(theta) - Math.log(delta) - Math.log(theta * (1 + theta))) / theta;
  const theta = 0.7 * valley(bound);
  const nearby = theta * 1e-3;
  const spread = Math.sqrt(cumulant(theta + nearby) + cumulant(theta - nearby) - 2 * cumulant(theta)) / nearby;

  const step = (2 * Math.PI) / (1000 * spread);
  const terms: { u: number; logRe: number; angle: number }[] = [];
  for (let u = 0, dead = 0; dead < 50; u += step) {
    const { re, im } = transform(loss, mass, theta, u);
    const logRe = (count / 2) * Math.log(re * re + im * im);
    terms.push({ u, logRe, angle: count * Math.atan2(im, re) });
    dead = logRe < cumulant(theta) - 60 ? dead + 1 : 0;
  }
  return (epsilon) => {
    let sum = 0;
    for (const { u, logRe, angle } of terms) {
      // 1 / ((θ + iu)(1 + θ + iu))
      const [re, im] = [theta * (1 + theta) - u * u, (1 + 2 * theta) * u];
      const phase = angle - u * epsilon;
      const weight = (Math.cos(phase) * re + Math.sin(phase) * im) / (re * re + im * im);
      sum += (u === 0 ? 0.5 : 1) * Math.exp(logRe - theta * epsilon) * weight;
    }
    return (sum * step) / Math.PI;
  };
}

/** Losses and probabilities of outcomes on a fine regular grid, out to where a tilted law could still reach. */
function outcomes({ means, weights }: Mixture, direction: Direction): { loss: Float64Array; mass: Float64Array } {
  const top = Math.max(...means);
  const [from, to] = [-14 - top, 3 * top + 16];
  const nodes = Math.ceil((to - from) * 40);
  const [loss, mass] = [new Float64Array(nodes), new Float64Array(nodes)];
  for (let i = 0; i < nodes; i++) {
    const x = from + i / 40;
    const density = Math.exp((-x * x) / 2) / (40 * Math.sqrt(2 * Math.PI));
    let less = 0; // ratio − 1
    for (const [k, mean] of means.entries()) less += weights[k]! * Math.expm1(mean * x - (mean * mean) / 2);
    loss[i] = direction === 'remove' ? Math.log1p(less) : -Math.log1p(less);
    mass[i] = direction === 'remove' ? density * (1 + less) : density;
  }
  return { loss, mass };
}

/** φ(θ + iu) */
function transform(loss: Float64Array, mass: Float64Array, theta: number, u: number): { re: number; im: number } {
  let [re, im] = [0, 0];
  for (let i = 0; i < loss.length; i++) {
    const weight = mass[i]! * Math.exp(theta * loss[i]!);
    re += weight * Math.cos(u * loss[i]!);
    im += weight * Math.sin(u * loss[i]!);
  }
  return { re, im };
}

/** Where a function of θ is least, roughly. */
function valley(value: (theta: number) => number): number {
  let best = 0.01;
  for (let theta = 0.01; theta < 1000; theta *= 1.1) if (value(theta) < value(best)) best = theta;
  return best;
}
