import { describe, expect, test } from 'vitest';
import { lineCharts } from '../../aggregation/plot.ts';
import type { Settings } from '../../aggregation/settings.ts';
import { ADVERSARIES } from '../../privacy/adversary.ts';
import { normalQuantile, normalTail } from '../../privacy/normal.ts';
import { attackChart, epsilonChart } from '../../simulation/plan-charts.ts';
import { privacyPlan } from '../../simulation/privacy-plan.ts';
import { churnSettings, segmentSettings } from '../../simulation/telco.ts';

const { plan, priced } = privacyPlan(churnSettings, { count: 5 });
const chart = epsilonChart(plan, priced, (who, last) => `${who} ${last.toFixed(3)}`);

describe('ε against rounds', () => {
  test('goes from nothing to what the plan states, and its promise is the height of the coalition’s', () => {
    for (const [i, who] of ADVERSARIES.entries()) {
      const { label, points } = chart.series[i]!;
      expect(points[0]).toEqual({ x: 0, y: 0 });
      expect(points[1]!.x).toBe(1);
      expect(points.at(-1)!.x).toBe(105);
      expect(points.at(-1)!.y / plan.epsilon[who]).toBeCloseTo(1, 3);
      expect(label).toBe(`${who} ${points.at(-1)!.y.toFixed(3)}`);
    }
    expect(chart.series[3]!.points.map(({ y }) => y)).toEqual([2, 2]);
    expect(chart.y).toMatchObject({ from: 0, to: 5, label: 'ε at δ = 0.00001, upper bound' });
  });

  test('has room for a promise above everything that is spent', () => {
    const generous = epsilonChart({ ...plan, target: 5.01 }, priced, (who) => who);
    expect(generous.y.to).toBe(6);
    expect(() => lineCharts([generous], '')).not.toThrow();
  });

  test('cuts a curve that would flatten the others at four times the promise, where it gets there', () => {
    const lonely: Settings = { ...churnSettings, secureSum: { protocol: 'plain', minCohort: 150, colluders: 1 } };
    const large = privacyPlan(lonely, { count: 150 });
    const { series, y } = epsilonChart(large.plan, large.priced, (who, last) => `${who} ${last.toFixed(0)}`);
    expect(y.to).toBe(8);
    expect(large.plan.epsilon.floor).toBeGreaterThan(20);
    const floor = series[2]!;
    expect(floor.label).toBe(`floor ${large.plan.epsilon.floor.toFixed(0)}`);
    expect(floor.points.at(-1)!.y).toBe(8);
    expect(floor.points.at(-1)!.x).toBeLessThan(105);
    expect(series[1]!.points.at(-1)!.x).toBe(105);
    expect(() => lineCharts([chart], '')).not.toThrow();
  });
});

describe('the best attack', () => {
  test('is above guessing everywhere, and the more is known the higher', () => {
    const { series } = attackChart(plan, priced, (who) => who);
    expect(series.map(({ label }) => label)).toEqual(['release', 'coalition', 'floor', 'blind guessing']);
    const [release, coalition, floor] = series.map(({ points }) => points);
    for (const [i, { x, y }] of coalition!.entries()) {
      if (i === 0 || i === coalition!.length - 1) continue;
      expect(y).toBeGreaterThan(x);
      expect(release![i]!.y).toBeLessThan(y);
      expect(floor![i]!.y).toBeGreaterThan(y);
    }
    for (const points of [release, coalition, floor]) {
      expect(points![0]).toEqual({ x: 0, y: 0 });
      expect(points!.at(-1)).toEqual({ x: 100, y: 100 });
    }
  });
  test('on sums of everybody is the Gaussian’s: TPR = Φ(Φ⁻¹(FPR) + μ)', () => {
    const { plan: segments, priced: everybody } = privacyPlan(segmentSettings, { count: 5 });
    const mu = Math.sqrt(segments.openings) / segments.noise.multiplier;
    const { points } = attackChart(segments, everybody, (who) => who).series[1]!;
    for (const { x, y } of points.slice(1, -1))
      expect(y).toBeCloseTo(100 * normalTail(-normalQuantile(x / 100) - mu), 4);
  });
});
