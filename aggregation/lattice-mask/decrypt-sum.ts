import { setImmediate } from 'node:timers/promises';
import type { Kernels } from '../kernels/kernels.ts';
import { type LatticeLaneBits, valuesPerPolynomial } from '../kernels/lanes.ts';
import { POLYNOMIAL_WORDS } from '../kernels/rings.ts';
import { ProtocolBroken, type StoredVector, type TenantId } from '../secure-sum.ts';
import { stretches } from '../stored-vector.ts';
import { commonPolynomials } from './common-polynomials.ts';
import { AT_ONCE } from './encrypt.ts';
import { smallPolynomial } from './one-time-key.ts';
import { POLYNOMIAL_BYTES, polynomials } from './parameters.ts';

/** What was encrypted on one occasion, and the key of its sum. */
export interface EncryptedSum {
  readonly bits: LatticeLaneBits;
  readonly dimension: number;
  /** 32 bytes */
  readonly occasion: Uint8Array;
  /** of each tenant, packed polynomials from byte `from` to the end */
  readonly ciphertexts: ReadonlyMap<TenantId, StoredVector>;
  readonly from: number;
  /** Σ s over exactly those tenants, 4096 coefficients */
  readonly keySum: Float64Array;
}

/**
 * Σ m = Σ b − a·Σ s − t·Σ e. Holds 1 MiB of eight vectors at a time.
 *
 * @returns `dimension` integers: the sum, when it keeps to its lanes and the key is that of these ciphertexts
 * @throws ProtocolBroken for a ciphertext with a residue that is not below its prime
 */
export async function decryptSum(kernels: Kernels, sum: EncryptedSum): Promise<Float64Array> {
  const { lattice, maskRing } = kernels;
  const { bits, dimension, occasion, keySum } = sum;
  const common = commonPolynomials(maskRing, occasion);
  const negated = keySum.map((coefficient) => -coefficient);
  const key = smallPolynomial(kernels, negated);
  const each = valuesPerPolynomial(bits);
  const values = new Float64Array(dimension);
  for (const { from, to } of stretches(polynomials(bits, dimension), AT_ONCE)) {
    for (const [i, polynomial] of (await addAll(kernels, sum, from, to)).entries()) {
      const index = from + i;
      maskRing.multiplyAdd(polynomial, common(index), key);
      maskRing.fromNtt(polynomial);
      lattice.decode(polynomial, bits, values.subarray(index * each, (index + 1) * each));
    }
    await setImmediate(); // long vectors let connections answer their heartbeat
  }
  return values;
}

/** Σ b of the polynomials `first` to `end`. @throws ProtocolBroken */
async function addAll({ maskRing }: Kernels, { ciphertexts, from }: EncryptedSum, first: number, end: number) {
  const sums = Array.from({ length: end - first }, () => new Uint32Array(POLYNOMIAL_WORDS));
  const names = [...ciphertexts.keys()];
  const read = (name: TenantId): Uint8Array =>
    ciphertexts.get(name)!.read(from + first * POLYNOMIAL_BYTES, from + end * POLYNOMIAL_BYTES);
  for (const some of stretches(names.length, VECTORS_AT_ONCE)) {
    const held = names.slice(some.from, some.to).map(read);
    for (const [i, polynomial] of sums.entries()) {
      const packed = held.map((bytes) => packedAt(bytes, i));
      const bad = maskRing.addPacked(polynomial, packed);
      if (bad !== undefined) throw new ProtocolBroken('what it encrypted is no polynomial', names[some.from + bad]);
    }
    await setImmediate(); // as above
  }
  return sums;
}

/** Each sum is copied in and out once for so many: a ninth would save little. */
const VECTORS_AT_ONCE = 8;

/** Is every residue of these packed polynomials below its prime? */
export function arePolynomials({ maskRing }: Kernels, ciphertext: StoredVector, from: number): boolean {
  const scratch = new Uint32Array(POLYNOMIAL_WORDS);
  for (const stretch of stretches(ciphertext.length - from, AT_ONCE * POLYNOMIAL_BYTES)) {
    const bytes = ciphertext.read(from + stretch.from, from + stretch.to);
    const packed = Array.from({ length: Math.ceil(bytes.length / POLYNOMIAL_BYTES) }, (_, i) => packedAt(bytes, i));
    if (maskRing.addPacked(scratch, packed) !== undefined) return false;
  }
  return true;
}

const packedAt = (bytes: Uint8Array, i: number): Uint8Array =>
  bytes.subarray(i * POLYNOMIAL_BYTES, (i + 1) * POLYNOMIAL_BYTES);
