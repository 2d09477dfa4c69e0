// What callers hand over: two doubles to a register.

/** All ones where a value is an integer within ±limit; NaN is not equal to itself. */
@inline
export function fit(value: v128, limit: v128): v128 {
  return v128.and(f64x2.eq(value, f64x2.floor(value)), f64x2.le(f64x2.abs(value), limit));
}
