import { discreteGaussian } from '../../privacy/discrete-gaussian.ts';
import type { RandomSource } from '../../privacy/random.ts';
import { DEGREE, HE_RING } from '../kernels/rings.ts';
import { type Polynomial, zero } from './polynomial.ts';

/**
 * The flooding noise E of one opening share, 4096 coefficients of D_Z(0, σ²) with σ² = 2^96 + 2^44.
 *
 * Built as 2^18·x + y, x from D(2^30) and y from D(2^22): by the convolution lemma (Peikert 2010,
 * ePrint 2010/088, Theorem 3.1; Micciancio–Walter 2017, ePrint 2017/259, Lemma 2.3) that is D(σ) up to a factor
 * 1 ± ε once y alone covers the gaps of 2^18·Z, that is, once 2^22 ≥ 2^18·(smoothing parameter); here 16 widths
 * of a gap, ε < 2^−7000.
 *
 * @returns coefficients, not NTT values
 */
export function flooding(random: RandomSource): Polynomial {
  const coarse = new Float64Array(DEGREE);
  const fine = new Float64Array(DEGREE);
  discreteGaussian(2 ** 30, coarse, random);
  discreteGaussian(2 ** 22, fine, random);
  for (let i = 0; i < DEGREE; i++) fine[i] = coarse[i]! * 2 ** 18 + fine[i]!;
  const polynomial = fromIntegers(fine);
  coarse.fill(0);
  fine.fill(0);
  return polynomial;
}

/** Residues of integers below 2^53 in magnitude; 2^53 is 32 σ of the noise above. Exact in doubles throughout. */
export function fromIntegers(integers: Float64Array): Polynomial {
  const out = zero();
  for (const [prime, { value: q }] of HE_RING.primes.entries()) {
    if (q < 2n ** 53n) reduceSmall(integers, Number(q), out, 2 * prime * DEGREE);
    else reduceLarge(integers, q, out, 2 * prime * DEGREE);
  }
  return out;
}

function reduceSmall(integers: Float64Array, q: number, out: Polynomial, at: number): void {
  for (let i = 0; i < integers.length; i++) {
    // towards zero, so that |quotient·q| ≤ 64·q < 2^53 is exact; the quotient is off by one at most
    let value = integers[i]! - Math.trunc(integers[i]! / q) * q;
    if (value < 0) value += q;
    else if (value >= q) value -= q;
    const high = Math.floor(value / 0x100000000);
    out[at + 2 * i] = value - high * 0x100000000;
    out[at + 2 * i + 1] = high;
  }
}

/** q above every |integer|: a negative one is q plus it, in two words. */
function reduceLarge(integers: Float64Array, q: bigint, out: Polynomial, at: number): void {
  const qLow = Number(q & 0xffffffffn);
  const qHigh = Number(q >> 32n);
  for (let i = 0; i < integers.length; i++) {
    let high = Math.floor(integers[i]! / 0x100000000);
    let low = integers[i]! - high * 0x100000000;
    if (high < 0) {
      low += qLow;
      high += qHigh;
      if (low > 0xffffffff) {
        low -= 0x100000000;
        high++;
      }
    }
    out[at + 2 * i] = low;
    out[at + 2 * i + 1] = high;
  }
}
