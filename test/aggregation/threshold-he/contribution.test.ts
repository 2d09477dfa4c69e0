import { createHash } from 'node:crypto';
import { shake128 } from '@noble/hashes/sha3.js';
import { describe, expect, test } from 'vitest';
import { HE_RING } from '../../../aggregation/kernels/rings.ts';
import { commonPolynomial } from '../../../aggregation/threshold-he/contribution.ts';
import { BOTH, bytesOf, polynomialOf } from '../kernels/both.ts';

const occasion = bytesOf(32, 'occasion');

/** As it is written down: SHAKE128 by noble, read low bits first, what is too large drawn again at the end. */
function byTheBook(index: number): Uint32Array {
  const parts = [Buffer.from('parley/threshold-he/common/v1'), occasion, Buffer.from(String(index))];
  const prefixed = parts.flatMap((part) => [Buffer.from([0, 0, 0, part.length]), part]);
  const stream = shake128.create({}).update(createHash('sha256').update(Buffer.concat(prefixed)).digest());
  const next = (bits: number): bigint => Buffer.from(stream.xof(8)).readBigUInt64LE() % 2n ** BigInt(bits);
  const all = HE_RING.primes.map(({ bits }) => Array.from({ length: 4096 }, () => next(bits)));
  HE_RING.primes.forEach(({ bits, value }, prime) => {
    for (const [i, residue] of all[prime]!.entries()) {
      let again = residue;
      while (again >= value) again = next(bits);
      all[prime]![i] = again;
    }
  });
  return polynomialOf(HE_RING, (prime, i) => all[prime]![i]!);
}

describe('the common polynomials of an occasion', () => {
  test.each([0, 1, 70_000])('are SHAKE128 of their seed: number %i', (index) => {
    for (const { heRing } of BOTH) expect(commonPolynomial(heRing, occasion, index)).toEqual(byTheBook(index));
  });

  // FIPS 202, SHAKE128 of nothing, as the examples of the Cryptographic Algorithm Validation Program have it
  test('come from the SHAKE128 of the standard', () => {
    const expected = '7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26';
    expect(createHash('shake128', { outputLength: 32 }).digest('hex')).toBe(expected);
    expect(Buffer.from(shake128(new Uint8Array(0), { dkLen: 32 })).toString('hex')).toBe(expected);
  });
});
