// Vectors modulo 2^32, 2^48 and 2^64. Lengths are rounded up to whole groups: what lies behind is scratch.

/** The largest integer such that it and all smaller ones are doubles. */
const SAFE: f64 = 9007199254740991.0;

/** @returns whether every one of `count` values is an integer within ±SAFE, each then written in `bytes` (4, 6 or 8) */
export function encodeWords(values: usize, words: usize, count: i32, bytes: i32): bool {
  let fits = true;
  for (let i = 0; i < count; i++) {
    const value = load<f64>(values);
    const word = <i64>value;
    fits = fits && <f64>word == value && abs<f64>(value) <= SAFE;
    store<u32>(words, <u32>word);
    if (bytes == 6) store<u16>(words, <u16>(word >> 32), 4);
    if (bytes == 8) store<u32>(words, <u32>(word >> 32), 4);
    values += 8;
    words += bytes;
  }
  return fits;
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
