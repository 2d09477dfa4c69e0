/**
 * The standard normal distribution, to the last digits of a double in both tails; and the one mechanism whose privacy has
 * a closed form, the Gaussian.
 */

/** P[N(0, 1) > x]; relative error below 1e-15 · (1 + x²). Smaller than a double can hold for x > 37. */
export function normalTail(x: number): number {
  const y = Math.abs(x) * Math.SQRT1_2;
  if (y <= 0.46875) return 0.5 - 0.5 * erfNearZero(x * Math.SQRT1_2);
  const tail = 0.5 * expMinusSquare(y) * scaledErfc(y);
  return x > 0 ? tail : 1 - tail;
}

/** P[N(0, 1) > x] / φ(x), with φ the density: does not underflow for large x. Infinity for x < −37. */
export function millsRatio(x: number): number {
  const y = x * Math.SQRT1_2;
  if (y > 0.46875) return Math.sqrt(Math.PI / 2) * scaledErfc(y);
  return normalTail(x) * Math.sqrt(2 * Math.PI) * Math.exp((x * x) / 2);
}

/** The x with P[N(0, 1) ≤ x] = p, for p in [0, 1]. */
export function normalQuantile(p: number): number {
  if (p > 0.5) return -normalQuantile(1 - p);
  return p === 0 ? -Infinity : -bisect(0, 40, (x) => normalTail(x) > p);
}

/**
 * δ of N(μ, 1) beside N(0, 1) at ε, either way round: Φ(μ/2 − ε/μ) − e^ε·Φ(−μ/2 − ε/μ), written so that nothing cancels.
 *
 * @param mu - sensitivity in standard deviations of the noise; √(Σ 1/z²) for several releases
 * @see Balle, Wang 2018 (arXiv:1805.06530), Theorem 8
 */
export function gaussianDelta(mu: number, epsilon: number): number {
  return mu === 0 ? 0 : Math.min(1, Math.exp(logDelta(mu, epsilon / mu - mu / 2)));
}

/** Smallest ε ≥ 0 such that N(μ, 1) beside N(0, 1) is (ε, δ)-DP; relative error below 1e-12. */
export function gaussianEpsilon(mu: number, delta: number): number {
  if (mu === 0 || logDelta(mu, -mu / 2) <= Math.log(delta)) return 0;
  const u = bisect(-mu / 2, 40, (middle) => logDelta(mu, middle) > Math.log(delta)); // δ ≤ P[N > u], so u < 40
  return Math.max(0, mu * (u + mu / 2));
}

/** log δ at ε = μ(u + μ/2): φ(u) times a difference of Mills ratios, since e^ε·φ(u + μ) = φ(u). */
function logDelta(mu: number, u: number): number {
  return Math.log(millsRatio(u) - millsRatio(u + mu)) - (u * u) / 2 - Math.log(2 * Math.PI) / 2;
}

/** Where `below` turns from true to false, to the last bit; the end that is not below. */
function bisect(from: number, to: number, below: (x: number) => boolean): number {
  let [low, high] = [from, to];
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2;
    if (below(middle)) low = middle;
    else high = middle;
  }
  return high;
}

// W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969), tables for n = 4, 8, 5.

const ERF_P = [0.18577770618460315, 3.1611237438705655, 113.86415415105016, 377.485237685302, 3209.3775891384694];
const ERF_Q = [1, 23.601290952344122, 244.02463793444417, 1282.6165260773723, 2844.236833439171];
const MIDDLE_P = [
  2.1531153547440383e-8, 0.5641884969886701, 8.883149794388377, 66.11919063714163, 298.6351381974001, 881.952221241769,
  1712.0476126340707, 2051.0783778260716, 1230.3393547979972,
];
const MIDDLE_Q = [
  1, 15.744926110709835, 117.6939508913125, 537.1811018620099, 1621.3895745666903, 3290.7992357334597,
  4362.619090143247, 3439.3676741437216, 1230.3393548037495,
];
const FAR_P = [
  0.016315387137302097, 0.30532663496123236, 0.36034489994980445, 0.12578172611122926, 0.016083785148742275,
  0.0006587491615298378,
];
const FAR_Q = [
  1, 2.568520192289822, 1.8729528499234673, 0.5279051029514285, 0.06051834131244132, 0.0023352049762686918,
];

/** erf(x) for |x| ≤ 0.46875. */
const erfNearZero = (x: number): number => (x * polynomial(ERF_P, x * x)) / polynomial(ERF_Q, x * x);

/** erfc(y)·exp(y²) for y ≥ 0.46875. */
function scaledErfc(y: number): number {
  if (y <= 4) return polynomial(MIDDLE_P, y) / polynomial(MIDDLE_Q, y);
  const z = 1 / (y * y);
  return (1 / Math.sqrt(Math.PI) - (z * polynomial(FAR_P, z)) / polynomial(FAR_Q, z)) / y;
}

/** exp(−y²) without the rounding of y²: the part of y on a grid of 1/16 squares exactly. */
function expMinusSquare(y: number): number {
  const head = Math.trunc(y * 16) / 16;
  return Math.exp(-head * head) * Math.exp(-(y - head) * (y + head));
}

/** Σ coefficients[i]·x^(n − i) */
function polynomial(coefficients: readonly number[], x: number): number {
  let sum = 0;
  for (let i = 0; i < coefficients.length; i++) sum = sum * x + coefficients[i]!;
  return sum;
}
