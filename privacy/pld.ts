/**
 * The privacy loss of one release, on a grid.
 *
 * One customer's presence turns the outcome Q = N(0, 1) into the mixture P = Σ w_k·N(μ_k, 1), in standard deviations of the
 * noise. The loss of an outcome x is L(x) = log P(x)/Q(x), and δ(ε) = E_P[(1 − e^(ε − L))⁺]. Losses of releases add up, so
 * whoever has their law on a grid composes by convolution (`pld-compose.ts`).
 *
 *   x          ──┼────┼────┼────┼────┼──      cells between points of equal loss steps: one P mass, one Q mass each
 *   high    ●◄──┴─►●◄─┴─►●                    a cell's masses spread to its two ends
 *   low          └─►●◄─┘ └─►●◄─┘              neighbouring cells drawn together onto one point
 *
 * Promise: `high` is never less revealing than the mechanism and `low` never more, in both directions and after any
 * composition. The reason is one fact. δ(ε) = E_Q[(r − e^ε)⁺] is convex in the likelihood ratio r = P/Q, and that stays so
 * in each factor of a product. Moving Q mass between ratios so that the P mass Σ r·Q stays as it is can therefore only raise
 * δ when ratios are spread, at every ε, and only lower it when they are drawn together. Both keep (P, Q) a pair of measures,
 * so they hold for "remove" (P beside Q) and for "add" (Q beside P) at once.
 *
 * Spreading to the cell's ends is connect-the-dots: Doroshenko, Ghazi, Kamath, Kumar, Manurangsi 2022 (arXiv:2207.04380),
 * Algorithm 1, cell by cell.
 *
 * Error: spreading adds at most h²/4 to the variance of a loss, and h²/6 where the law is smooth; drawing together takes
 * about as much away. Masses are differences of normal tails, each right to a relative 1e-14.
 */
import { normalTail } from './normal.ts';

/** P = Σ weights[k]·N(means[k], 1) beside Q = N(0, 1). Means ≥ 0, not all 0; weights > 0 with sum 1. */
export interface GaussianMixture {
  readonly means: readonly number[];
  readonly weights: readonly number[];
}

/** The law of a privacy loss: `mass[i]` at `origin + i·step`, `infinite` at ∞, whatever is left at −∞. */
export interface LossLaw {
  readonly origin: number;
  readonly step: number;
  readonly mass: Float64Array;
  readonly infinite: number;
}

/** Remove: the law of L under P, for a customer who was there. Add: that of −L under Q, for one who was not. */
export type Direction = 'remove' | 'add';
export type LossLaws = Readonly<Record<Direction, LossLaw>>;

/** P and Q mass of the outcomes with a loss in (origin + i·step, origin + (i+1)·step]; `below` and `above` the rest. */
export interface LossCells {
  readonly origin: number;
  readonly step: number;
  readonly p: Float64Array;
  readonly q: Float64Array;
  readonly below: Masses;
  readonly above: Masses;
}

interface Masses {
  readonly p: number;
  readonly q: number;
}

/** log P(x)/Q(x) */
export function lossAt({ means, weights }: GaussianMixture, x: number): number {
  let largest = -Infinity;
  let sum = 0;
  for (const mean of means) largest = Math.max(largest, mean * x - (mean * mean) / 2);
  if (largest < 1) {
    for (let k = 0; k < means.length; k++) sum += weights[k]! * Math.expm1(means[k]! * x - means[k]! ** 2 / 2);
    if (sum > -0.5) return Math.log1p(sum); // near ratio 1, where the other way would cancel
    sum = 0;
  }
  for (let k = 0; k < means.length; k++) sum += weights[k]! * Math.exp(means[k]! * x - means[k]! ** 2 / 2 - largest);
  return largest + Math.log(sum);
}

/** An interval of outcomes. */
export interface Reach {
  readonly from: number;
  readonly to: number;
}

/** The interval outside which Q (below) and P (above) have at most the mass `left`. */
export function reachOf({ means, weights }: GaussianMixture, left: number): Reach {
  const above = (x: number) => means.reduce((sum, mean, k) => sum + weights[k]! * normalTail(x - mean), 0);
  let [from, to] = [0, 0];
  while (normalTail(-from) > left) from -= 1 / 8;
  while (above(to) > left) to += 1 / 8;
  return { from, to };
}

/**
 * Cuts the outcomes into cells.
 *
 * @param step - h, of the grid of losses
 * @param reach - beyond it, outcomes are no longer told apart
 */
export function lossCells(mixture: GaussianMixture, step: number, { from, to }: Reach): LossCells {
  const origin = lossAt(mixture, from);
  const cells = Math.max(1, Math.ceil((lossAt(mixture, to) - origin) / step));
  const p = new Float64Array(cells);
  const q = new Float64Array(cells);
  const tails = tailsOf(mixture);
  let left = tails(from);
  const below = between(mixture, undefined, left);
  for (let i = 0, x = from; i < cells; i++) {
    x = outcomeAt(mixture, origin + (i + 1) * step, x);
    const right = tails(x);
    const masses = between(mixture, left, right);
    p[i] = masses.p;
    q[i] = masses.q;
    left = right;
  }
  return { origin, step, p, q, below, above: between(mixture, left, undefined) };
}

/** A boundary between cells: for each mean, and for Q, on which side of it the boundary lies and the mass beyond. */
type Tails = Float64Array;

/** Tail masses at x, positive for an upper tail and negative for a lower one: the small one, so that nothing cancels. */
function tailsOf({ means }: GaussianMixture): (x: number) => Tails {
  return (x) => {
    const tails = new Float64Array(means.length + 1);
    for (let k = 0; k <= means.length; k++) {
      const y = x - (means[k] ?? 0);
      tails[k] = y > 0 ? Math.max(normalTail(y), Number.MIN_VALUE) : -normalTail(-y);
    }
    return tails;
  };
}

/** Masses between two boundaries; without a left one everything below, without a right one everything above. */
function between({ weights }: GaussianMixture, left: Tails | undefined, right: Tails | undefined): Masses {
  const mass = (k: number): number => {
    const from = left?.[k] ?? -0;
    const to = right?.[k] ?? 0;
    const upperFrom = left !== undefined && from > 0;
    const upperTo = right === undefined || to > 0;
    if (upperFrom === upperTo) return Math.max(0, from - to); // both upper: T(a) − T(b); both lower: Φ(b) − Φ(a)
    return 1 + from - to; // from lower (−Φ(a)) to upper
  };
  let p = 0;
  for (let k = 0; k < weights.length; k++) p += weights[k]! * mass(k);
  return { p, q: mass(weights.length) };
}

/** The outcome whose loss is `loss`, searched from `near`; `near` itself when every outcome loses more. */
function outcomeAt({ means, weights }: GaussianMixture, loss: number, near: number): number {
  // e^loss = w₀ + Σ_{μ>0} w·e^(μx − μ²/2). The logarithm of that sum is convex and nearly linear: Newton cannot fail.
  let positive = 0;
  for (let k = 0; k < means.length; k++) if (means[k]! > 0) positive += weights[k]!;
  const target = loss < 1 ? Math.log(Math.expm1(loss) + positive) : loss + Math.log1p((positive - 1) * Math.exp(-loss));
  if (!(target > -Infinity)) return near;
  let x = near;
  for (let round = 0; round < 60; round++) {
    let largest = -Infinity;
    for (const mean of means) if (mean > 0) largest = Math.max(largest, mean * x - (mean * mean) / 2);
    let sum = 0;
    let slope = 0;
    for (let k = 0; k < means.length; k++) {
      const mean = means[k]!;
      if (mean <= 0) continue;
      const term = weights[k]! * Math.exp(mean * x - (mean * mean) / 2 - largest);
      sum += term;
      slope += mean * term;
    }
    const change = ((target - largest - Math.log(sum)) * sum) / slope;
    x += change;
    if (Math.abs(change) < 1e-13 * (1 + Math.abs(x))) break;
  }
  return x;
}

/** At least as revealing as the mechanism. What lies beyond the cells counts as revealing everything. */
export function highLaws(cells: LossCells): LossLaws {
  const [remove, add] = [new Float64Array(cells.p.length + 1), new Float64Array(cells.p.length + 1)];
  fillHigh(cells, remove, add);
  const { origin, step, below, above } = cells;
  return {
    remove: lawOf(origin, step, remove, above.p),
    add: lawOf(-(origin + cells.p.length * step), step, add, below.q),
  };
}

/**
 * Apart from the loops: where one function had both, some processes in a hundred beside heavy work (Node 24.21, V8 13.6; with
 * `--no-use-osr` none) gave a law the origin of another, and ε came out wrong.
 */
const lawOf = (origin: number, step: number, mass: Float64Array, infinite: number): LossLaw => ({
  ...{ origin, step, mass, infinite },
});

function fillHigh({ origin, step, p, q, below, above }: LossCells, remove: Float64Array, add: Float64Array): void {
  const cells = p.length;
  const width = -Math.expm1(-step);
  for (let i = 0; i < cells; i++) {
    // upper·e^(−ℓ₁) + lower·e^(−ℓ₀) = q with upper + lower = p
    const upper = clamp((p[i]! - Math.exp(origin + i * step) * q[i]!) / width, p[i]!);
    remove[i]! += p[i]! - upper;
    remove[i + 1]! += upper;
    const lower = clamp((q[i]! - Math.exp(-origin - (i + 1) * step) * p[i]!) / width, q[i]!);
    add[cells - i]! += lower;
    add[cells - i - 1]! += q[i]! - lower;
  }
  remove[0]! += below.p;
  add[0]! += above.q;
}

const clamp = (value: number, most: number): number => (value > 0 ? Math.min(value, most) : 0);

/**
 * At most as revealing as the mechanism. What lies above the cells is left out.
 *
 * The grid runs a tenth of a step above the mean ratio of the fullest cell, and so of most others: each is lifted by a
 * ninth of the next one, whatever the shares before it were. (A step above, and uneven shares would go on for ever.) Where a
 * small sampling rate crowds the mass in one cell, the shift is so small that the next cell can still lift it.
 */
export function lowLaws({ step, p, q, below }: LossCells): LossLaws {
  const atoms: Atoms = { p: p.slice(), q: q.slice() };
  atoms.p[0]! += below.p;
  atoms.q[0]! += below.q;
  const fullest = p.indexOf(p.reduce((a, b) => Math.max(a, b)));
  const shift = (0.1 * (p[fullest + 1] ?? 0)) / p[fullest]!;
  const first = Math.log(atoms.p[fullest]! / atoms.q[fullest]!) + (shift - fullest - 1) * step;
  const all = gathered(atoms, first, step);

  const points = p.length + 2;
  const remove = new Float64Array(points);
  const add = new Float64Array(points);
  for (let i = 0; i < all.p.length; i++) {
    const at = (Math.log(all.p[i]! / all.q[i]!) - first) / step;
    // Only the last atom lies between points: a smaller loss, in each direction, is on the safe side.
    const [floor, ceil] = [Math.floor(at + ALIGNED), Math.ceil(at - ALIGNED)];
    if (floor >= 0) remove[Math.min(points - 1, floor)]! += all.p[i]!;
    if (ceil < points) add[points - 1 - Math.max(0, ceil)]! += all.q[i]!;
  }
  return {
    remove: lawOf(first, step, remove, 0),
    add: lawOf(-(first + (points - 1) * step), step, add, 0),
  };
}

/** Rounding of a logarithm, in grid steps, by which a point may be missed. */
const ALIGNED = 1e-6;

/** Outcomes drawn together: P and Q mass of each, by ascending ratio. */
interface Atoms {
  readonly p: Float64Array;
  readonly q: Float64Array;
}

/**
 * Draws atoms together until all but the last lie on the grid. What has been gathered waits for the next point above its
 * ratio and takes just so much of the next atom as lifts it there; where that is too little it takes all of it.
 */
function gathered({ p, q }: Atoms, first: number, step: number): Atoms {
  const [placedP, placedQ] = [new Float64Array(p.length), new Float64Array(p.length)];
  let placed = 0;
  let [heldP, heldQ] = [0, 0];
  for (let i = 0; i < p.length; i++) {
    let share = 1;
    if (heldQ > 0) {
      const ratio = Math.exp(first + Math.ceil((Math.log(heldP / heldQ) - first) / step - ALIGNED) * step);
      const missing = Math.max(0, ratio * heldQ - heldP);
      const surplus = p[i]! - ratio * q[i]!;
      if (surplus > missing) share = missing / surplus;
    }
    heldP += share * p[i]!;
    heldQ += share * q[i]!;
    if (share === 1) continue;
    placedP[placed] = heldP;
    placedQ[placed++] = heldQ;
    heldP = (1 - share) * p[i]!;
    heldQ = (1 - share) * q[i]!;
  }
  if (heldQ > 0) {
    placedP[placed] = heldP;
    placedQ[placed++] = heldQ;
  }
  return { p: placedP.subarray(0, placed), q: placedQ.subarray(0, placed) };
}
