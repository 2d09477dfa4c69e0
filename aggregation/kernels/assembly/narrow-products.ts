// Products of 32-bit residues, four to a register.

/** x less q if that is not negative: below zero it wraps to above. Of x < 2q it leaves x modulo q. */
@inline
export function less(x: v128, q: v128): v128 {
  return i32x4.min_u(x, i32x4.sub(x, q));
}

/** The upper halves of four products of 32 bits. */
@inline
export function upper(a: v128, b: v128): v128 {
  return v128.shuffle<u32>(i64x2.extmul_low_i32x4_u(a, b), i64x2.extmul_high_i32x4_u(a, b), 1, 3, 5, 7);
}

/** x·w modulo q, in [0, 2q), for any x; its = ⌊w·2^32 / q⌋ (Harvey 2014, arXiv:1205.2926, algorithm 2). */
@inline
export function times(x: v128, w: v128, its: v128, q: v128): v128 {
  return i32x4.sub(i32x4.mul(x, w), i32x4.mul(upper(x, its), q));
}
