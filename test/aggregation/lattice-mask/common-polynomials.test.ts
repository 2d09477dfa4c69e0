import { createCipheriv, createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { MASK_RING } from '../../../aggregation/kernels/rings.ts';
import { commonPolynomials } from '../../../aggregation/lattice-mask/common-polynomials.ts';
import { BOTH, bytesOf, polynomialOf } from '../kernels/both.ts';

const occasion = bytesOf(32, 'occasion');

/** Block by block, as it is written down: AES of (index ‖ counter), residues from 32 bits, what is too large at the end. */
function byTheBook(index: number): Uint32Array {
  const label = Buffer.from('parley/lattice-mask/common/v1');
  const prefixed = [label, occasion].flatMap((part) => [Buffer.from([0, 0, 0, part.length]), part]);
  const key = createHash('sha256').update(Buffer.concat(prefixed)).digest().subarray(0, 16);
  const aes = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
  let counter = 0n;
  const words: number[] = [];
  const next = (): number => {
    if (words.length === 0) {
      const block = Buffer.alloc(16);
      block.writeBigUInt64BE(BigInt(index));
      block.writeBigUInt64BE(counter++, 8);
      const drawn = aes.update(block);
      words.push(...[0, 4, 8, 12].map((at) => drawn.readUInt32LE(at)));
    }
    return words.shift()!;
  };
  const all = MASK_RING.primes.map(({ bits }) => Array.from({ length: 4096 }, () => next() % 2 ** bits));
  MASK_RING.primes.forEach(({ bits, value }, prime) => {
    for (const [i, residue] of all[prime]!.entries()) {
      let again = residue;
      while (again >= value) again = next() % 2 ** bits;
      all[prime]![i] = again;
    }
  });
  return polynomialOf(MASK_RING, (prime, i) => BigInt(all[prime]![i]!));
}

describe('the common polynomials of an occasion', () => {
  test.each([0, 1, 70_000])('are AES-128 of their index and a counter: number %i', (index) => {
    for (const { maskRing } of BOTH) expect(commonPolynomials(maskRing, occasion)(index)).toEqual(byTheBook(index));
  });

  test('are the same whenever they are asked for, and in whatever order', () => {
    const [first, second] = [
      commonPolynomials(BOTH[0]!.maskRing, occasion),
      commonPolynomials(BOTH[0]!.maskRing, occasion),
    ];
    const [a, b] = [first(0), first(1)];
    expect(second(1)).toEqual(b);
    expect(second(0)).toEqual(a);
    expect(first(0)).toEqual(a);
  });

  test('have nothing in common with those of another index or occasion', () => {
    const other = occasion.with(31, occasion[31]! ^ 1);
    const [{ maskRing }] = [BOTH[0]!];
    const one = commonPolynomials(maskRing, occasion);
    for (const unlike of [one(1), one(256), one(2 ** 24), commonPolynomials(maskRing, other)(0)]) {
      expect(one(0).filter((residue, i) => residue === unlike[i]).length).toBeLessThan(4); // of 16,384, one in 2^26
    }
  });
});
