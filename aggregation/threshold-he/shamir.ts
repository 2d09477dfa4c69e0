import { DEGREE, MOST_MEMBERS, PRIMES, type Prime } from './parameters.ts';
import { noResidues, type Residues, uniform, type Words } from './residues.ts';

/**
 * Shamir's secret sharing of a polynomial over Z_q, residue by residue (Shamir 1979): any `threshold` shares
 * determine the secret, fewer are independent of it. Holds because every x and every difference of two is a
 * small non-zero integer, a unit modulo both primes.
 *
 * @param xs - where to evaluate, distinct integers in 1…64, one share each
 * @param random - for the threshold − 1 polynomials that hide the secret; read once per degree
 */
export function deal(secret: Residues, threshold: number, xs: readonly number[], random: Words): Residues[] {
  for (const x of xs) {
    if (!Number.isInteger(x) || x < 1 || x > MOST_MEMBERS) throw new RangeError(`x must be in 1…64, got ${x}`);
  }
  const hiding = Array.from({ length: threshold - 1 }, () => uniform(random));
  const shares = evaluate([secret, ...hiding], xs);
  for (const polynomial of hiding) polynomial.fill(0);
  return shares;
}

const LIMB = 2 ** 29;

/** Horner's rule at every x for every residue. */
function evaluate(coefficients: readonly Residues[], xs: readonly number[]): Residues[] {
  const shares = xs.map(noResidues);
  for (const [index, prime] of PRIMES.entries()) evaluateModulo(prime, index, coefficients, xs, shares);
  return shares;
}

/**
 * In doubles, each residue as two 29-bit limbs. Why it is exact for x ≤ 64: with f = hi·2^29 + lo,
 * lo·x + c < 2^30·2^6 + 2^29 and hi·x + c + carry < 2^36, far below 2^53; and since q = 2^bits − gap, the part
 * above 2^bits, at most 65 of them, comes back as at most 65·gap < 2^26 added to lo, which stays below 2^30.
 */
function evaluateModulo(
  prime: Prime,
  index: number,
  coefficients: readonly Residues[],
  xs: readonly number[],
  shares: readonly Residues[],
): void {
  const { bits, gap, value } = prime;
  const top = 2 ** (bits - 29);
  const qLow = Number(value & 0x1fffffffn);
  const qHigh = Number(value >> 29n);
  const degree = coefficients.length - 1;
  const lows = new Float64Array(coefficients.length);
  const highs = new Float64Array(coefficients.length);
  for (let word = 2 * index * DEGREE; word < 2 * (index + 1) * DEGREE; word += 2) {
    for (let d = 0; d <= degree; d++) {
      const lo = coefficients[d]![word]!;
      lows[d] = lo & 0x1fffffff;
      highs[d] = (coefficients[d]![word + 1]! << 3) | (lo >>> 29);
    }
    for (let j = 0; j < xs.length; j++) {
      const x = xs[j]!;
      let lo = lows[degree]!;
      let hi = highs[degree]!;
      for (let d = degree - 1; d >= 0; d--) {
        lo = lo * x + lows[d]!;
        const carry = Math.floor(lo / LIMB);
        hi = hi * x + highs[d]! + carry;
        const over = Math.floor(hi / top);
        hi -= over * top;
        lo += over * gap - carry * LIMB;
      }
      // once more, to bring f = hi·2^29 + lo below 2^bits, and then below q
      for (let pass = 0; pass < 2; pass++) {
        const carry = Math.floor(lo / LIMB);
        const over = Math.floor((hi + carry) / top);
        hi += carry - over * top;
        lo += over * gap - carry * LIMB;
      }
      if (hi > qHigh || (hi === qHigh && lo >= qLow)) {
        lo -= qLow;
        hi -= qHigh;
        if (lo < 0) {
          lo += LIMB;
          hi--;
        }
      }
      const share = shares[j]!;
      share[word] = lo | (hi << 29);
      share[word + 1] = hi >>> 3;
    }
  }
}

/** λ with secret = Σ λ(x)·share(x) over `xs`, modulo each prime. `x` is one of `xs`. */
export function lagrangeAtZero(x: number, xs: readonly number[]): [bigint, bigint] {
  let numerator = 1n;
  let denominator = 1n;
  for (const other of xs) {
    if (other === x) continue;
    numerator *= BigInt(other);
    denominator *= BigInt(other - x);
  }
  const modulo = ({ value }: Prime): bigint => (positive(numerator, value) * inverse(denominator, value)) % value;
  return [modulo(PRIMES[0]), modulo(PRIMES[1])];
}

const positive = (value: bigint, modulus: bigint): bigint => ((value % modulus) + modulus) % modulus;

/** By Fermat's little theorem. On public numbers only: its time depends on nothing secret. */
function inverse(value: bigint, modulus: bigint): bigint {
  let result = 1n;
  let base = positive(value, modulus);
  for (let exponent = modulus - 2n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = (result * base) % modulus;
    base = (base * base) % modulus;
  }
  return result;
}
