import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { emptyAverage, step, tailAverage } from '../../models/optimiser.ts';

const size = { learningRate: 0.5, expectedBatch: 40 };

describe('step', () => {
  test('it moves against the mean gradient over the expected batch', () => {
    expect([...step(Float64Array.of(1, -2), Float64Array.of(80, -40), size)]).toEqual([0, -1.5]);
  });

  test('the order of operations is fixed to the last bit', () => {
    const [next] = step(Float64Array.of(0.1), Float64Array.of(1.1), { learningRate: 0.1, expectedBatch: 7 });
    expect(next).toBe(0.1 - 0.1 * (1.1 / 7));
    // what other orders give
    expect(next).not.toBe(0.1 - (0.1 * 1.1) / 7);
    expect(next).not.toBe(0.1 - (0.1 / 7) * 1.1);
  });

  test('what it was given stays as it was', () => {
    const parameters = Float64Array.of(1);
    step(parameters, Float64Array.of(1), size);
    expect(parameters[0]).toBe(1);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('a sum of %d stops the task', (bad) => {
    expect(() => step(Float64Array.of(0, 0), Float64Array.of(0, bad), size)).toThrow('parameter 1 is no longer finite');
  });

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('a learning rate or batch of %d is refused', (bad) => {
    const one = Float64Array.of(1);
    expect(() => step(one, one, { ...size, learningRate: bad })).toThrow('learningRate must be positive');
    expect(() => step(one, one, { ...size, expectedBatch: bad })).toThrow('expectedBatch must be positive');
  });

  test('a sum of another length is refused', () => {
    expect(() => step(new Float64Array(3), new Float64Array(2), size)).toThrow('3 coordinates needed, got 2');
  });
});

describe('tail average', () => {
  test('it is the mean of what it took in', () => {
    const values = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(values, (iterates) => {
        const average = iterates.reduce((avg, value) => tailAverage(avg, Float64Array.of(value, -value)), emptyAverage);
        const mean = iterates.reduce((sum, value) => sum + value, 0) / iterates.length;
        expect(average.count).toBe(iterates.length);
        expect(average.mean[0]).toBeCloseTo(mean, 5);
        expect(average.mean[1]).toBeCloseTo(-mean, 5);
      }),
    );
  });
});
