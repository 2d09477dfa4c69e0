import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { addNoise, isUnused, type NoiseShare } from '../../privacy/noise.ts';
import type { NoiseSupply } from '../../privacy/noise-supply.ts';
import type { Quantized } from '../../privacy/steps.ts';
import { chiSquareZ, correlation, discreteGaussianPmf } from '../privacy/statistics.ts';

const LENGTH = 1 << 17;

/** A sum of zeros: noised, it shows the share. */
export const zeros = (length: number): Quantized => new Float64Array(length) as Quantized;
const valuesOf = (share: NoiseShare): Float64Array => addNoise(zeros(share.length), share);

/** What every noise supply keeps. Run it with each implementation. */
export function noiseSupplyContract(name: string, open: () => NoiseSupply): void {
  describe(`${name} as a noise supply`, () => {
    let supply: NoiseSupply;
    beforeEach(() => {
      supply = open();
    });
    afterEach(() => supply.close());

    test.each([6, 1000])(
      'gives discrete Gaussian noise of the standard deviation asked for, σ = %i',
      async (stdDev) => {
        const share = await supply.draw(stdDev, LENGTH);
        expect(share).toEqual({ stdDev, length: LENGTH });
        expect(chiSquareZ(valuesOf(share), discreteGaussianPmf(stdDev, 40 * stdDev))).toBeLessThan(6); // p > 1e-9
      },
    );

    test('holds the values back: they come through a sum, once', async () => {
      const share = await supply.draw(6, 3);
      expect(JSON.stringify(share)).toBe('{"stdDev":6,"length":3}');
      expect(Object.isFrozen(share)).toBe(true);
      addNoise(zeros(3), share);
      expect(() => addNoise(zeros(3), share)).toThrow('used once');
    });

    test('gives the same noise to nobody twice, one share after the other', async () => {
      const all: Float64Array[] = [];
      for (let i = 0; i < 4; i++) all.push(valuesOf(await supply.draw(50, LENGTH)));
      expectUnrelated(all);
    });

    test('gives the same noise to no two who ask at once', async () => {
      const shares = await Promise.all([1, 2, 3, 4].map(() => supply.draw(50, LENGTH)));
      expect(new Set(shares).size).toBe(4);
      expectUnrelated(shares.map(valuesOf));
    });

    test('gives everybody the shape they asked for, whoever else asks', async () => {
      const shapes = Array.from({ length: 60 }, (_, i) => ({ stdDev: 6 + (i % 7), length: (i * 5) % 11 }));
      const shares = await Promise.all(shapes.map(({ stdDev, length }) => supply.draw(stdDev, length)));
      expect(shares).toEqual(shapes);
      for (const share of shares) expect(valuesOf(share)).toHaveLength(share.length);
    });

    test.each([
      [5, 1],
      [6.5, 1],
      [NaN, 1],
      [2 ** 31 + 1, 1],
      [6, -1],
      [6, 1.5],
      [6, NaN],
      [6, 2 ** 53 - 1],
    ])('refuses σ = %d for %d coordinates, and goes on', async (stdDev, length) => {
      await expect(supply.draw(stdDev, length)).rejects.toThrow(RangeError);
      expect(await supply.draw(2 ** 31, 2)).toEqual({ stdDev: 2 ** 31, length: 2 });
    });

    test('fails every draw once it is closed', async () => {
      await supply.draw(6, 1);
      await supply.close();
      await expect(supply.draw(6, 1)).rejects.toThrow('the noise supply is closed');
      await expect(supply.draw(6, 1)).rejects.toThrow('the noise supply is closed');
      await supply.close(); // a second time changes nothing
    });

    test('lets nobody use a share after it is closed', async () => {
      const [used, unused] = [await supply.draw(6, 2), await supply.draw(6, 2)];
      addNoise(zeros(2), used);
      expect(isUnused(unused)).toBe(true);
      await supply.close();
      expect(isUnused(unused)).toBe(false);
      expect(() => addNoise(zeros(2), unused)).toThrow('dropped before');
    });
  });
}

function expectUnrelated(all: readonly Float64Array[]): void {
  for (let i = 0; i < all.length; i++)
    for (let j = 0; j < i; j++) expect(Math.abs(correlation(all[i]!, all[j]!)) * Math.sqrt(LENGTH)).toBeLessThan(6); // p > 2e-9
}
