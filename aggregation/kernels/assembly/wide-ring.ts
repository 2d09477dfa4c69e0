// Residues of 64 bits modulo q = 2^bits − gap, 33 to 58 bits, gap below 2^20; 4096 of them.

const DEGREE: i32 = 4096;
const M32: u64 = 0xffffffff;

/** Keeps the low bits of every residue. @returns the first from `from` on that is not below q, or 4096 */
export function cutWide(residues: usize, from: i32, mask: u64, q: u64): i32 {
  for (let i = from; i < DEGREE; i++) {
    const at = residues + (<usize>i << 3);
    const value = load<u64>(at) & mask;
    store<u64>(at, value);
    if (value >= q) return i;
  }
  return DEGREE;
}

/** x, or x + q where x is negative. */
@inline
function lifted(x: v128, q: v128): v128 {
  return i64x2.add(x, v128.and(i64x2.lt_s(x, i64x2.splat(0)), q));
}

export function addWide(sum: usize, term: usize, q: u64): void {
  const modulus = i64x2.splat(q);
  for (const end = sum + 8 * DEGREE; sum < end; sum += 16, term += 16) {
    v128.store(sum, lifted(i64x2.sub(i64x2.add(v128.load(sum), v128.load(term)), modulus), modulus));
  }
}

export function subtractWide(sum: usize, term: usize, q: u64): void {
  const modulus = i64x2.splat(q);
  for (const end = sum + 8 * DEGREE; sum < end; sum += 16, term += 16) {
    v128.store(sum, lifted(i64x2.sub(v128.load(sum), v128.load(term)), modulus));
  }
}

/**
 * x·w modulo q, in [0, 4q), for any x; its = ⌊w·2^64 / q⌋ (Harvey 2014, arXiv:1205.2926, algorithm 2). The upper half
 * of x·its leaves its lowest product out, which makes the quotient at most 2 smaller.
 */
@inline
function times(x: u64, w: u64, its: u64, q: u64): u64 {
  const x0 = x & M32;
  const x1 = x >> 32;
  const w0 = its & M32;
  const w1 = its >> 32;
  const quotient = x1 * w1 + ((x1 * w0) >> 32) + ((x0 * w1) >> 32);
  return x * w - quotient * q;
}

/** x modulo q, as 2^bits ≡ gap. Of any x it leaves less than 2^bits + 2^(64 − bits)·gap, that is, less than 2q. */
@inline
function folded(x: u64, bits: u64, gap: u64): u64 {
  return (x & ((<u64>1 << bits) - 1)) + (x >> bits) * gap;
}

/** x < 2q modulo q. */
@inline
function reduced(x: u64, q: u64): u64 {
  return x >= q ? x - q : x;
}

/** Unreduced: 12 stages add 4q each to the bound, and 49q is below 2^64. */
export function toNttWide(a: usize, powers: usize, companions: usize, bits: u64, gap: u64): void {
  const q = (<u64>1 << bits) - gap;
  for (let m = 1, t = DEGREE / 2; m < DEGREE; m <<= 1, t >>= 1) {
    const apart = <usize>t << 3;
    let at = a;
    for (let i = m; i < 2 * m; i++, at += apart) {
      const w = load<u64>(powers + (<usize>i << 3));
      const its = load<u64>(companions + (<usize>i << 3));
      for (const end = at + apart; at < end; at += 8) {
        const u = load<u64>(at);
        const v = times(load<u64>(at + apart), w, its, q);
        store<u64>(at, u + v);
        store<u64>(at + apart, u + 4 * q - v);
      }
    }
  }
  for (const end = a + 8 * DEGREE; a < end; a += 8) store<u64>(a, reduced(folded(load<u64>(a), bits, gap), q));
}

/** Below 4q after each stage; then times 4096⁻¹. */
export function fromNttWide(
  a: usize, powers: usize, companions: usize, bits: u64, gap: u64, scale: u64, its: u64,
): void {
  const q = (<u64>1 << bits) - gap;
  for (let m = DEGREE / 2, t = 1; m >= 1; m >>= 1, t <<= 1) {
    const apart = <usize>t << 3;
    let at = a;
    for (let i = m; i < 2 * m; i++, at += apart) {
      const w = load<u64>(powers + (<usize>i << 3));
      const its = load<u64>(companions + (<usize>i << 3));
      for (const end = at + apart; at < end; at += 8) {
        const u = load<u64>(at);
        const v = load<u64>(at + apart);
        store<u64>(at, reduced(u + v, 4 * q));
        store<u64>(at + apart, times(u + 4 * q - v, w, its, q));
      }
    }
  }
  for (const end = a + 8 * DEGREE; a < end; a += 8) {
    store<u64>(a, reduced(folded(times(load<u64>(a), scale, its, q), bits, gap), q));
  }
}

/** sum += a·b: the product in two words of 64 bits, folded at 2^bits until one is left. */
export function multiplyAddWide(sum: usize, a: usize, b: usize, bits: u64, gap: u64): void {
  const q = (<u64>1 << bits) - gap;
  const mask = (<u64>1 << bits) - 1;
  for (const end = sum + 8 * DEGREE; sum < end; sum += 8, a += 8, b += 8) {
    const x = load<u64>(a);
    const y = load<u64>(b);
    const x0 = x & M32;
    const x1 = x >> 32;
    const y0 = y & M32;
    const y1 = y >> 32;
    const crossed = x1 * y0;
    const middle = ((x0 * y0) >> 32) + (crossed & M32) + x0 * y1; // below 2^33 + 2^58
    const top = x1 * y1 + (crossed >> 32) + (middle >> 32);
    const low = x * y;
    // the product is over·2^bits + (low & mask), and over·gap = part·2^32 + (over & M32)·gap
    const over = (top << (64 - bits)) | (low >> bits);
    const part = (over >> 32) * gap; // below 2^46
    const kept = bits - 32;
    const rest =
      (low & mask) + (over & M32) * gap + (part >> kept) * gap + ((part & ((<u64>1 << kept) - 1)) << 32);
    store<u64>(sum, reduced(folded(rest + load<u64>(sum), bits, gap), q));
  }
}

/** End to end, low bits first, as threshold-he sends them. */
export function packWide(residues: usize, packed: usize, bits: i32): void {
  const highBits = bits - 32;
  let held: u64 = 0;
  let count = 0; // bits not yet written: fewer than 32
  for (const end = residues + 8 * DEGREE; residues < end; residues += 8) {
    const value = load<u64>(residues);
    held |= (value & M32) << count;
    store<u32>(packed, <u32>held);
    packed += 4;
    held = (held >> 32) | ((value >> 32) << count);
    count += highBits;
    if (count >= 32) {
      store<u32>(packed, <u32>held);
      packed += 4;
      held >>= 32;
      count -= 32;
    }
  }
}

/** sum += packed residues of 47 bits, low bits first; reads two bytes past them. @returns whether every one is below q */
export function addPacked47(sum: usize, packed: usize, q: u64): bool {
  return addPackedWide(sum, packed, 47, q);
}

export function addPacked45(sum: usize, packed: usize, q: u64): bool {
  return addPackedWide(sum, packed, 45, q);
}

export function addPacked56(sum: usize, packed: usize, q: u64): bool {
  return addPackedWide(sum, packed, 56, q);
}

export function addPacked58(sum: usize, packed: usize, q: u64): bool {
  return addPackedWide(sum, packed, 58, q);
}

/**
 * Eight residues take `bits` bytes, so residue i + 8 begins that many bytes behind residue i, at the same bit, and one
 * shift serves both. Inlined with `bits` known: shifts by a variable take four times the instructions.
 */
@inline
function addPackedWide(sum: usize, packed: usize, bits: usize, q: u64): bool {
  const modulus = i64x2.splat(q);
  const most = i64x2.splat(q - 1);
  let above = i64x2.splat(0);
  for (const end = sum + 8 * DEGREE; sum < end; sum += 128, packed += 2 * bits) {
    above = v128.or(above, addFour(sum, packed, 0, bits, modulus, most));
    above = v128.or(above, addFour(sum, packed, 2, bits, modulus, most));
    above = v128.or(above, addFour(sum, packed, 4, bits, modulus, most));
    above = v128.or(above, addFour(sum, packed, 6, bits, modulus, most));
  }
  return !v128.any_true(above);
}

/** Residues i, i + 1, i + 8 and i + 9. @returns all ones where one is above `most` */
@inline
function addFour(sum: usize, packed: usize, i: usize, bits: usize, q: v128, most: v128): v128 {
  const x = unpacked(packed + ((i * bits) >> 3), (i * bits) & 7, bits);
  const y = unpacked(packed + (((i + 1) * bits) >> 3), ((i + 1) * bits) & 7, bits);
  const first = v128.shuffle<u64>(x, y, 0, 2);
  const second = v128.shuffle<u64>(x, y, 1, 3);
  addTwo(sum + 8 * i, first, q, most);
  addTwo(sum + 8 * i + 64, second, q, most);
  return v128.or(i64x2.gt_s(first, most), i64x2.gt_s(second, most));
}

@inline
function unpacked(at: usize, shift: i32, bits: usize): v128 {
  const two = v128.load64_lane(at + bits, v128.load64_zero(at), 1);
  return v128.and(i64x2.shr_u(two, shift), i64x2.splat((<u64>1 << bits) - 1));
}

@inline
function addTwo(at: usize, two: v128, q: v128, most: v128): void {
  const total = i64x2.add(v128.load(at), two);
  v128.store(at, i64x2.sub(total, v128.and(i64x2.gt_s(total, most), q)));
}
