import { setImmediate } from 'node:timers/promises';
import type { RingKernels } from '../kernels/kernels.ts';
import { DEGREE, packedBytes } from '../kernels/rings.ts';
import { ProtocolBroken, type StoredVector, type TenantId } from '../secure-sum.ts';
import { stretches } from '../stored-vector.ts';
import type { Arithmetic } from './arithmetic.ts';
import type { Layout } from './layout.ts';
import { AT_ONCE } from './parameters.ts';
import { type Polynomial, zero } from './polynomial.ts';
import { inverse } from './shamir.ts';

/**
 * The sum in the slots of Σ c + Σ d, contributions and opening shares, of each of which a MiB is held at a time.
 *
 * @param vectors - each `layout.bytes` long
 * @returns `dimension` integers
 * @throws ProtocolBroken when one is made of no polynomials, or all together do not decode
 */
export async function openedSum(
  { seal, ring, slots, profile }: Arithmetic,
  vectors: readonly (readonly [TenantId, StoredVector])[],
  { bits, perPolynomial, polynomials }: Layout,
  dimension: number,
): Promise<Float64Array> {
  const sum = new Float64Array(dimension);
  const bytes = packedBytes(profile.ring);
  const decodes = decoder(ring);
  for (const { from, to } of stretches(polynomials, AT_ONCE)) {
    const phases = Array.from({ length: to - from }, zero);
    for (const [name, vector] of vectors) {
      const packed = polynomialsIn(vector.read(from * bytes, to * bytes), bytes);
      for (const [i, phase] of phases.entries()) {
        if (ring.addPacked(phase, [packed[i]!]) !== undefined)
          throw new ProtocolBroken('sent no polynomial modulo q', name);
      }
      await setImmediate();
    }
    for (const [i, phase] of phases.entries()) {
      if (!decodes(phase)) throw new ProtocolBroken('the shares do not open this sum');
      const values = sum.subarray((from + i) * perPolynomial, (from + i + 1) * perPolynomial);
      slots.decode(
        seal.decode(phase).subarray(0, Math.ceil((values.length * bits) / profile.slots.bits)),
        bits,
        values,
      );
    }
    await setImmediate();
  }
  return sum;
}

/** Is every residue of these packed polynomials below its prime? */
export function arePolynomials(ring: RingKernels, vector: StoredVector): boolean {
  const scratch = zero();
  const bytes = packedBytes(ring.ring);
  for (const { from, to } of stretches(vector.length, AT_ONCE * bytes)) {
    if (ring.addPacked(scratch, polynomialsIn(vector.read(from, to), bytes)) !== undefined) return false;
  }
  return true;
}

const polynomialsIn = (bytes: Uint8Array, each: number): Uint8Array[] =>
  [...stretches(bytes.length, each)].map(({ from, to }) => bytes.subarray(from, to));

/**
 * Does this phase decode? With the right shares it is below t·2^54 < q/8 (t·2^52): flooding of 64 openers at eight standard
 * deviations, everything else far less. With wrong ones it is uniform modulo q and a coefficient passes with
 * probability 1/4; looked at are 128 of them, so garbage passes with 2^−256.
 */
function decoder(ring: RingKernels): (phase: Polynomial) => boolean {
  const [q0, q1] = ring.ring.primes.map(({ value }) => value) as [bigint, bigint];
  const q = q0 * q1;
  const inverseOfQ0 = inverse(q0, q1);
  return (phase) => {
    const coefficients = phase.slice();
    ring.fromNtt(coefficients);
    const residue = (prime: number, i: number): bigint => {
      const at = 2 * (prime * DEGREE + i);
      return BigInt(coefficients[at]!) | (BigInt(coefficients[at + 1]!) << 32n);
    };
    for (let i = 0; i < 128; i++) {
      const first = residue(0, i);
      const more = ((residue(1, i) - first + q1) * inverseOfQ0) % q1; // Garner: first + q₀·more
      const value = first + q0 * more;
      if (value > q / 8n && value < q - q / 8n) return false;
    }
    return true;
  };
}
