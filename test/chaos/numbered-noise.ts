import { type NoiseShare, shareOf } from '../../privacy/noise.ts';
import type { NoiseSupply } from '../../privacy/noise-supply.ts';

/*
 * Noise that says which draw it was. Only the first coordinate carries it, and each tenant has digits of its own: of an opened
 * sum, less what the customers add, remains whose draws are in it. Called secure, or a client would refuse it.
 */
const BASE = 64;

/** Draws of one tenant over all its lives. @param tenant - its place in the roster, from 0 */
export function numberedNoise(tenant: number): { supply(): NoiseSupply } {
  let draws = 0;
  return {
    supply: () => ({
      kind: 'secure',
      async draw(stdDev, length) {
        if (++draws >= BASE) throw new Error('more draws than there are numbers for');
        const values = new Float64Array(length);
        values[0] = draws * BASE ** tenant;
        return shareOf(stdDev, values);
      },
      async close() {},
    }),
  };
}

export const noNoise = (stdDev: number, length: number): NoiseShare => shareOf(stdDev, new Float64Array(length));

/** Which draw of each tenant is in a sum; 0 where none is. @param rest - what is left of the first coordinate */
export function drawsIn(rest: number, tenants: number): number[] {
  const draws = Array.from({ length: tenants }, (_, i) => Math.floor(rest / BASE ** i) % BASE);
  const again = draws.reduce((sum, draw, i) => sum + draw * BASE ** i, 0);
  if (again !== rest) throw new RangeError(`${rest} is no sum of draws`);
  return draws;
}
