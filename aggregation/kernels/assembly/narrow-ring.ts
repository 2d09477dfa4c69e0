// Residues of 32 bits modulo primes below 2^27, four to a register; 4096 of them, or whole registers.

import { less, times, upper } from './narrow-products';

const DEGREE: i32 = 4096;

/** Keeps the low bits of every residue. @returns the first from `from` on that is not below q, or 4096 */
export function cutNarrow(residues: usize, from: i32, mask: u32, q: u32): i32 {
  for (let i = from; i < DEGREE; i++) {
    const at = residues + (<usize>i << 2);
    const value = load<u32>(at) & mask;
    store<u32>(at, value);
    if (value >= q) return i;
  }
  return DEGREE;
}

export function addNarrow(sum: usize, term: usize, q: u32): void {
  const modulus = i32x4.splat(q);
  for (const end = sum + 4 * DEGREE; sum < end; sum += 16, term += 16) {
    v128.store(sum, less(i32x4.add(v128.load(sum), v128.load(term)), modulus));
  }
}

export function subtractNarrow(sum: usize, term: usize, q: u32): void {
  const modulus = i32x4.splat(q);
  for (const end = sum + 4 * DEGREE; sum < end; sum += 16, term += 16) {
    const difference = i32x4.sub(v128.load(sum), v128.load(term));
    v128.store(sum, i32x4.min_u(difference, i32x4.add(difference, modulus)));
  }
}

/**
 * Cooley and Tukey's butterflies, unreduced: u + wv and u − wv + 2q add 2q to the bound in each of 12 stages, and 25q
 * is below 2^32. The last two stages pair neighbours within registers.
 */
export function toNttNarrow(a: usize, powers: usize, companions: usize, q: u32): void {
  const modulus = i32x4.splat(q);
  const twice = i32x4.splat(2 * q);
  for (let m = 1, t = DEGREE / 2; t >= 4; m <<= 1, t >>= 1) {
    const apart = <usize>t << 2;
    let at = a;
    for (let i = m; i < 2 * m; i++, at += apart) {
      const w = v128.load32_splat(powers + (<usize>i << 2));
      const its = v128.load32_splat(companions + (<usize>i << 2));
      for (const end = at + apart; at < end; at += 16) {
        const u = v128.load(at);
        const v = times(v128.load(at + apart), w, its, modulus);
        v128.store(at, i32x4.add(u, v));
        v128.store(at + apart, i32x4.add(u, i32x4.sub(twice, v)));
      }
    }
  }
  // t = 2 and t = 1 on eight residues at once
  const end = a + 4 * DEGREE;
  let w2 = powers + 4 * (DEGREE / 4);
  let its2 = companions + 4 * (DEGREE / 4);
  let w1 = powers + 4 * (DEGREE / 2);
  let its1 = companions + 4 * (DEGREE / 2);
  for (; a < end; a += 32, w2 += 8, its2 += 8, w1 += 16, its1 += 16) {
    const x = v128.load(a);
    const y = v128.load(a, 16);
    const u2 = v128.shuffle<u64>(x, y, 0, 2);
    const v2 = times(v128.shuffle<u64>(x, y, 1, 3), pairs(w2), pairs(its2), modulus);
    const s2 = i32x4.add(u2, v2);
    const d2 = i32x4.add(u2, i32x4.sub(twice, v2));
    // of s = s0 s1 S0 S1 and d = d0 d1 D0 D1 the neighbours are (s0, s1), (d0, d1), (S0, S1), (D0, D1)
    const u1 = v128.shuffle<u32>(s2, d2, 0, 4, 2, 6);
    const v1 = times(v128.shuffle<u32>(s2, d2, 1, 5, 3, 7), v128.load(w1), v128.load(its1), modulus);
    const s1 = reduced(i32x4.add(u1, v1), q);
    const d1 = reduced(i32x4.add(u1, i32x4.sub(twice, v1)), q);
    v128.store(a, v128.shuffle<u32>(s1, d1, 0, 4, 1, 5));
    v128.store(a, v128.shuffle<u32>(s1, d1, 2, 6, 3, 7), 16);
  }
}

/** Two neighbouring factors, each twice. */
@inline
function pairs(at: usize): v128 {
  const two = v128.load64_splat(at);
  return v128.shuffle<u32>(two, two, 0, 0, 1, 1);
}

/** x < 32q modulo q. */
@inline
function reduced(x: v128, q: u32): v128 {
  x = less(x, i32x4.splat(16 * q));
  x = less(x, i32x4.splat(8 * q));
  x = less(x, i32x4.splat(4 * q));
  x = less(x, i32x4.splat(2 * q));
  return less(x, i32x4.splat(q));
}

/** Gentleman and Sande's butterflies, below 2q after each stage; then times 4096⁻¹. */
export function fromNttNarrow(a: usize, powers: usize, companions: usize, q: u32, scale: u32, its: u32): void {
  const modulus = i32x4.splat(q);
  const twice = i32x4.splat(2 * q);
  const end = a + 4 * DEGREE;
  let w2 = powers + 4 * (DEGREE / 4);
  let its2 = companions + 4 * (DEGREE / 4);
  let w1 = powers + 4 * (DEGREE / 2);
  let its1 = companions + 4 * (DEGREE / 2);
  for (let at = a; at < end; at += 32, w2 += 8, its2 += 8, w1 += 16, its1 += 16) {
    const x = v128.load(at);
    const y = v128.load(at, 16);
    const u1 = v128.shuffle<u32>(x, y, 0, 2, 4, 6);
    const v1 = v128.shuffle<u32>(x, y, 1, 3, 5, 7);
    const s1 = i32x4.add(u1, v1); // of two below q
    const d1 = times(i32x4.add(u1, i32x4.sub(twice, v1)), v128.load(w1), v128.load(its1), modulus);
    const u2 = v128.shuffle<u32>(s1, d1, 0, 4, 2, 6);
    const v2 = v128.shuffle<u32>(s1, d1, 1, 5, 3, 7);
    const s2 = less(i32x4.add(u2, v2), twice);
    const d2 = times(i32x4.add(u2, i32x4.sub(twice, v2)), pairs(w2), pairs(its2), modulus);
    v128.store(at, v128.shuffle<u64>(s2, d2, 0, 2));
    v128.store(at, v128.shuffle<u64>(s2, d2, 1, 3), 16);
  }
  for (let m = DEGREE / 8, t = 4; m >= 1; m >>= 1, t <<= 1) {
    const apart = <usize>t << 2;
    let at = a;
    for (let i = m; i < 2 * m; i++, at += apart) {
      const w = v128.load32_splat(powers + (<usize>i << 2));
      const its = v128.load32_splat(companions + (<usize>i << 2));
      for (const end = at + apart; at < end; at += 16) {
        const u = v128.load(at);
        const v = v128.load(at + apart);
        v128.store(at, less(i32x4.add(u, v), twice));
        v128.store(at + apart, times(i32x4.add(u, i32x4.sub(twice, v)), w, its, modulus));
      }
    }
  }
  for (; a < end; a += 16) {
    v128.store(a, less(times(v128.load(a), i32x4.splat(scale), i32x4.splat(its), modulus), modulus));
  }
}

/**
 * sum += a·b modulo q of `bits` bits, by Barrett: with m = ⌊2^(bits+31) / q⌋ the quotient ⌊⌊ab / 2^(bits−1)⌋·m / 2^32⌋
 * is at most 2 too small, and all factors fit 32 bits.
 */
export function multiplyAddNarrow(sum: usize, a: usize, b: usize, q: u32, bits: i32): void {
  const modulus = i32x4.splat(q);
  const m = i32x4.splat(<i32>((<u64>1 << (bits + 31)) / <u64>q));
  for (const end = sum + 4 * DEGREE; sum < end; sum += 16, a += 16, b += 16) {
    const x = v128.load(a);
    const y = v128.load(b);
    const low = i64x2.shr_u(i64x2.extmul_low_i32x4_u(x, y), bits - 1);
    const high = i64x2.shr_u(i64x2.extmul_high_i32x4_u(x, y), bits - 1);
    const quotient = upper(v128.shuffle<u32>(low, high, 0, 2, 4, 6), m);
    const product = i32x4.sub(i32x4.mul(x, y), i32x4.mul(quotient, modulus)); // below 3q
    const total = less(i32x4.add(product, v128.load(sum)), i32x4.splat(2 * q));
    v128.store(sum, less(total, modulus));
  }
}

/** Four streams of bits, a lane each (typescript/narrow-ring.ts says why). */
export function packNarrow(residues: usize, packed: usize, bits: i32): void {
  let held = i32x4.splat(0);
  let count = 0; // bits not yet written: fewer than 32
  for (const end = residues + 4 * DEGREE; residues < end; residues += 16) {
    const values = v128.load(residues);
    held = v128.or(held, i32x4.shl(values, count));
    count += bits;
    if (count >= 32) {
      v128.store(packed, held);
      packed += 16;
      count -= 32;
      held = i32x4.shr_u(values, bits - count);
    }
  }
}

/** sum += packed residues. @returns whether every one is below q */
export function addPackedNarrow(sum: usize, packed: usize, bits: i32, q: u32): bool {
  const mask = i32x4.splat((1 << bits) - 1);
  const modulus = i32x4.splat(q);
  let below = i32x4.splat(-1);
  let held = i32x4.splat(0);
  let count = 0;
  for (const end = sum + 4 * DEGREE; sum < end; sum += 16) {
    let values: v128;
    if (count >= bits) {
      values = v128.and(held, mask);
      held = i32x4.shr_u(held, bits);
      count -= bits;
    } else {
      const next = v128.load(packed);
      packed += 16;
      values = v128.and(v128.or(held, i32x4.shl(next, count)), mask);
      held = i32x4.shr_u(next, bits - count);
      count += 32 - bits;
    }
    below = v128.and(below, i32x4.lt_u(values, modulus));
    v128.store(sum, less(i32x4.add(v128.load(sum), values), modulus));
  }
  return v128.all_true<i32>(below);
}
