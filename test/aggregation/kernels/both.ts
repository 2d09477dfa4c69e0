import { createCipheriv, createHash } from 'node:crypto';
import { compiledKernels } from '../../../aggregation/kernels/compile.ts';
import type { ByteSource, Kernels } from '../../../aggregation/kernels/kernels.ts';
import { POLYNOMIAL_WORDS, type Ring } from '../../../aggregation/kernels/rings.ts';
import { typescriptKernels } from '../../../aggregation/kernels/typescript/kernels.ts';
import { wasmKernels } from '../../../aggregation/kernels/wasm/kernels.ts';

/** Both implementations, and what the tests feed them. */
export const { kernels: wasm, memory } = await wasmKernels(await compiledKernels());
export const twin: Kernels = typescriptKernels();
export const BOTH: readonly Kernels[] = [wasm, twin];

/** A key stream under a key made of `seed`. */
export const keyStream = (seed: string | number): ByteSource =>
  streamOf(createHash('sha256').update(String(seed)).digest().subarray(0, 16));

/** AES-128-CTR from counter 0. */
export function streamOf(key: Uint8Array): ByteSource {
  const cipher = createCipheriv('aes-128-ctr', key, new Uint8Array(16));
  return { fill: (bytes) => bytes.set(cipher.update(new Uint8Array(bytes.length))) };
}

/** Those bytes, then a key stream. */
export function bytesThen(first: Uint8Array, seed: string | number): ByteSource {
  const rest = keyStream(seed);
  let used = 0;
  return {
    fill(bytes) {
      const now = first.subarray(used, used + bytes.length);
      used += now.length;
      bytes.set(now);
      rest.fill(bytes.subarray(now.length));
    },
  };
}

export function bytesOf(length: number, seed: string | number): Uint8Array {
  const out = new Uint8Array(length);
  keyStream(seed).fill(out);
  return out;
}

/** A copy that begins at an odd address. */
export function unaligned(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length + 7).subarray(3, 3 + bytes.length);
  out.set(bytes);
  return out;
}

export const residue = (polynomial: Uint32Array, { wordsPerResidue }: Ring, prime: number, i: number): bigint => {
  const at = (prime * 4096 + i) * wordsPerResidue;
  return BigInt(polynomial[at]!) + (wordsPerResidue === 2 ? BigInt(polynomial[at + 1]!) << 32n : 0n);
};

export function polynomialOf(ring: Ring, at: (prime: number, i: number) => bigint): Uint32Array {
  const out = new Uint32Array(POLYNOMIAL_WORDS);
  for (const prime of ring.primes.keys()) {
    for (let i = 0; i < 4096; i++) {
      const value = at(prime, i);
      const word = (prime * 4096 + i) * ring.wordsPerResidue;
      out[word] = Number(value & 0xffffffffn);
      if (ring.wordsPerResidue === 2) out[word + 1] = Number(value >> 32n);
    }
  }
  return out;
}

/** Uniform, with the values where carries and corrections happen at a third of the places. */
export function edgy(ring: Ring, seed: string | number): Uint32Array {
  const bytes = bytesOf(9 * 4096 * ring.primes.length, seed);
  const view = new DataView(bytes.buffer);
  return polynomialOf(ring, (prime, i) => {
    const q = ring.primes[prime]!.value;
    const edges = [0n, 1n, 2n, q - 1n, q - 2n, q / 2n, q / 2n + 1n, q >> 1n, 0xffffffffn % q, 0x100000000n % q];
    const at = 9 * (4096 * prime + i);
    const chosen = edges[bytes[at + 8]! % 30];
    return chosen ?? view.getBigUint64(at, true) % q;
  });
}
