import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { groupRows } from '../../models/encoded.ts';
import { customerScores, histogramVectors, type Metrics, metricsFromHistogram } from '../../models/evaluation.ts';
import { exactMetrics, type MetricValues } from '../../models/metrics.ts';
import { encodedOf, gaussianFrom, uniformFrom } from './tables.ts';

const names = ['customers', 'positives', 'rocAuc', 'prAuc', 'accuracy', 'recall', 'f1', 'calibrationError'] as const;

/** Scores that are nearly calibrated, and labels drawn from them. */
function population(size: number, seed: number): { scores: Float32Array; labels: Float32Array } {
  const uniform = uniformFrom(seed);
  const scores = Float32Array.from({ length: size }, () => uniform() ** 2);
  return { scores, labels: scores.map((score) => Number(uniform() < 0.9 * score + 0.05)) };
}

function histogramOf(scores: Float32Array, labels: Float32Array, bins: number): Float64Array {
  const vectors = histogramVectors(scores, labels, scores.length + 5, bins);
  const sum = new Float64Array(vectors.dimension);
  const into = new Float64Array(vectors.dimension).fill(7);
  for (let i = 0; i < vectors.count; i++) {
    vectors.read(i, into);
    for (let j = 0; j < sum.length; j++) sum[j]! += into[j]!;
  }
  return sum;
}

describe('exact metrics', () => {
  test('they are those of scikit-learn', () => {
    // scikit-learn 1.9: roc_auc_score, average_precision_score, accuracy_score, recall_score, f1_score
    const scores = Float32Array.of(0.125, 0.5, 0.375, 0.75, 0.75, 0.875, 0.25, 0.5);
    const labels = Float32Array.of(0, 0, 1, 1, 0, 1, 0, 1);
    const metrics = exactMetrics(scores, labels);
    expect(metrics.rocAuc).toBe(0.75);
    expect(metrics.prAuc).toBeCloseTo(0.7333333333333333, 12);
    expect(metrics.accuracy).toBe(0.625);
    expect(metrics.recall).toBe(0.75);
    expect(metrics.f1).toBeCloseTo(2 / 3, 12);
    expect([metrics.customers, metrics.positives]).toEqual([8, 4]);
  });

  test('the order of customers does not matter', () => {
    const pairs = fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 0, max: 1 })));
    const measure = (list: [number, number][]) =>
      exactMetrics(
        Float32Array.from(list, ([score]) => score),
        Float32Array.from(list, ([, label]) => label),
      );
    fc.assert(
      fc.property(pairs, (list) => {
        const [forth, back] = [measure(list), measure([...list].reverse())];
        for (const name of names) {
          // NaN, where there is nothing to divide by, is equal to itself
          if (!Object.is(back[name], forth[name])) expect(back[name]).toBeCloseTo(forth[name], 9);
        }
      }),
    );
  });

  test('calibration error is the gap between what was said and what came, in eight ranges', () => {
    // 0.15 said of four, one of whom is positive; 0.95 said of one who is
    const scores = Float32Array.of(0.15, 0.15, 0.15, 0.15, 0.95);
    const { calibrationError } = exactMetrics(scores, Float32Array.of(1, 0, 0, 0, 1));
    expect(calibrationError).toBeCloseTo((4 * 0.1 + 0.05) / 5, 6);
  });

  test('without positives there is no area, and it is not a number', () => {
    expect(exactMetrics(Float32Array.of(0.5), Float32Array.of(0)).rocAuc).toBeNaN();
  });
});

describe('score histogram', () => {
  test('each customer is in one cell: its label and its score', () => {
    const scores = Float32Array.of(0, 0.05, 0.5, 0.999, 1);
    expect([...histogramOf(scores, Float32Array.of(0, 0, 1, 1, 1), 8)]).toEqual([
      ...[2, 0, 0, 0, 0, 0, 0, 0],
      ...[0, 0, 0, 0, 1, 0, 0, 2],
    ]);
  });

  test.each([Number.NaN, -0.1, 1.1])('a score of %d is in none', (score) => {
    expect(histogramOf(Float32Array.of(score), Float32Array.of(1), 8).every((count) => count === 0)).toBe(true);
  });

  test('bins that would cut the threshold or the calibration ranges are refused', () => {
    expect(() => histogramVectors(new Float32Array(1), new Float32Array(1), 1, 12)).toThrow('multiple of 8, got 12');
    expect(() => metricsFromHistogram(new Float64Array(24), 1, 1)).toThrow('multiple of 8, got 12');
  });

  test('a customer with several rows has their mean score, and is positive when one of them is', () => {
    const encoded = { ...encodedOf([[0], [0], [0]], [0, 1, 0]), ...groupRows(Int32Array.of(0, 0, 1), 2) };
    const { scores, labels } = customerScores(encoded, Float32Array.of(0.25, 0.75, 0.125), Int32Array.of(1, 0));
    expect([...scores]).toEqual([0.125, 0.5]);
    expect([...labels]).toEqual([0, 1]);
  });
});

describe('metrics from a histogram', () => {
  const { scores, labels } = population(3000, 1);
  const exact = exactMetrics(scores, labels);

  test.each([16, 96])('without noise, %d bins lose little', (bins) => {
    const metrics = metricsFromHistogram(histogramOf(scores, labels, bins), 0, 1);
    for (const name of ['customers', 'positives', 'accuracy', 'recall', 'f1'] as const) {
      expect(metrics[name]).toEqual({ value: exact[name], plusMinus: 0 });
    }
    expect(Math.abs(metrics.rocAuc.value - exact.rocAuc)).toBeLessThan(0.005);
    expect(Math.abs(metrics.prAuc.value - exact.prAuc)).toBeLessThan(0.02);
    expect(Math.abs(metrics.calibrationError.value - exact.calibrationError)).toBeLessThan(0.5 / bins);
  });

  test('the half-widths hold what is true of the histogram in about 95 of 100 openings', () => {
    const histogram = histogramOf(scores, labels, 16);
    const truth = metricsFromHistogram(histogram, 0, 1);
    const gaussian = gaussianFrom(41);
    const inside = Object.fromEntries(names.map((name) => [name, 0])) as Record<keyof MetricValues, number>;
    const openings = 150;
    for (let opening = 0; opening < openings; opening++) {
      const noisy: Metrics = metricsFromHistogram(
        histogram.map((count) => count + 6 * gaussian()),
        6,
        opening,
      );
      for (const name of names) {
        if (Math.abs(noisy[name].value - truth[name].value) <= noisy[name].plusMinus) inside[name] += 1;
      }
    }
    for (const name of names) expect([name, inside[name] / openings > 0.87]).toEqual([name, true]);
    // and they are no wider than they need be
    expect(inside.customers / openings).toBeLessThan(0.995);
    expect(inside.rocAuc / openings).toBeLessThan(0.995);
  });

  test('noise does not make a calibrated model look uncalibrated', () => {
    const histogram = new Float64Array(32);
    for (let bin = 0; bin < 16; bin++) {
      histogram[bin] = 100 * (1 - (bin + 0.5) / 16);
      histogram[16 + bin] = 100 * ((bin + 0.5) / 16);
    }
    const gaussian = gaussianFrom(43);
    const errors = Array.from({ length: 100 }, (_, seed) => {
      return metricsFromHistogram(
        histogram.map((count) => count + 6 * gaussian()),
        6,
        seed,
      ).calibrationError.value;
    });
    // taken as it stands, the mean of |noise| alone would be 0.028
    expect(errors.reduce((sum, error) => sum + error, 0) / 100).toBeLessThan(0.015);
  });

  test('the same seed gives the same half-widths', () => {
    const histogram = histogramOf(scores, labels, 16);
    expect(metricsFromHistogram(histogram, 5, 9)).toEqual(metricsFromHistogram(histogram, 5, 9));
    expect(metricsFromHistogram(histogram, 5, 9)).not.toEqual(metricsFromHistogram(histogram, 5, 10));
  });
});
