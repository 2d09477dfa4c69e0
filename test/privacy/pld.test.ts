import { expect, test } from 'vitest';
import { normalTail } from '../../privacy/normal.ts';
import {
  type GaussianMixture,
  highLaws,
  type LossLaw,
  lossAt,
  lossCells,
  lowLaws,
  reachOf,
} from '../../privacy/pld.ts';

const sampled = (z: number, q: number): GaussianMixture => ({ means: [0, 1 / z], weights: [1 - q, q] });
const mixtures: [string, GaussianMixture][] = [
  ['sampled, q = 0.1, z = 1', sampled(1, 0.1)],
  ['sampled, q = 0.001, z = 0.5: nearly all of the mass in one cell', sampled(0.5, 0.001)],
  ['sampled, q = 0.9, z = 2', sampled(2, 0.9)],
  ['not sampled, z = 3', { means: [1 / 3], weights: [1] }],
  ['three means', { means: [0, 0.7, 1.3], weights: [0.6, 0.3, 0.1] }],
  ['no mean of zero', { means: [0.2, 0.9], weights: [0.3, 0.7] }],
];

/** The outcome with this loss, by bisection. */
function outcomeAt(mixture: GaussianMixture, loss: number): number {
  let [low, high] = [-60, 60];
  for (let i = 0; i < 200; i++) {
    const middle = (low + high) / 2;
    if (lossAt(mixture, middle) < loss) low = middle;
    else high = middle;
  }
  return high;
}

/** δ(ε) of one release from the definition: the best test is a threshold on the loss. */
function exactDelta(mixture: GaussianMixture, epsilon: number): { remove: number; add: number } {
  const tail = (x: number, sign: number) =>
    mixture.means.reduce((sum, mean, k) => sum + mixture.weights[k]! * normalTail(sign * (x - mean)), 0);
  const above = outcomeAt(mixture, epsilon);
  const below = outcomeAt(mixture, -epsilon);
  return {
    remove: tail(above, 1) - Math.exp(epsilon) * normalTail(above),
    add: normalTail(-below) - Math.exp(epsilon) * tail(below, -1),
  };
}

function deltaOf({ origin, step, mass, infinite }: LossLaw, epsilon: number): number {
  return mass.reduce((sum, each, i) => sum + each * Math.max(0, -Math.expm1(epsilon - origin - i * step)), infinite);
}

const directions = ['remove', 'add'] as const;

test.each(mixtures)('the exact δ lies between low and high, at every ε, in both directions: %s', (_, mixture) => {
  for (const step of [0.2, 0.01]) {
    const cells = lossCells(mixture, step, reachOf(mixture, 1e-14));
    const [low, high] = [lowLaws(cells), highLaws(cells)];
    for (let epsilon = 0; epsilon < 4; epsilon += 0.0317) {
      const exact = exactDelta(mixture, epsilon);
      for (const direction of directions) {
        expect(deltaOf(low[direction], epsilon)).toBeLessThanOrEqual(exact[direction] + 1e-13);
        expect(deltaOf(high[direction], epsilon)).toBeGreaterThanOrEqual(exact[direction] - 1e-13);
      }
    }
  }
});

const smooth = mixtures.filter(([name]) => !name.includes('one cell'));

test.each(smooth)('low and high close in with the square of the step: %s', (_, mixture) => {
  const widest = (step: number) => {
    const cells = lossCells(mixture, step, reachOf(mixture, 1e-14));
    const [low, high] = [lowLaws(cells), highLaws(cells)];
    let most = 0;
    for (let epsilon = 0; epsilon < 2; epsilon += 0.0317) {
      for (const direction of directions) {
        most = Math.max(most, deltaOf(high[direction], epsilon) - deltaOf(low[direction], epsilon));
      }
    }
    return most;
  };
  expect(widest(0.01) / widest(0.04)).toBeLessThan(0.12);
});

test.each(mixtures)('both laws stay laws of a pair of distributions: %s', (_, mixture) => {
  const cells = lossCells(mixture, 0.01, reachOf(mixture, 1e-14));
  for (const laws of [lowLaws(cells), highLaws(cells)]) {
    for (const direction of directions) {
      const { origin, step, mass, infinite } = laws[direction];
      expect(mass.every((each) => each >= 0)).toBe(true);
      const total = mass.reduce((sum, each) => sum + each, infinite);
      const other = mass.reduce((sum, each, i) => sum + each * Math.exp(-origin - i * step), 0); // E[e^(−L)] = Q's mass
      expect(total).toBeCloseTo(1, 11);
      expect(other).toBeCloseTo(1, 11);
    }
  }
});

test('what lies beyond the reach counts as revealed on the high side and is left out on the low one', () => {
  const mixture = sampled(1, 0.1);
  const cells = lossCells(mixture, 0.01, reachOf(mixture, 1e-3));
  const beyond = cells.above.p;
  expect(beyond).toBeGreaterThan(5e-4);
  expect(beyond).toBeLessThanOrEqual(1e-3);
  expect(highLaws(cells).remove.infinite).toBe(beyond);
  expect(highLaws(cells).add.infinite).toBe(cells.below.q);
  for (const { mass, infinite } of Object.values(highLaws(cells))) {
    expect(mass.reduce((sum, each) => sum + each, infinite)).toBeCloseTo(1, 12);
  }
  expect(lowLaws(cells).remove.mass.reduce((sum, each) => sum + each, 0)).toBeCloseTo(1 - beyond, 12);
});
