import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ADVERSARIES } from '../../privacy/adversary.ts';
import { gaussianEpsilon, normalQuantile, normalTail } from '../../privacy/normal.ts';
import { epsilonAtMost } from '../../privacy/pld-accountant.ts';
import { EVERYBODY } from '../../privacy/poisson.ts';
import { epsilonSpent } from '../../privacy/rdp.ts';
import {
  attackGains,
  byRenyi,
  dropOut,
  epsilonAfter,
  oneMoreRound,
  type Priced,
} from '../../simulation/adversaries.ts';

/** A plan whose coalition meets z: three shares count, one is known to the coalition. */
function priced({ z = 1, q = 1, openings = 10, delta = 1e-5, epsilon = 1, truncation = 0 }): Priced {
  return {
    eventFor: (shares, count) => {
      const event = { type: 'Gaussian', noiseMultiplier: z * Math.sqrt(shares / 3) } as const;
      const once = q === 1 ? event : ({ type: 'PoissonSampled', rate: q * EVERYBODY, event } as const);
      return { type: 'SelfComposed', event: once, count };
    },
    shares: { release: 4, coalition: 3, floor: 1 },
    ...{ openings, delta, epsilon, truncation },
  };
}

describe('what an attacker can gain', () => {
  test('from Gaussians is Φ(Φ⁻¹(FPR) + μ), μ = √T / z (Dong, Roth, Su 2022, arXiv:1905.02383, §2.2)', () => {
    const plan = priced({ z: 5, openings: 9 });
    for (const [adversary, shares] of [
      ['release', 4],
      ['coalition', 3],
      ['floor', 1],
    ] as const) {
      const mu = 3 / (5 * Math.sqrt(shares / 3));
      for (const gain of attackGains(plan, adversary, [0.001, 0.01, 0.3])) {
        expect(gain.mu).toBeCloseTo(mu, 8);
        const power = normalTail(-normalQuantile(gain.falsePositiveRate) - mu);
        expect(gain.truePositiveRate).toBeCloseTo(power, 10);
      }
    }
  });
  test('at ε = 2 is 3.4 % of the customers for 1 % of the others (one Gaussian, δ = 1e-5)', () => {
    // the multiplier of Balle and Wang's analytic Gaussian mechanism at (2, 1e-5) is 1.99381245
    const [gain] = attackGains(priced({ z: 1.99381245, openings: 1 }), 'coalition', [0.01]);
    expect(gain!.truePositiveRate).toBeCloseTo(normalTail(-normalQuantile(0.01) - 1 / 1.99381245), 9);
    expect(gain!.truePositiveRate).toBeCloseTo(0.034, 3);
  });
  test('grows by the chance that a batch is cut, and never beyond everybody', () => {
    const without = attackGains(priced({ z: 5 }), 'coalition', [0.01])[0]!;
    const withCuts = attackGains(priced({ z: 5, truncation: 0.02 }), 'coalition', [0.01])[0]!;
    expect(withCuts.truePositiveRate).toBeCloseTo(without.truePositiveRate + 0.02, 12);
    expect(withCuts.mu).toBeGreaterThan(without.mu);
    expect(attackGains(priced({ truncation: 1 }), 'coalition', [0.01])[0]!.truePositiveRate).toBe(1);
  });
  test('is never less than guessing, never more than ε allows, and most for those who know most', () => {
    const settings = fc.record({
      z: fc.double({ min: 0.7, max: 20, noNaN: true }),
      q: fc.constantFrom(0.01, 0.1, 0.5, 1),
      openings: fc.integer({ min: 1, max: 60 }),
      rate: fc.double({ min: 1e-4, max: 0.9, noNaN: true }),
    });
    fc.assert(
      fc.property(settings, ({ z, q, openings, rate }) => {
        const plan = priced({ z, q, openings });
        const gains = ADVERSARIES.map((who) => attackGains(plan, who, [rate])[0]!.truePositiveRate);
        const after = epsilonAfter(plan, [openings])[0]!;
        for (const [i, who] of ADVERSARIES.entries()) {
          expect(gains[i]).toBeGreaterThanOrEqual(rate * (1 - 1e-9));
          expect(gains[i]).toBeLessThanOrEqual(Math.exp(after[who]) * rate + plan.delta + 1e-9);
        }
        expect(gains[0]).toBeLessThanOrEqual(gains[1]! * (1 + 1e-3));
        expect(gains[1]).toBeLessThanOrEqual(gains[2]! * (1 + 1e-3));
        expect(after.release).toBeLessThanOrEqual(after.coalition);
        expect(after.coalition).toBeLessThanOrEqual(after.floor);
      }),
      { numRuns: 30 },
    );
  });
});

test('ε grows with every opening from nothing to what the whole plan costs, for each adversary', () => {
  const plan = priced({ z: 2, q: 0.1, openings: 40 });
  const rows = epsilonAfter(plan, [0, 1, 10, 20, 39, 40]);
  expect(rows.map(({ at }) => at)).toEqual([0, 1, 10, 20, 39, 40]);
  expect(rows[0]).toEqual({ at: 0, release: 0, coalition: 0, floor: 0 });
  for (const who of ADVERSARIES) {
    for (const [i, row] of rows.slice(1).entries()) expect(row[who]).toBeGreaterThan(rows[i]![who]);
    const whole = epsilonAtMost([plan.eventFor(plan.shares[who], 40)], plan.delta);
    expect(rows.at(-1)![who] / whole).toBeCloseTo(1, 3);
  }
});

test('missing shares cost what z·√(1 − missing) costs: dp_accounting’s values at z 1, q 0.01, a thousand rounds, δ 1e-6', () => {
  const plan = priced({ z: 1, q: 0.01, openings: 1000, delta: 1e-6 });
  const rows = dropOut(plan, [0, 0.05, 0.1, 0.2, 0.3, 0.5]);
  // Google's dp_accounting 0.6.0, PLD on a grid of 1e-4, with the multiplier scaled by hand
  for (const [i, epsilon] of [2.1245, 2.2475, 2.3904, 2.7559, 3.2786, 5.2871].entries()) {
    expect(Math.abs(rows[i]!.epsilon / epsilon - 1)).toBeLessThan(1e-3);
  }
  expect(rows.map(({ shares }) => Number(shares.toFixed(9)))).toEqual([3, 2.85, 2.7, 2.4, 2.1, 1.5]);
});

describe('Rényi accounting', () => {
  test('says ε 2.5967 where the tight accountant says 2.3817 (MNIST, sixty epochs, δ 1e-5)', () => {
    const plan = priced({ z: 1.1, q: 256 / 60_000, openings: 14_063, epsilon: 2.3817 });
    // dp_accounting 0.6.0, RDP with its default orders
    expect(byRenyi(plan).epsilon).toBeCloseTo(2.596656, 3);
  });
  test('needs the least noise that reaches the promised ε by its own count', () => {
    const plan = priced({ z: 2, q: 0.1, openings: 50, epsilon: 1.2 });
    const { noiseFactor } = byRenyi(plan);
    const spent = (factor: number) => epsilonSpent([plan.eventFor(3 * factor ** 2, 50)], plan.delta).epsilon;
    expect(noiseFactor).toBeGreaterThan(1.01);
    expect(spent(noiseFactor)).toBeLessThanOrEqual(1.2);
    expect(spent(noiseFactor / (1 + 3e-5))).toBeGreaterThan(1.2);
  });
});

test('one round more costs the ε of one opening more, or √((T + 1) / T) times the noise of unsampled Gaussians', () => {
  const [z, openings, delta] = [6, 9, 1e-5];
  const plan = priced({ z, openings, delta, epsilon: gaussianEpsilon(Math.sqrt(openings) / z, delta) * (1 + 1e-9) });
  const { epsilon, noiseFactor } = oneMoreRound(plan);
  for (const who of ADVERSARIES) {
    const mu = Math.sqrt(openings + 1) / (z * Math.sqrt(plan.shares[who] / 3));
    expect(epsilon[who]).toBeCloseTo(gaussianEpsilon(mu, delta), 8);
  }
  expect(Math.abs(noiseFactor / Math.sqrt((openings + 1) / openings) - 1)).toBeLessThan(2e-5);
});
