import { expect, test } from 'vitest';
import { clip } from '../../privacy/clip.ts';
import { quantize } from '../../privacy/grid.ts';
import { addNoise, drawNoise, dropNoise, isUnused, type NoiseShare, shareOf } from '../../privacy/noise.ts';
import { customersOf } from './customers.ts';
import { replayRandom } from './replay-random.ts';
import { chiSquareZ, discreteGaussianPmf } from './statistics.ts';

const sumOf = (rows: number[][], dimension: number) => quantize(clip(customersOf(rows, dimension), 1), 100);
const zeros = (dimension: number) => sumOf([], dimension);

test('what is added is discrete Gaussian noise of the share’s standard deviation', () => {
  const noised = addNoise(zeros(1 << 18), drawNoise(7, 1 << 18, replayRandom('noise')));
  expect(chiSquareZ(noised, discreteGaussianPmf(7, 280))).toBeLessThan(4.75);
});

test('the sum under the noise is the sum', () => {
  const rows = [[0.5, -0.25, 0.1]];
  const noised = addNoise(sumOf(rows, 3), drawNoise(6, 3, replayRandom('x')));
  const noise = addNoise(zeros(3), drawNoise(6, 3, replayRandom('x')));
  expect([...noised.map((x, i) => x - noise[i]!)]).toEqual([50, -25, 10]);
});

test('noise is added in place: no sum without noise remains', () => {
  const sum = sumOf([[0.5]], 1);
  const noised: Float64Array = addNoise(sum, drawNoise(1e6, 1, replayRandom('in place')));
  expect(noised).toBe(sum);
  expect(sum[0]).not.toBe(50);
});

test('a share is used once', () => {
  const share = drawNoise(6, 2, replayRandom('once'));
  addNoise(zeros(2), share);
  expect(() => addNoise(zeros(2), share)).toThrow('used once');
});

test('a share is overwritten when it is used', () => {
  const samples = Float64Array.of(7, -8);
  expect([...addNoise(zeros(2), shareOf(6, samples))]).toEqual([7, -8]);
  expect([...samples]).toEqual([0, 0]);
});

test('a share that is dropped is overwritten, and can no more be used', () => {
  const samples = Float64Array.of(7, -8);
  const share = shareOf(6, samples);
  expect(isUnused(share)).toBe(true);
  dropNoise(share);
  expect([...samples]).toEqual([0, 0]);
  expect(isUnused(share)).toBe(false);
  expect(() => addNoise(zeros(2), share)).toThrow('used or dropped before');
  dropNoise(share); // a second time changes nothing
});

test('a share that was not drawn is no share', () => {
  const forged: NoiseShare = { stdDev: 1e6, length: 2 };
  expect(() => addNoise(zeros(2), forged)).toThrow('never drawn');
});

test('a share of another length is refused and stays unused', () => {
  const share = drawNoise(6, 3, replayRandom('length'));
  expect(() => addNoise(zeros(2), share)).toThrow(RangeError);
  expect(() => addNoise(zeros(3), share)).not.toThrow();
});

test.each([5, 5.999, 0, -6, NaN, 6.5, 2 ** 32])('a share of σ = %d is refused', (stdDev) => {
  expect(() => drawNoise(stdDev, 1, replayRandom('bounds'))).toThrow(RangeError);
});

test.each([-1, 1.5, NaN, 2 ** 53])('a share of %d coordinates is refused', (length) => {
  expect(() => drawNoise(6, length, replayRandom('bounds'))).toThrow(RangeError);
});

test('a share shows neither its values nor a way to them', () => {
  const share = drawNoise(1000, 4, replayRandom('hidden'));
  expect(Object.keys(share)).toEqual(['stdDev', 'length']);
  expect(JSON.stringify(share)).toBe('{"stdDev":1000,"length":4}');
});
