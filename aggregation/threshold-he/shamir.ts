import type { ByteSource, RingKernels } from '../kernels/kernels.ts';
import type { Ring, RingPrime } from '../kernels/rings.ts';
import { MOST_MEMBERS } from './parameters.ts';
import { integer, type Polynomial } from './polynomial.ts';

/**
 * Shamir's secret sharing of a polynomial over Z_q, residue by residue (Shamir 1979): any `threshold` shares
 * determine the secret, fewer are independent of it. Holds because every x and every difference of two is a
 * small non-zero integer, a unit modulo both primes.
 *
 * @returns one share for each x
 */
export function deal(ring: RingKernels, secret: Polynomial, { threshold, xs, random }: Dealing): Polynomial[] {
  for (const x of xs) {
    if (!Number.isInteger(x) || x < 1 || x > MOST_MEMBERS)
      throw new RangeError(`x must be in 1…${MOST_MEMBERS}, got ${x}`);
  }
  const hiding = Array.from({ length: threshold - 1 }, () => ring.uniform(random));
  const shares = xs.map((x) => evaluate(ring, [secret, ...hiding], integer(BigInt(x), ring.ring)));
  for (const polynomial of hiding) polynomial.fill(0);
  return shares;
}

export interface Dealing {
  readonly threshold: number;
  /** where to evaluate, distinct integers in 1…200 */
  readonly xs: readonly number[];
  /** for the threshold − 1 polynomials that hide the secret */
  readonly random: ByteSource;
}

/** Horner's rule, for every residue at once. @param coefficients - constant term first */
function evaluate(ring: RingKernels, coefficients: readonly Polynomial[], x: Polynomial): Polynomial {
  let value = coefficients.at(-1)!.slice();
  for (const coefficient of coefficients.slice(0, -1).reverse()) {
    const next = coefficient.slice();
    ring.multiplyAdd(next, value, x);
    value.fill(0);
    value = next;
  }
  return value;
}

/** λ with secret = Σ λ(x)·share(x) over `xs`, modulo each prime of the ring. `x` is one of `xs`. */
export function lagrangeAtZero(x: number, xs: readonly number[], { primes }: Ring): bigint[] {
  let numerator = 1n;
  let denominator = 1n;
  for (const other of xs) {
    if (other === x) continue;
    numerator *= BigInt(other);
    denominator *= BigInt(other - x);
  }
  const modulo = ({ value }: RingPrime): bigint => (positive(numerator, value) * inverse(denominator, value)) % value;
  return primes.map(modulo);
}

const positive = (value: bigint, modulus: bigint): bigint => ((value % modulus) + modulus) % modulus;

/** By Fermat's little theorem. On public numbers only: its time depends on nothing secret. */
export function inverse(value: bigint, modulus: bigint): bigint {
  let result = 1n;
  let base = positive(value, modulus);
  for (let exponent = modulus - 2n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = (result * base) % modulus;
    base = (base * base) % modulus;
  }
  return result;
}
