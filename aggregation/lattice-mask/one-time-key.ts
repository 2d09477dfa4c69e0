import type { RandomSource } from '../../privacy/random.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { DEGREE, LIMBS } from '../kernels/rings.ts';
import { keyStream } from '../key-stream.ts';

/**
 * What hides one vector of one round: a key s, and an error e for each polynomial, all their coefficients centred
 * binomial. It is drawn when a vector is encrypted and overwritten before the ciphertext leaves: two vectors
 * under one key would show their difference.
 */
export interface OneTimeKey {
  /** s, 4096 coefficients within ±42 */
  readonly coefficients: Float64Array;
  /** s in NTT form */
  readonly transformed: Uint32Array;
  /** Overwrites `into` with the next e, 4096 coefficients; never the same ones again. */
  drawErrors(into: Int8Array): void;
  forget(): void;
}

/**
 * All of it is one key stream, AES-256 in counter mode under 32 fresh bytes: asking the operating system for the 16
 * bytes of every coefficient would take longer than encrypting.
 */
export function oneTimeKey({ lattice, maskRing }: Kernels, random: Pick<RandomSource, 'fill'>): OneTimeKey {
  const seed = new Uint32Array(8);
  random.fill(seed);
  const stream = keyStream(new Uint8Array(seed.buffer));
  seed.fill(0);
  const drawn = new Int8Array(DEGREE);
  lattice.centredBinomial(stream, drawn);
  const coefficients = Float64Array.from(drawn);
  drawn.fill(0);
  const transformed = smallPolynomial({ lattice, maskRing }, coefficients);
  return {
    coefficients,
    transformed,
    drawErrors: (into) => lattice.centredBinomial(stream, into),
    forget() {
      coefficients.fill(0);
      transformed.fill(0);
    },
  };
}

/** A polynomial of 4096 small integers, within ±(2^22 − 1), in NTT form. */
export function smallPolynomial(
  { lattice, maskRing }: Pick<Kernels, 'lattice' | 'maskRing'>,
  coefficients: Float64Array,
): Uint32Array {
  const lanes = new Float64Array(LIMBS * DEGREE);
  for (let i = 0; i < DEGREE; i++) lanes[LIMBS * i] = coefficients[i]!; // the lowest lane of each coefficient
  const polynomial = lattice.encode(lanes, 23, NO_ERRORS);
  lanes.fill(0);
  maskRing.toNtt(polynomial);
  return polynomial;
}

const NO_ERRORS = new Int8Array(DEGREE);
