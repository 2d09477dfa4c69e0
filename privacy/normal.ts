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

const ERF_P = [1.85777706184603153e-1, 3.1611237438705656, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3]; // biome-ignore format: a table
const ERF_Q = [1, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3];
const MIDDLE_P = [2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1, 2.98635138197400131e2, 8.8195222124176909e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3];
const MIDDLE_Q = [1, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3, 3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3];
const FAR_P = [1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1, 1.60837851487422766e-2, 6.58749161529837803e-4];
const FAR_Q = [1, 2.56852019228982242, 1.87295284992346725, 5.27905102951428412e-1, 6.05183413124413191e-2, 2.33520497626869185e-3];

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
