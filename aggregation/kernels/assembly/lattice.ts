// Plaintexts of the lattice mask: coefficients of four limbs of 23 bits, modulo four primes.

const DEGREE: i32 = 4096;
const LIMB: f64 = 8388608.0;

/** Values in 23 bits, a limb each. @returns whether every value is an integer */
export function encodeLimbs(values: usize, limbs: usize, count: i32, offset: f64): bool {
  let whole = true;
  for (let i = 0; i < count; i++, values += 8, limbs += 4) {
    const value = load<f64>(values);
    whole = whole && value == floor<f64>(value);
    store<u32>(limbs, <u32>lane(value, offset));
  }
  return whole;
}

/** Values in 46 bits, two limbs each, low first. */
export function encodeLimbPairs(values: usize, limbs: usize, count: i32, offset: f64): bool {
  let whole = true;
  for (let i = 0; i < count; i++, values += 8, limbs += 8) {
    const value = load<f64>(values);
    whole = whole && value == floor<f64>(value);
    const bits = <u64>lane(value, offset);
    store<u32>(limbs, <u32>(bits & 0x7fffff));
    store<u32>(limbs, <u32>(bits >> 23), 4);
  }
  return whole;
}

@inline
function lane(value: f64, offset: f64): f64 {
  return min<f64>(max<f64>(value, -offset), offset) + offset;
}

export function decodeLimbs(limbs: usize, values: usize, count: i32, offset: f64): void {
  for (let i = 0; i < count; i++, limbs += 4, values += 8) store<f64>(values, <f64>load<u32>(limbs) - offset);
}

export function decodeLimbPairs(limbs: usize, values: usize, count: i32, offset: f64): void {
  for (let i = 0; i < count; i++, limbs += 8, values += 8) {
    store<f64>(values, <f64>load<u32>(limbs) + <f64>load<u32>(limbs, 4) * LIMB - offset);
  }
}

/** Limbs and errors to residues modulo q; b1, b2, b3 and t are 2^23, 2^46, 2^69 and 2^92 modulo q. */
export function residuesOf(
  limbs: usize, errors: usize, residues: usize, q: i64, b1: i64, b2: i64, b3: i64, t: i64,
): void {
  for (let i = 0; i < DEGREE; i++, limbs += 16, errors++, residues += 4) {
    const sum =
      <i64>load<u32>(limbs) + <i64>load<u32>(limbs, 4) * b1 + <i64>load<u32>(limbs, 8) * b2 +
      <i64>load<u32>(limbs, 12) * b3 + <i64>load<i8>(errors) * t; // below 2^52: exact as a double
    const quotient = <i64>floor<f64>(<f64>sum / <f64>q); // exact too: typescript/lattice.ts says why
    store<u32>(residues, <u32>(sum - quotient * q));
  }
}

/**
 * Garner's algorithm, and the value modulo 2^92 in limbs.
 *
 * @param residues - modulo the four primes, one after the other
 * @param constants - 64-bit words: the primes; for k = 1, 2, 3 and j < k the inverse of prime j modulo prime k and its
 *   companion; then limbs, four for each of 1, q₀, q₀q₁, q₀q₁q₂ and −q
 */
export function openLimbs(residues: usize, limbs: usize, constants: usize): void {
  const q0 = load<u64>(constants);
  const q1 = load<u64>(constants, 8);
  const q2 = load<u64>(constants, 16);
  const q3 = load<u64>(constants, 24);
  for (const end = residues + 4 * DEGREE; residues < end; residues += 4, limbs += 16) {
    const d0 = <u64>load<u32>(residues);
    let d1 = <u64>load<u32>(residues, 4 * DEGREE);
    let d2 = <u64>load<u32>(residues, 8 * DEGREE);
    let d3 = <u64>load<u32>(residues, 12 * DEGREE);
    d1 = over(d1, d0, q1, constants + 32);
    d2 = over(over(d2, d0, q2, constants + 48), d1, q2, constants + 64);
    d3 = over(over(over(d3, d0, q3, constants + 80), d1, q3, constants + 96), d2, q3, constants + 112);
    const negative: u64 = d3 > (q3 >> 1) ? 1 : 0;
    let carry: u64 = 0;
    for (let l: usize = 0; l < 4; l++) {
      const at = constants + 128 + 8 * l;
      const sum =
        carry + d0 * load<u64>(at) + d1 * load<u64>(at, 32) + d2 * load<u64>(at, 64) + d3 * load<u64>(at, 96) +
        negative * load<u64>(at, 128);
      store<u32>(limbs + 4 * l, <u32>(sum & 0x7fffff));
      carry = sum >> 23;
    }
  }
}

/** (digit − smaller) divided by the prime that `at` holds the inverse of; 4q is above every smaller digit. */
@inline
function over(digit: u64, smaller: u64, q: u64, at: usize): u64 {
  const x = digit + 4 * q - smaller;
  const rest = x * load<u64>(at) - ((x * load<u64>(at, 8)) >> 32) * q;
  return rest >= q ? rest - q : rest;
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
