import type { RandomSource } from '../../privacy/random.ts';
import { DEGREE, type Ring } from '../kernels/rings.ts';
import type { Profile } from './parameters.ts';
import { type Polynomial, zero } from './polynomial.ts';

/**
 * The flooding noise E of one opening share: 4096 coefficients, each the sum of three numbers uniform below
 * w = 2^49, moved to within ±3·2^48. σ² = 3·(w² − 1)/12, so σ = 2^48. (In the smaller ring w = 2^47, σ = 2^46.)
 *
 * What it hides: E and E + s, for any integer s, have a squared Hellinger distance of at most s²·J/2, where
 * J = Σ (√p(x) − √p(x−1))² over the probabilities p of E: the distance is half of ‖√p − √p(·−s)‖², and s steps of
 * one are no longer than s times one step. J is a quarter of the Fisher information of a quadratic B-spline,
 * 1.1405/w², but for a term in 1/w³: in all at most 0.143·s²/σ², where a Gaussian of this σ has 0.125. (One number
 * alone would have a J of 1/w, two one of ln(w)/w².)
 *
 * What it cannot do: |E| ≤ 3·2^48, so 64 openers reach 2^55.6 < q/2t = 2^56 (2^53.6 < 2^54): no opening fails to decode for its noise.
 *
 * Every draw is taken, so how long drawing takes tells nothing of it. (Its residues are corrected in a branch, below.)
 *
 * @returns coefficients, not NTT values
 */
export function flooding(random: RandomSource, { floodingBits, ring }: Profile): Polynomial {
  const unused = 63 - floodingBits; // of two words a number, one bit wider than σ
  const centre = 3 * 2 ** floodingBits;
  const words = new Uint32Array(WORDS_EACH * BLOCK);
  const sums = new Float64Array(DEGREE);
  for (let from = 0; from < DEGREE; from += BLOCK) {
    random.fill(words);
    for (let i = 0, at = 0; i < BLOCK; i++, at += WORDS_EACH) {
      const low = words[at]! + words[at + 1]! + words[at + 2]!;
      const high = (words[at + 3]! >>> unused) + (words[at + 4]! >>> unused) + (words[at + 5]! >>> unused);
      sums[from + i] = high * 2 ** 32 + low - centre;
    }
  }
  const polynomial = fromIntegers(sums, ring);
  words.fill(0);
  sums.fill(0);
  return polynomial;
}

/** Three numbers of 49 (47) bits: 32 low ones each, and 17 (15) high ones. */
const WORDS_EACH = 6;
/** Coefficients drawn at a time; their words stay in the cache. */
const BLOCK = 512;

/** Residues of 4096 integers below 2^52 in magnitude. Exact in doubles throughout. */
export function fromIntegers(integers: Float64Array, { primes }: Ring): Polynomial {
  const out = zero();
  for (const [prime, { value: q }] of primes.entries()) {
    if (q < 2n ** 52n) reduceSmall(integers, Number(q), out, 2 * prime * DEGREE);
    else reduceLarge(integers, q, out, 2 * prime * DEGREE);
  }
  return out;
}

function reduceSmall(integers: Float64Array, q: number, out: Polynomial, at: number): void {
  const inverse = 1 / q;
  for (let i = 0; i < DEGREE; i++) {
    // |quotient·q| ≤ 2^52 + 2·q < 2^53 is exact; the quotient is off by one at most
    let value = integers[i]! - Math.floor(integers[i]! * inverse) * q;
    if (value < 0) value += q;
    else if (value >= q) value -= q;
    const high = Math.floor(value * 2 ** -32);
    out[at + 2 * i] = value - high * 0x100000000;
    out[at + 2 * i + 1] = high;
  }
}

/** q above every |integer|: a negative one is q plus it, in two words. */
function reduceLarge(integers: Float64Array, q: bigint, out: Polynomial, at: number): void {
  const qLow = Number(q & 0xffffffffn);
  const qHigh = Number(q >> 32n);
  for (let i = 0; i < DEGREE; i++) {
    let high = Math.floor(integers[i]! * 2 ** -32);
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
