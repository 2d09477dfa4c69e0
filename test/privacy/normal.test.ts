import { expect, test } from 'vitest';
import { gaussianDelta, gaussianEpsilon, millsRatio, normalQuantile, normalTail } from '../../privacy/normal.ts';

// mpmath, 25 digits: erfc(x / sqrt(2)) / 2
test.each([
  [-3, 0.9986501019683699],
  [-0.5, 0.6914624612740131],
  [0, 0.5],
  [0.3, 0.3820885778110474],
  [0.66, 0.25462691467133614],
  [0.67, 0.2514288950953101],
  [1, 0.15865525393145705],
  [5, 2.866515718791939e-7],
  [5.7, 5.990371401063528e-9],
  [10, 7.619853024160525e-24],
  [20, 2.7536241186062337e-89],
  [36, 4.182624065797283e-284],
])('the tail beyond %d is right to the last digits', (x, tail) => {
  expect(Math.abs(normalTail(x) / tail - 1)).toBeLessThan(1e-15 * (1 + x * x));
  const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  expect(Math.abs((millsRatio(x) * density) / tail - 1)).toBeLessThan(2e-15 * (1 + x * x));
});

test('tails of both signs make one, and extremes are 0 and 1', () => {
  for (const x of [0.1, 0.4687, 0.66291, 1, 3, 8]) expect(normalTail(x) + normalTail(-x)).toBeCloseTo(1, 15);
  expect([normalTail(50), normalTail(-50)]).toEqual([0, 1]);
});

test('a quantile undoes the tail', () => {
  expect(normalQuantile(0.01)).toBeCloseTo(-2.3263478740408408, 12);
  for (const p of [1e-12, 0.2, 0.5, 0.9]) expect(normalTail(-normalQuantile(p)) / p).toBeCloseTo(1, 10);
  expect([normalQuantile(0), normalQuantile(1)]).toEqual([-Infinity, Infinity]);
});

// Google dp-accounting 0.6.0, gaussian_mechanism.get_sigma_gaussian
test.each([
  [0.1, 1e-5, 30.74956613],
  [0.5, 1e-5, 7.03182668],
  [1, 1e-5, 3.73063163],
  [1, 1e-6, 4.22467889],
  [2, 1e-5, 1.99381245],
  [5, 1e-5, 0.89186826],
  [10, 1e-5, 0.49988862],
])('a Gaussian of ε = %d, δ = %d needs σ = %d', (epsilon, delta, sigma) => {
  expect(gaussianEpsilon(1 / sigma, delta) / epsilon).toBeCloseTo(1, 7);
  expect(gaussianDelta(1 / sigma, epsilon) / delta).toBeCloseTo(1, 6);
});

test('ε and δ of a Gaussian undo each other down to δ = 1e-300', () => {
  for (const mu of [1e-6, 0.01, 1, 30]) {
    for (const delta of [1e-3, 1e-20, 1e-300]) {
      const epsilon = gaussianEpsilon(mu, delta);
      if (epsilon > 0) expect(Math.log(gaussianDelta(mu, epsilon))).toBeCloseTo(Math.log(delta), 6);
    }
  }
});

test('a Gaussian that reveals nothing costs nothing, and a large δ pays for all', () => {
  expect([gaussianEpsilon(0, 1e-9), gaussianDelta(0, 1)]).toEqual([0, 0]);
  expect(gaussianEpsilon(0.1, 0.04)).toBe(0); // δ(0) = 2Φ(0.05) − 1 = 0.0399
  expect(gaussianEpsilon(0.1, 0.0395)).toBeGreaterThan(0);
});
