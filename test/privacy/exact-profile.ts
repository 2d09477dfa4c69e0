/**
 * δ(ε) of a composed mixture of Gaussians without any grid of losses: by inverting the Laplace transform of the loss.
 *
 *   δ(ε) = 1/2πi ∫ Π φ(s)^T · e^(−sε) / (s(s + 1)) ds  along Re s = θ > 0,   φ(s) = E[e^(sL)]
 *
 * since (1 − e^(ε − ℓ))⁺ has the transform e^(−sε)/(s(s + 1)). Both integrals by the trapezoid rule, which converges
 * geometrically on them. Shares no code with the accountant under test, and no grid of losses. Good to nine digits where the
 * releases are so many (T·q above some tens) that the transform dies out.
 */
export interface Part {
  /** P = Σ weights[k]·N(means[k], 1) beside Q = N(0, 1) */
  readonly means: readonly number[];
  readonly weights: readonly number[];
  readonly count: number;
}

export type Direction = 'remove' | 'add';

/** Smallest ε ≥ 0 with δ(ε) ≤ delta, in the worse direction. */
export function exactEpsilon(parts: readonly Part[], delta: number): number {
  return Math.max(exactEpsilonOf(parts, delta, 'remove'), exactEpsilonOf(parts, delta, 'add'));
}

/** Smallest ε ≥ 0 with δ(ε) ≤ delta, in one direction. */
export function exactEpsilonOf(parts: readonly Part[], delta: number, direction: Direction): number {
  const { deltaAt, renyiEpsilon } = exactProfile(parts, delta, direction);
  // From above: further down than where δ is crossed the integral cancels, and may say anything.
  let high = renyiEpsilon;
  while (high > 0 && deltaAt(high * 0.99) <= delta) high = high * 0.99 - 1e-6;
  let low = high * 0.99;
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2;
    if (deltaAt(middle) > delta) low = middle;
    else high = middle;
  }
  return Math.max(0, high);
}

/** δ as a function of ε, precise where it is near `delta`, and the Rényi bound on the ε of `delta`. */
export function exactProfile(
  parts: readonly Part[],
  delta: number,
  direction: Direction,
): { deltaAt: (epsilon: number) => number; renyiEpsilon: number } {
  const laws = parts.map((part) => ({ ...outcomes(part, direction), count: part.count }));
  const cumulant = (theta: number) =>
    laws.reduce((sum, law) => sum + law.count * Math.log(transform(law, theta, 0).re), 0);
  // log max_u (1 − e^(−u))·e^(−θu) = θ log θ − (1 + θ) log(1 + θ)
  const bound = (theta: number) =>
    (cumulant(theta) - Math.log(delta) + theta * Math.log(theta) - (1 + theta) * Math.log1p(theta)) / theta;
  const theta = valley(bound);
  const nearby = theta * 1e-3;
  const spread = Math.sqrt(cumulant(theta + nearby) + cumulant(theta - nearby) - 2 * cumulant(theta)) / nearby;

  const total = cumulant(theta);
  const step = (2 * Math.PI) / (500 * spread);
  const terms: { u: number; logRe: number; angle: number }[] = [];
  for (let u = 0, dead = 0; dead < 50; u += step) {
    let [logRe, angle] = [0, 0];
    for (const law of laws) {
      const { re, im } = transform(law, theta, u);
      logRe += (law.count / 2) * Math.log(re * re + im * im);
      angle += law.count * Math.atan2(im, re);
    }
    terms.push({ u, logRe, angle });
    dead = logRe < total - 60 ? dead + 1 : 0;
  }
  const deltaAt = (epsilon: number) => {
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
  return { deltaAt, renyiEpsilon: bound(theta) };
}

interface Law {
  readonly loss: Float64Array;
  readonly mass: Float64Array;
}

/** Losses and probabilities of outcomes on a fine regular grid, out to where a tilted law could still reach. */
function outcomes({ means, weights }: Part, direction: Direction): Law {
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
function transform({ loss, mass }: Law, theta: number, u: number): { re: number; im: number } {
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
