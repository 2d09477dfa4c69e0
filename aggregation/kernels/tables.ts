import { DEGREE, LIMB_BITS, LIMBS, MASK_RING, type RingPrime } from './rings.ts';

/** What the transforms of one prime multiply with. */
export interface TransformTable {
  readonly prime: RingPrime;
  /** ψ^r(i), r being the reversal of 12 bits */
  readonly powers: readonly bigint[];
  /** ψ^−r(i) */
  readonly inverses: readonly bigint[];
  /** 4096⁻¹ */
  readonly scale: bigint;
}

/** ψ is the smallest primitive 8192nd root of unity, as in Microsoft SEAL (`try_minimal_primitive_root`). */
export function transformTable(prime: RingPrime): TransformTable {
  const q = prime.value;
  const root = smallestRoot(q);
  const powers = powersOf(root, q);
  const inverses = powersOf(inverseModulo(root, q), q);
  const reversed = Array.from({ length: DEGREE }, (_, i) => reverseBits(i));
  return {
    prime,
    powers: reversed.map((i) => powers[i]!),
    inverses: reversed.map((i) => inverses[i]!),
    scale: inverseModulo(BigInt(DEGREE), q),
  };
}

/** ⌊w·2^word / q⌋: the companion with which x·w mod q takes no division (Shoup; Harvey 2014, arXiv:1205.2926, §2). */
export const companion = (w: bigint, q: bigint, word: 32 | 64): bigint => (w << BigInt(word)) / q;

/**
 * Garner's constants for the primes of the lattice mask: a coefficient is d₀ + d₁·q₀ + d₂·q₀q₁ + d₃·q₀q₁q₂ with digits
 * below their primes, and centred when d₃ is.
 */
export interface Garner {
  /** inverses[k][j] = q_j⁻¹ modulo q_k, j < k */
  readonly inverses: readonly (readonly number[])[];
  /** the four weights modulo 2^92, in limbs: weight k has zeros from limb k + 1 on, the last has none */
  readonly limbs: readonly (readonly number[])[];
}

export const GARNER: Garner = (() => {
  const primes = MASK_RING.primes.map(({ value }) => value);
  const weights = primes.map((_, k) => primes.slice(0, k).reduce((product, q) => product * q, 1n));
  return {
    inverses: primes.map((prime, k) => primes.slice(0, k).map((smaller) => Number(inverseModulo(smaller, prime)))),
    limbs: weights.map(limbsOf),
  };
})();

/** b_l = 2^(23·l) modulo a prime for the four limbs, and t = 2^92 for the errors. */
export const limbWeights = ({ value }: RingPrime): readonly number[] =>
  Array.from({ length: LIMBS + 1 }, (_, l) => Number(2n ** BigInt(LIMB_BITS * l) % value));

function limbsOf(value: bigint): number[] {
  return Array.from({ length: LIMBS }, (_, l) => Number(BigInt.asUintN(LIMB_BITS, value >> BigInt(LIMB_BITS * l))));
}

/** By Fermat's little theorem; on public numbers only. */
function inverseModulo(value: bigint, q: bigint): bigint {
  return power(value % q, q - 2n, q);
}

function power(base: bigint, exponent: bigint, q: bigint): bigint {
  let result = 1n;
  for (let square = base, rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % q;
    square = (square * square) % q;
  }
  return result;
}

function smallestRoot(q: bigint): bigint {
  const order = BigInt(2 * DEGREE);
  let candidate = 2n;
  while (power(candidate, (q - 1n) / 2n, q) === 1n) candidate++; // a square has no root of full order
  const root = power(candidate, (q - 1n) / order, q);
  const square = (root * root) % q;
  let smallest = root;
  for (let i = 0, odd = root; i < DEGREE; i++) {
    if (odd < smallest) smallest = odd;
    odd = (odd * square) % q;
  }
  return smallest;
}

function powersOf(root: bigint, q: bigint): bigint[] {
  const out: bigint[] = [];
  for (let i = 0, next = 1n; i < DEGREE; i++) {
    out.push(next);
    next = (next * root) % q;
  }
  return out;
}

function reverseBits(value: number): number {
  let out = 0;
  for (let bit = 1; bit < DEGREE; bit *= 2) out = out * 2 + Number((value & bit) !== 0);
  return out;
}
