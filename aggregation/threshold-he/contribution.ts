import { createHash } from 'node:crypto';
import type { ByteSource, RingKernels } from '../kernels/kernels.ts';
import { POLYNOMIAL_WORDS } from '../kernels/rings.ts';
import { type HeardAll, ProtocolBroken, type TenantId } from '../secure-sum.ts';
import { digest } from '../transcript.ts';
import type { Polynomial } from './polynomial.ts';

/**
 * What a tenant contributes: nonce (16) ‖ occasion (32), and packed polynomials as its vector.
 *
 * The *occasion* is the hash of epoch, round, cohort and every member's nonce. The common polynomials `a` are
 * drawn from it. My own nonce is fresh, so no `a` I encrypt under was ever used before, whatever round number,
 * cohort or nonces of others I was told; and who was told another cohort encrypts under another `a`.
 */
export const NONCE_BYTES = 16;
const OCCASION_BYTES = 32;
export const HEADER_BYTES: number = NONCE_BYTES + OCCASION_BYTES;

/** @param nonces - of exactly the cohort */
export function occasionOf(
  epoch: Uint8Array,
  round: Uint8Array,
  nonces: ReadonlyMap<TenantId, Uint8Array>,
): Uint8Array {
  const listed = [...nonces].sort(([a], [b]) => (a < b ? -1 : 1)).flat();
  return digest('parley/threshold-he/occasion/v1', epoch, round, ...listed);
}

/** The index-th common polynomial of an occasion, in NTT form; SHAKE128 as the random oracle (FIPS 202 §6.2). */
export function commonPolynomial(ring: RingKernels, occasion: Uint8Array, index: number): Polynomial {
  const seed = digest('parley/threshold-he/common/v1', occasion, String(index));
  return ring.uniform(hashed(seed, 4 * POLYNOMIAL_WORDS + SPARE_BYTES));
}

/** For residues drawn again, each needed with probability below 2^−27; 64 of them never are. */
const SPARE_BYTES = 64 * 8;

function hashed(seed: Uint8Array, length: number): ByteSource {
  const stream = createHash('shake128', { outputLength: length }).update(seed).digest();
  let used = 0;
  return {
    fill(bytes) {
      if (used + bytes.length > stream.length) throw new Error('the hash ran out');
      bytes.set(stream.subarray(used, used + bytes.length));
      used += bytes.length;
    },
  };
}

export interface Gathered {
  /** sorted */
  readonly cohort: readonly TenantId[];
  readonly nonces: ReadonlyMap<TenantId, Uint8Array>;
  readonly occasion: Uint8Array;
}

/** Reads the headers. @throws ProtocolBroken when they are not of one occasion */
export function gather(contributions: HeardAll, members: readonly TenantId[]): Gathered {
  const cohort = [...contributions.keys()].sort();
  const nonces = new Map<TenantId, Uint8Array>();
  let occasion: Uint8Array | undefined;
  for (const name of cohort) {
    const { open, vectorHash } = contributions.get(name)!;
    if (!members.includes(name)) throw new ProtocolBroken('contributed and is no member', name);
    if (open.length !== HEADER_BYTES || vectorHash?.length !== 32)
      throw new ProtocolBroken('its contribution is not a header and a vector', name);
    nonces.set(name, open.subarray(0, NONCE_BYTES));
    const stated = open.subarray(NONCE_BYTES, HEADER_BYTES);
    occasion ??= stated;
    if (Buffer.compare(occasion, stated) !== 0) throw new ProtocolBroken('contributed to another occasion', name);
  }
  if (occasion === undefined) throw new ProtocolBroken('nobody contributed');
  return { cohort, nonces, occasion };
}

/** The identity of the sum: over who contributed, and the hash of what, to which occasion. */
export function sumHashOf(epoch: Uint8Array, { cohort, occasion }: Gathered, contributions: HeardAll): Uint8Array {
  const leaves = cohort.flatMap((name) => [name, contributions.get(name)!.vectorHash!]);
  return digest('parley/threshold-he/sum/v1', epoch, occasion, ...leaves);
}
