import type { RandomSource } from '../../privacy/random.ts';

/**
 * Shamir's secret sharing over GF(2^8), each byte on its own (Shamir 1979; the field of AES, x^8 + x^4 + x^3 + x + 1,
 * FIPS 197 §4). Any `threshold` shares determine the secret, fewer are independent of it.
 *
 * Four bytes are worked on at a time. Nothing branches on a secret or looks it up in a table: the x are public, and
 * only they steer the loops.
 */

/** An x-coordinate is a byte other than 0. */
export const MOST_SHARES = 255;

/**
 * @param secret - a multiple of 4 bytes
 * @param xs - where to evaluate, distinct integers in 1…255, one share each
 * @returns shares as long as the secret, in the order of `xs`
 */
export function deal(
  secret: Uint8Array,
  threshold: number,
  xs: readonly number[],
  random: Pick<RandomSource, 'fill'>,
): Uint8Array[] {
  const constant = words(secret);
  const higher = Array.from({ length: threshold - 1 }, () => {
    const coefficient = new Uint32Array(constant.length);
    random.fill(coefficient);
    return coefficient;
  });
  const shares = xs.map((x) => {
    checkX(x);
    const share = new Uint32Array(constant.length);
    // Horner's rule, highest coefficient first
    for (const coefficient of [...higher].reverse()) times(add(share, coefficient), x);
    return new Uint8Array(add(share, constant).buffer);
  });
  for (const coefficient of [constant, ...higher]) coefficient.fill(0);
  return shares;
}

export interface Share {
  readonly x: number;
  readonly bytes: Uint8Array;
}

/** The secret that exactly these shares determine: the right one when they are right, and enough. */
export function combine(shares: readonly Share[]): Uint8Array {
  const secret = new Uint32Array(shares[0]!.bytes.length / 4);
  for (const { x, bytes } of shares) {
    checkX(x);
    const others = shares.filter((share) => share.x !== x).map((share) => share.x);
    if (others.length !== shares.length - 1) throw new RangeError(`two shares have x = ${x}`);
    // Lagrange's coefficient at 0: Π other / (other − x); minus is plus is exclusive or
    const numerator = others.reduce(product, 1);
    const denominator = others.map((other) => other ^ x).reduce(product, 1);
    add(secret, times(words(bytes), product(numerator, inverse(denominator))));
  }
  return new Uint8Array(secret.buffer);
}

function checkX(x: number): void {
  if (!Number.isInteger(x) || x < 1 || x > MOST_SHARES) throw new RangeError(`x must be in 1…255, got ${x}`);
}

const words = (bytes: Uint8Array): Uint32Array => new Uint32Array(new Uint8Array(bytes).buffer);

function add(into: Uint32Array, summand: Uint32Array): Uint32Array {
  for (let i = 0; i < into.length; i++) into[i]! ^= summand[i]!;
  return into;
}

/** Every byte of `into` times the public `x`. */
function times(into: Uint32Array, x: number): Uint32Array {
  for (let i = 0; i < into.length; i++) into[i] = timesWord(into[i]!, x);
  return into;
}

function timesWord(word: number, x: number): number {
  let result = 0;
  let power = word;
  for (let bits = x; bits > 0; bits >>= 1) {
    if (bits & 1) result ^= power;
    // times the variable: shift, and where a byte lost its top bit subtract the field's polynomial
    power = ((power & 0x7f7f7f7f) << 1) ^ (((power >>> 7) & 0x01010101) * 0x1b);
  }
  return result;
}

const product = (a: number, b: number): number => timesWord(a, b);

/** a^254 (the group of the field has 255 elements). Of public numbers only. */
const inverse = (a: number): number => Array.from({ length: 254 }, () => a).reduce(product, 1);
