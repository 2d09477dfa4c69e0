import { DEGREE, POLYNOMIAL_WORDS, type Ring } from '../kernels/rings.ts';

/**
 * A polynomial modulo q as the kernels of `heRing` and `heRing101` take it: 4096 residues modulo q₀, then 4096 modulo q₁, each a
 * little-endian pair of 32-bit words. In memory this is, byte for byte, what SEAL keeps. It is in coefficients or in
 * NTT form; who holds one knows which.
 */
export type Polynomial = Uint32Array;

export const zero = (): Polynomial => new Uint32Array(POLYNOMIAL_WORDS);

/** The constant polynomial with these residues, in NTT form: all NTT values of a constant are that constant. */
export function constant(residues: readonly bigint[]): Polynomial {
  const out = zero();
  residues.forEach((residue, prime) => {
    const [low, high] = [Number(residue & 0xffffffffn), Number(residue >> 32n)];
    for (let word = 2 * prime * DEGREE; word < 2 * (prime + 1) * DEGREE; word += 2) {
      out[word] = low;
      out[word + 1] = high;
    }
  });
  return out;
}

/** An integer as a constant polynomial, in NTT form. */
export const integer = (value: bigint, { primes }: Ring): Polynomial =>
  constant(primes.map(({ value: q }) => ((value % q) + q) % q));
