// Plaintexts of the lattice mask: coefficients of four limbs of 23 bits, modulo four primes. Limbs are doubles with a
// sign: what lies in a lane of 23 bits is one, what lies in 46 bits is two, low first.

import { fit, mantissa } from './doubles';
import { less, times } from './narrow-products';

const DEGREE: i32 = 4096;
const LIMB: f64 = 8388608.0;

/** @returns whether every value is an integer within ±most. Rounds `count` up to whole pairs. */
export function inLanes(values: usize, count: i32, most: f64): bool {
  const limit = f64x2.splat(most);
  let fits = i64x2.splat(-1);
  for (const end = values + (<usize>count << 3); values < end; values += 16) {
    fits = v128.and(fits, fit(v128.load(values), limit));
  }
  return v128.all_true<i64>(fits);
}

/** Values in 46 bits to limbs, the low one in [0, 2^23). */
export function splitLanes(values: usize, limbs: usize, count: i32): void {
  for (const end = values + (<usize>count << 3); values < end; values += 16, limbs += 32) {
    const value = v128.load(values);
    const high = f64x2.floor(f64x2.mul(value, f64x2.splat(1.0 / LIMB)));
    const low = f64x2.sub(value, f64x2.mul(high, f64x2.splat(LIMB)));
    v128.store(limbs, v128.shuffle<u64>(low, high, 0, 2));
    v128.store(limbs, v128.shuffle<u64>(low, high, 1, 3), 16);
  }
}

/** The reverse, where they are. */
export function joinLanes(limbs: usize, count: i32): void {
  let values = limbs;
  for (const end = values + (<usize>count << 3); values < end; values += 16, limbs += 32) {
    const a = v128.load(limbs);
    const b = v128.load(limbs, 16);
    const high = f64x2.mul(v128.shuffle<u64>(a, b, 1, 3), f64x2.splat(LIMB));
    v128.store(values, f64x2.add(v128.shuffle<u64>(a, b, 0, 2), high));
  }
}

/**
 * Limbs and errors to residues modulo q; b1, b2, b3 and t are 2^23, 2^46, 2^69 and 2^92 modulo q. Sums and products
 * are exact (typescript/lattice.ts says why). The quotient may be the wrong neighbour of a half, so what is left is
 * within q/2 and a little more of zero.
 */
export function residuesOf(
  limbs: usize, errors: usize, residues: usize, q: f64, b1: f64, b2: f64, b3: f64, t: f64,
): void {
  const low = f64x2.replace_lane(f64x2.splat(1.0), 1, b1);
  const high = f64x2.replace_lane(f64x2.splat(b2), 1, b3);
  const modulus = f64x2.splat(q);
  const inverse = f64x2.splat(1.0 / q);
  const above = f64x2.splat(t);
  const lift = i32x4.splat(<i32>q);
  for (const end = residues + 4 * DEGREE; residues < end; residues += 8, errors += 2, limbs += 64) {
    const a = f64x2.add(f64x2.mul(v128.load(limbs), low), f64x2.mul(v128.load(limbs, 16), high));
    const b = f64x2.add(f64x2.mul(v128.load(limbs, 32), low), f64x2.mul(v128.load(limbs, 48), high));
    const two = i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load16_splat(errors)));
    const sum = f64x2.add(
      f64x2.add(v128.shuffle<u64>(a, b, 0, 2), v128.shuffle<u64>(a, b, 1, 3)),
      f64x2.mul(f64x2.convert_low_i32x4_s(two), above),
    );
    const quotient = f64x2.nearest(f64x2.mul(sum, inverse));
    const rest = mantissa(f64x2.sub(sum, f64x2.mul(quotient, modulus)));
    const bits = v128.shuffle<u32>(rest, rest, 0, 2, 0, 2);
    v128.store64_lane(residues, i32x4.add(bits, v128.and(i32x4.shr_s(bits, 31), lift)), 0);
  }
}

/**
 * Garner's algorithm, four coefficients at once, and the limbs of each modulo 2^92.
 *
 * @param residues - modulo the four primes, one after the other
 * @param garner - words of 32 bits: the primes; then for k = 1, 2, 3 and j < k the inverse of prime j modulo prime k and
 *   its companion
 * @param weights - doubles: the limbs, four each, of q₀, q₀q₁ and q₀q₁q₂
 * @param low - 0.5 if limbs 0 and 2 are lanes of their own and thus balanced, 0 if they are lower halves
 */
export function openLimbs(residues: usize, limbs: usize, garner: usize, weights: usize, low: f64): void {
  const q1 = v128.load32_splat(garner, 4);
  const q2 = v128.load32_splat(garner, 8);
  const q3 = v128.load32_splat(garner, 12);
  const middle = i32x4.shr_u(q3, 1);
  for (const end = residues + 4 * DEGREE; residues < end; residues += 16, limbs += 128) {
    const d0 = v128.load(residues);
    const d1 = over(v128.load(residues, 4 * DEGREE), d0, q1, garner + 16);
    const d2 = over(over(v128.load(residues, 8 * DEGREE), d0, q2, garner + 24), d1, q2, garner + 32);
    let d3 = v128.load(residues, 12 * DEGREE);
    d3 = over(over(over(d3, d0, q3, garner + 40), d1, q3, garner + 48), d2, q3, garner + 56);
    d3 = i32x4.sub(d3, v128.and(i32x4.gt_s(d3, middle), q3)); // a negative coefficient has a negative top digit
    storeLimbs(limbs, d0, d1, d2, d3, weights, low);
    storeLimbs(limbs + 64, last(d0), last(d1), last(d2), last(d3), weights, low);
  }
}

/** (digit − smaller) divided by the prime that `at` holds the inverse of; 4q is above every smaller digit. */
@inline
function over(digit: v128, smaller: v128, q: v128, at: usize): v128 {
  const x = i32x4.sub(i32x4.add(digit, i32x4.shl(q, 2)), smaller);
  return less(times(x, v128.load32_splat(at), v128.load32_splat(at, 4), q), q);
}

/** The last two of four. */
@inline
function last(digits: v128): v128 {
  return v128.shuffle<u32>(digits, digits, 2, 3, 2, 3);
}

/** The limbs of two coefficients, given by their digits in lanes 0 and 1. */
@inline
function storeLimbs(limbs: usize, d0: v128, d1: v128, d2: v128, d3: v128, weights: usize, low: f64): void {
  const x1 = f64x2.convert_low_i32x4_s(d1);
  const x2 = f64x2.convert_low_i32x4_s(d2);
  const x3 = f64x2.convert_low_i32x4_s(d3);
  const half = f64x2.splat(low);
  const sum0 = plus(plus(plus(f64x2.convert_low_i32x4_s(d0), x1, weights), x2, weights + 32), x3, weights + 64);
  const carry0 = carried(sum0, half);
  const sum1 = plus(plus(plus(carry0, x1, weights + 8), x2, weights + 40), x3, weights + 72);
  const carry1 = carried(sum1, f64x2.splat(0.5));
  const sum2 = plus(plus(carry1, x2, weights + 48), x3, weights + 80);
  const carry2 = carried(sum2, half);
  const sum3 = plus(carry2, x3, weights + 88);
  const carry3 = carried(sum3, f64x2.splat(0.5));
  const l0 = limb(sum0, carry0);
  const l1 = limb(sum1, carry1);
  const l2 = limb(sum2, carry2);
  const l3 = limb(sum3, carry3);
  v128.store(limbs, v128.shuffle<u64>(l0, l1, 0, 2));
  v128.store(limbs, v128.shuffle<u64>(l2, l3, 0, 2), 16);
  v128.store(limbs, v128.shuffle<u64>(l0, l1, 1, 3), 32);
  v128.store(limbs, v128.shuffle<u64>(l2, l3, 1, 3), 48);
}

@inline
function plus(sum: v128, digit: v128, weight: usize): v128 {
  return f64x2.add(sum, f64x2.mul(digit, v128.load64_splat(weight)));
}

/** What goes to the next limb: with a half the limb that stays is balanced. */
@inline
function carried(sum: v128, half: v128): v128 {
  return f64x2.floor(f64x2.add(f64x2.mul(sum, f64x2.splat(1.0 / LIMB)), half));
}

@inline
function limb(sum: v128, carry: v128): v128 {
  return f64x2.sub(sum, f64x2.mul(carry, f64x2.splat(LIMB)));
}

/** 16 bytes a sample: the ones among 42 bits less the ones among 42 others. */
export function centredBinomial(bytes: usize, samples: usize, count: i32): void {
  const mask: u64 = 0x3ffffffffff;
  for (let i = 0; i < count; i++, bytes += 16, samples++) {
    const plus = popcnt<u64>(load<u64>(bytes) & mask);
    const minus = popcnt<u64>(load<u64>(bytes, 8) & mask);
    store<i8>(samples, <i8>(<i64>plus - <i64>minus));
  }
}
