// Vectors of doubles modulo t < 2^48. Two values in a slot: the second counts `upper`, a power of two.

import { fit } from './doubles';

/** The bits of 2^52: with an integer below 2^52 in the mantissa they are a double, 2^52 more than that integer. */
const TWO_52: i64 = 0x4330000000000000;

/**
 * Adds (or subtracts) `count` words of 48 bits, cut to those of `cut`, to as many slots, passing over words not below t.
 * @returns how many were below, that is, how many slots have theirs
 */
export function maskSlots(slots: usize, words: usize, count: i32, adds: bool, t: f64, cut: u64): i32 {
  const first = slots;
  const sign: f64 = adds ? 1.0 : -1.0;
  const base: f64 = adds ? 0.0 : t; // t − drawn
  const modulus = f64x2.splat(t);
  const kept = i64x2.splat(cut | 0xffff000000000000);
  const two52 = i64x2.splat(TWO_52);
  const end = words + <usize>(6 * (count & ~1));
  for (; words < end; words += 12) {
    const bits = i8x16.shuffle(
      v128.load(words), two52, 0, 1, 2, 3, 4, 5, 22, 23, 6, 7, 8, 9, 10, 11, 30, 31,
    );
    const drawn = f64x2.sub(v128.and(bits, kept), two52);
    if (i64x2.bitmask(f64x2.lt(drawn, modulus)) == 3) {
      const value = f64x2.add(
        v128.load(slots),
        f64x2.add(f64x2.splat(base), f64x2.mul(drawn, f64x2.splat(sign))),
      );
      v128.store(slots, f64x2.sub(value, v128.and(f64x2.ge(value, modulus), modulus)));
      slots += 16;
    } else {
      slots = maskSlot(slots, f64x2.extract_lane(drawn, 0), base, sign, t);
      slots = maskSlot(slots, f64x2.extract_lane(drawn, 1), base, sign, t);
    }
  }
  if (count & 1) {
    slots = maskSlot(slots, <f64>(load<u64>(words) & cut), base, sign, t);
  }
  return <i32>((slots - first) >> 3);
}

@inline
function maskSlot(slot: usize, drawn: f64, base: f64, sign: f64, t: f64): usize {
  if (drawn >= t) return slot;
  const value = load<f64>(slot) + (base + sign * drawn);
  store<f64>(slot, value >= t ? value - t : value);
  return slot + 8;
}

/** Values to lanes of one slot each. @returns whether every value is an integer within ±most */
export function encodeSingle(values: usize, slots: usize, count: i32, most: f64, t: f64): bool {
  const limit = f64x2.splat(most);
  let fits = i64x2.splat(-1);
  for (let i = 0; i < count; i += 2, values += 16, slots += 16) {
    const value = v128.load(values);
    fits = v128.and(fits, fit(value, limit));
    v128.store(slots, reduced(value, t));
  }
  return v128.all_true<i64>(fits);
}

/** Two values a slot, the first one low. @param count - slots */
export function encodeDouble(values: usize, slots: usize, count: i32, most: f64, t: f64, upper: f64): bool {
  const limit = f64x2.splat(most);
  let fits = i64x2.splat(-1);
  for (let i = 0; i < count; i += 2, values += 32, slots += 16) {
    const a = v128.load(values);
    const b = v128.load(values, 16);
    fits = v128.and(fits, v128.and(fit(a, limit), fit(b, limit)));
    const low = v128.shuffle<u64>(a, b, 0, 2);
    const high = v128.shuffle<u64>(a, b, 1, 3);
    v128.store(slots, reduced(f64x2.add(low, f64x2.mul(high, f64x2.splat(upper))), t));
  }
  return v128.all_true<i64>(fits);
}

export function decodeSingle(slots: usize, values: usize, count: i32, t: f64): void {
  for (let i = 0; i < count; i += 2, slots += 16, values += 16) v128.store(values, centred(v128.load(slots), t));
}

/** @param count - slots */
export function decodeDouble(slots: usize, values: usize, count: i32, t: f64, upper: f64): void {
  for (let i = 0; i < count; i += 2, slots += 16, values += 32) {
    const slot = centred(v128.load(slots), t);
    const high = f64x2.floor(f64x2.add(f64x2.mul(slot, f64x2.splat(1.0 / upper)), f64x2.splat(0.5)));
    const low = f64x2.sub(slot, f64x2.mul(high, f64x2.splat(upper)));
    v128.store(values, v128.shuffle<u64>(low, high, 0, 2));
    v128.store(values, v128.shuffle<u64>(low, high, 1, 3), 16);
  }
}

/** From ±(t − 1)/2 to [0, t). */
@inline
function reduced(value: v128, t: f64): v128 {
  return f64x2.add(value, v128.and(f64x2.lt(value, f64x2.splat(0.0)), f64x2.splat(t)));
}

/** And back. */
@inline
function centred(slot: v128, t: f64): v128 {
  return f64x2.sub(slot, v128.and(f64x2.gt(slot, f64x2.splat((t - 1.0) / 2.0)), f64x2.splat(t)));
}
