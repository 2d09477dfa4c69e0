// What callers hand over: two doubles to a register.

/** All ones where a value is an integer within ±limit; NaN is not equal to itself. */
@inline
export function fit(value: v128, limit: v128): v128 {
  return v128.and(f64x2.eq(value, f64x2.floor(value)), f64x2.le(f64x2.abs(value), limit));
}

/** An integer in [−2^51, 2^51) in two's complement, in the low 52 bits: what 1.5·2^52 more has as its mantissa. */
@inline
export function mantissa(integer: v128): v128 {
  return f64x2.add(integer, f64x2.splat(6755399441055744.0));
}
