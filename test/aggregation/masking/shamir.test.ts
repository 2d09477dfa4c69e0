import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { combine, deal, type Share } from '../../../aggregation/masking/shamir.ts';
import { secureRandom } from '../../../privacy/random.ts';

const random = secureRandom();
/** A source whose every byte is this one. */
const always = (byte: number) => ({ fill: (words: Uint32Array) => void words.fill(byte * 0x01010101) });
const four = (byte: number) => new Uint8Array(4).fill(byte);

/** Multiplication in the field of AES as FIPS 197 §4.2 writes it: polynomials, then the remainder. */
function times(a: number, b: number): number {
  let product = 0;
  for (let bit = 0; bit < 8; bit++) if ((b >> bit) & 1) product ^= a << bit;
  for (let bit = 14; bit >= 8; bit--) if ((product >> bit) & 1) product ^= 0x11b << (bit - 8);
  return product;
}

describe('dealing', () => {
  // {57}·{83} = {c1} and {57}·{13} = {fe}: FIPS 197 §4.2 and §4.2.1; the secret is 0, the line's slope {57}
  test.each([
    [0x83, 0xc1],
    [0x13, 0xfe],
  ])('works in the field of AES: {57}·{%i}', (x, product) => {
    expect(deal(four(0), 2, [x], always(0x57))).toEqual([four(product)]);
  });

  test('is the polynomial at x, byte by byte, for every x', () => {
    const secret = new Uint8Array(randomBytes(8));
    const xs = Array.from({ length: 255 }, (_, i) => i + 1);
    const shares = deal(secret, 3, xs, always(0xa6));
    for (const [i, x] of xs.entries())
      expect([...shares[i]!]).toEqual([...secret].map((byte) => byte ^ times(0xa6, x) ^ times(0xa6, times(x, x))));
  });

  test('takes an x in 1…255 and no other: at 0 lies the secret', () => {
    for (const x of [0, -1, 256, 1.5, Number.NaN]) expect(() => deal(four(1), 2, [x], random)).toThrow(RangeError);
    expect(() => combine([{ x: 0, bytes: four(1) }])).toThrow(RangeError);
  });

  test('draws fresh polynomials', () => {
    const secret = four(9);
    expect(deal(secret, 2, [1], random)).not.toEqual(deal(secret, 2, [1], random));
  });

  test('of one to open gives everyone the secret; nobody is asked to', () => {
    expect(deal(four(7), 1, [1, 200], random)).toEqual([four(7), four(7)]);
  });
});

describe('any so many shares as are needed', () => {
  const dealt = fc
    .record({
      secret: fc.uint8Array({ minLength: 64, maxLength: 64 }),
      threshold: fc.integer({ min: 1, max: 20 }),
      extra: fc.integer({ min: 0, max: 20 }),
    })
    .chain((one) =>
      fc.record({
        ...{ secret: fc.constant(one.secret), threshold: fc.constant(one.threshold) },
        xs: fc.uniqueArray(fc.integer({ min: 1, max: 255 }), {
          minLength: one.threshold + one.extra,
          maxLength: one.threshold + one.extra,
        }),
      }),
    );

  test('give back the secret, in any order, and more than needed do too', () => {
    fc.assert(
      fc.property(dealt, fc.infiniteStream(fc.nat()), ({ secret, threshold, xs }, order) => {
        const shares = deal(secret, threshold, xs, random).map((bytes, i): Share => ({ x: xs[i]!, bytes }));
        const mixed = shares
          .map((share) => [order.next().value!, share] as const)
          .sort(([a], [b]) => a - b)
          .map(([, share]) => share);
        expect(combine(mixed.slice(0, threshold))).toEqual(secret);
        expect(combine(mixed)).toEqual(secret);
      }),
      { numRuns: 40 },
    );
  });

  test('fewer do not, and leave every secret as likely as the other', () => {
    const secret = new Uint8Array(randomBytes(64));
    const shares = deal(secret, 5, [3, 9, 27, 81, 243], random).map((bytes, i): Share => ({ x: 3 ** (i + 1), bytes }));
    expect(combine(shares.slice(0, 4))).not.toEqual(secret);
    // four shares and any byte at 0 lie on one polynomial of degree 4: for each byte there is a fifth share that gives it
    const four = shares.slice(0, 4).map(({ x, bytes }) => ({ x, bytes: bytes.slice(0, 4) }));
    const seen = new Set<number>();
    for (let byte = 0; byte < 256; byte++) {
      const fifth = { x: 243, bytes: new Uint8Array(4).fill(byte) };
      seen.add(combine([...four, fifth])[0]!);
    }
    expect(seen.size).toBe(256);
  });

  test('one that was bent gives another secret', () => {
    const secret = new Uint8Array(randomBytes(64));
    const shares = deal(secret, 3, [1, 2, 3], random).map((bytes, i): Share => ({ x: i + 1, bytes }));
    shares[1]!.bytes[40]! ^= 1;
    expect(combine(shares)).not.toEqual(secret);
  });

  test('the same one twice is refused: it would determine nothing', () => {
    const [share] = deal(four(1), 2, [5], random);
    expect(() => combine([5, 5].map((x) => ({ x, bytes: share! })))).toThrow(/two shares have x = 5/);
  });
});
