import { checkErrors, checkLimbs, outsideLane } from '../checks.ts';
import type { LatticeKernels } from '../kernels.ts';
import { type LatticeLaneBits, largestInLane } from '../lanes.ts';
import { checkPolynomials, DEGREE, LIMB_BITS, LIMBS, MASK_RING, POLYNOMIAL_WORDS } from '../rings.ts';
import { GARNER, limbWeights } from '../tables.ts';
import { lifted, product } from './narrow-ring.ts';

const LIMB = 2 ** LIMB_BITS;
const PRIMES = MASK_RING.primes.map(({ value }) => Number(value));
const WEIGHTS = MASK_RING.primes.map(limbWeights);

export const lattice: LatticeKernels = {
  encode(values, bits, errors) {
    checkLimbs(values.length, bits);
    checkErrors(errors);
    const limbs = limbsOf(values, bits);
    const out = new Uint32Array(POLYNOMIAL_WORDS);
    for (let prime = 0; prime < PRIMES.length; prime++) residuesOf(limbs, errors, prime, out);
    limbs.fill(0);
    return out;
  },
  decode(coefficients, bits, values) {
    checkPolynomials(coefficients);
    checkLimbs(values.length, bits);
    const limbs = new Float64Array(LIMBS * DEGREE);
    for (let i = 0; i < DEGREE; i++) opened(coefficients, i, bits, limbs);
    for (let i = 0; i < values.length; i++) {
      values[i] = bits === LIMB_BITS ? limbs[i]! : limbs[2 * i]! + limbs[2 * i + 1]! * LIMB;
    }
    limbs.fill(0);
  },
  centredBinomial(source, into) {
    const bytes = new Uint8Array(SAMPLE_BYTES * into.length);
    source.fill(bytes);
    const view = new DataView(bytes.buffer);
    const ones42 = (at: number): number => ones(view.getUint32(at, true)) + ones(view.getUint32(at + 4, true) & 0x3ff);
    for (let i = 0; i < into.length; i++) into[i] = ones42(SAMPLE_BYTES * i) - ones42(SAMPLE_BYTES * i + 8);
    bytes.fill(0);
  },
};

/** Two 64-bit words a sample, of each the low 42 bits. */
const SAMPLE_BYTES = 16;

/** Limb l of coefficient i at 4i + l: a value in 46 bits takes two, the low one of which is not negative. */
function limbsOf(values: Float64Array, bits: LatticeLaneBits): Float64Array {
  const limbs = new Float64Array(LIMBS * DEGREE);
  const most = largestInLane(bits);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value !== Math.floor(value) || Math.abs(value) > most) outsideLane(bits); // NaN is not equal to itself
    if (bits === LIMB_BITS) limbs[i] = value;
    else {
      const high = Math.floor(value / LIMB);
      limbs[2 * i] = value - high * LIMB;
      limbs[2 * i + 1] = high;
    }
  }
  return limbs;
}

/**
 * Exact in doubles: three products of 23 and 27 bits, one of 8 and 27, and a limb stay within 2^52. So does the
 * quotient's floor: it is within 2^26, where doubles are at most 2^−27 apart and rounding is monotone, so what is less
 * than an integer by 1/q or more, q < 2^27, is not rounded up to it.
 */
function residuesOf(limbs: Float64Array, errors: Int8Array, prime: number, out: Uint32Array): void {
  const q = PRIMES[prime]!;
  const [, b1, b2, b3, t] = WEIGHTS[prime] as [number, number, number, number, number];
  for (let i = 0; i < DEGREE; i++) {
    const at = LIMBS * i;
    const sum = limbs[at]! + limbs[at + 1]! * b1 + limbs[at + 2]! * b2 + limbs[at + 3]! * b3 + errors[i]! * t;
    out[prime * DEGREE + i] = sum - Math.floor(sum / q) * q;
  }
}

/**
 * Garner's algorithm (Knuth, TAOCP 2, §4.3.2) for the coefficient between ±q/2, then that modulo t = 2^92 in limbs. The
 * upper limb of a lane is balanced, in [−2^22, 2^22), and so is its only one; the lower of two is in [0, 2^23).
 */
function opened(residues: Uint32Array, i: number, bits: LatticeLaneBits, limbs: Float64Array): void {
  const digits = [0, 0, 0, 0];
  for (let k = 0; k < LIMBS; k++) {
    const q = PRIMES[k]!;
    let digit = residues[k * DEGREE + i]!;
    for (let j = 0; j < k; j++) digit = product(lifted(digit - (digits[j]! % q), q), GARNER.inverses[k]![j]!, q);
    digits[k] = digit;
  }
  digits[3]! -= PRIMES[3]! * Number(digits[3]! > PRIMES[3]! / 2);
  let carry = 0;
  for (let l = 0; l < LIMBS; l++) {
    let sum = carry;
    for (let k = 0; k < LIMBS; k++) sum += digits[k]! * GARNER.limbs[k]![l]!; // within 2^51
    carry = Math.floor(sum / LIMB + (bits === LIMB_BITS || l % 2 === 1 ? 0.5 : 0));
    limbs[LIMBS * i + l] = sum - carry * LIMB;
  }
}

/** Ones of 32 bits (Warren, Hacker's Delight, §5-1). */
function ones(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
