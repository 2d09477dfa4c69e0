import type { RingKernels } from '../kernels/kernels.ts';
import { keyStream } from '../key-stream.ts';
import { digest } from '../transcript.ts';

/**
 * The polynomials a that all tenants of an occasion encrypt under, drawn from it: nobody chooses them, and they are
 * nobody's secret.
 *
 * AES-128 in counter mode under a public key, as FrodoKEM generates its matrix A ("Frodo.Gen using AES128": the index
 * in the upper half of each block, AES as an ideal cipher), because SHAKE128 would take as long as all the rest of
 * a contribution.
 *
 * @param occasion - 32 bytes that hold something fresh of every tenant
 * @returns the polynomial of an index below 2^32, uniform, in NTT form
 */
export function commonPolynomials({ uniform }: RingKernels, occasion: Uint8Array): (index: number) => Uint32Array {
  const key = digest('parley/lattice-mask/common/v1', occasion).subarray(0, 16);
  return (index) => {
    const start = Buffer.alloc(16);
    start.writeUInt32BE(index, 4); // each index has 2^64 blocks to itself
    return uniform(keyStream(key, start));
  };
}
