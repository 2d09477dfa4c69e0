// Vectors modulo 2^32, 2^48 and 2^64. Lengths are rounded up to whole groups: what lies behind is scratch.

import { fit, mantissa } from './doubles';

/** The largest integer such that it and all smaller ones are doubles. */
const SAFE: f64 = 9007199254740991.0;
const TWO_32: f64 = 4294967296.0;

/**
 * Each of `count` values in `bytes` (4, 6 or 8), two at a time: reads one value past an odd count, which counts, and
 * writes up to 10 bytes past the last word.
 * @returns whether every one is an integer within ±SAFE
 */
export function encodeWords(values: usize, words: usize, count: i32, bytes: i32): bool {
  const limit = f64x2.splat(SAFE);
  let fits = i64x2.splat(-1);
  for (const end = values + (<usize>count << 3); values < end; values += 16, words += <usize>(2 * bytes)) {
    const value = v128.load(values);
    fits = v128.and(fits, fit(value, limit));
    // both halves in the low bits of a mantissa: the upper one is within 2^21 of zero, the lower below 2^32
    const upper = f64x2.floor(f64x2.mul(value, f64x2.splat(1.0 / TWO_32)));
    const lower = f64x2.sub(value, f64x2.mul(upper, f64x2.splat(TWO_32)));
    const both = v128.shuffle<u32>(mantissa(lower), mantissa(upper), 0, 4, 2, 6);
    if (bytes == 8) v128.store(words, both);
    else if (bytes == 6) {
      v128.store(words, i8x16.shuffle(both, both, 0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 0, 0, 0, 0));
    } else v128.store64_lane(words, v128.shuffle<u32>(both, both, 0, 2, 0, 2), 0);
  }
  return v128.all_true<i64>(fits);
}

/** Reads up to four bytes past the last word. */
export function decodeWords(words: usize, values: usize, count: i32, bytes: i32): void {
  const unused = <i64>(64 - 8 * bytes);
  for (let i = 0; i < count; i++) {
    store<f64>(values, <f64>((load<i64>(words) << unused) >> unused)); // with its sign
    words += bytes;
    values += 8;
  }
}

export function add32(sum: usize, term: usize, length: i32): void {
  for (const end = sum + length; sum < end; sum += 16, term += 16) {
    v128.store(sum, i32x4.add(v128.load(sum), v128.load(term)));
  }
}

export function subtract32(sum: usize, term: usize, length: i32): void {
  for (const end = sum + length; sum < end; sum += 16, term += 16) {
    v128.store(sum, i32x4.sub(v128.load(sum), v128.load(term)));
  }
}

export function add64(sum: usize, term: usize, length: i32): void {
  for (const end = sum + length; sum < end; sum += 16, term += 16) {
    v128.store(sum, i64x2.add(v128.load(sum), v128.load(term)));
  }
}

export function subtract64(sum: usize, term: usize, length: i32): void {
  for (const end = sum + length; sum < end; sum += 16, term += 16) {
    v128.store(sum, i64x2.sub(v128.load(sum), v128.load(term)));
  }
}

/*
 * Words of 6 bytes, eight to a group of 48: two at a time they are put into the upper 48 bits of 64-bit lanes, where
 * carries fall off the top as they should, and the four results are put together again.
 */
export function add48(sum: usize, term: usize, length: i32): void {
  for (const end = sum + length; sum < end; sum += 48, term += 48) {
    store48(
      sum,
      i64x2.add(spread(v128.load(sum)), spread(v128.load(term))),
      i64x2.add(spread(v128.load(sum, 12)), spread(v128.load(term, 12))),
      i64x2.add(spread(v128.load(sum, 24)), spread(v128.load(term, 24))),
      i64x2.add(spreadLast(v128.load(sum, 32)), spreadLast(v128.load(term, 32))),
    );
  }
}

export function subtract48(sum: usize, term: usize, length: i32): void {
  for (const end = sum + length; sum < end; sum += 48, term += 48) {
    store48(
      sum,
      i64x2.sub(spread(v128.load(sum)), spread(v128.load(term))),
      i64x2.sub(spread(v128.load(sum, 12)), spread(v128.load(term, 12))),
      i64x2.sub(spread(v128.load(sum, 24)), spread(v128.load(term, 24))),
      i64x2.sub(spreadLast(v128.load(sum, 32)), spreadLast(v128.load(term, 32))),
    );
  }
}

/** The two words in the first 12 bytes. */
@inline
function spread(bytes: v128): v128 {
  return i8x16.shuffle(bytes, i64x2.splat(0), 16, 16, 0, 1, 2, 3, 4, 5, 16, 16, 6, 7, 8, 9, 10, 11);
}

/** The two words in the last 12 bytes. */
@inline
function spreadLast(bytes: v128): v128 {
  return i8x16.shuffle(bytes, i64x2.splat(0), 16, 16, 4, 5, 6, 7, 8, 9, 16, 16, 10, 11, 12, 13, 14, 15);
}

@inline
function store48(at: usize, a: v128, b: v128, c: v128, d: v128): void {
  v128.store(at, i8x16.shuffle(a, b, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 18, 19, 20, 21));
  v128.store(at, i8x16.shuffle(b, c, 6, 7, 10, 11, 12, 13, 14, 15, 18, 19, 20, 21, 22, 23, 26, 27), 16);
  v128.store(at, i8x16.shuffle(c, d, 12, 13, 14, 15, 18, 19, 20, 21, 22, 23, 26, 27, 28, 29, 30, 31), 32);
}
