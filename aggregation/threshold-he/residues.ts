import { DEGREE, PACKED_BYTES, PRIMES } from './parameters.ts';

/**
 * A polynomial modulo q as its residues: 4096 modulo q₀, then 4096 modulo q₁, each a little-endian pair of
 * 32-bit words (low, high). In memory this is, byte for byte, what SEAL keeps.
 *
 * Addition is in either form (coefficients or NTT values) the same; who holds one knows which it is.
 */
export type Residues = Uint32Array;

/** 32-bit words of one polynomial. */
export const WORDS: number = 2 * PRIMES.length * DEGREE;

/** Where words come from: a secure source, a key stream or a public hash. `privacy`'s `RandomSource` is one. */
export interface Words {
  fill(words: Uint32Array): void;
}

const low = (prime: bigint): number => Number(prime & 0xffffffffn);
const high = (prime: bigint): number => Number(prime >> 32n);

export const noResidues = (): Residues => new Uint32Array(WORDS);

/** The constant polynomial with these residues; all NTT values of a constant are that constant. */
export function constant(values: readonly [bigint, bigint]): Residues {
  const out = noResidues();
  values.forEach((value, prime) => {
    for (let word = 2 * prime * DEGREE; word < 2 * (prime + 1) * DEGREE; word += 2) {
      out[word] = low(value);
      out[word + 1] = high(value);
    }
  });
  return out;
}

/*
 * Addition and subtraction run on 32-bit words without a branch: half of all sums pass q, so a branch would be
 * mispredicted half the time, and its timing would tell something of a key share. With x, y of 32 bits and
 * s = x + y, d = x − y (both modulo 2^32), carry = ((x & y) | ((x | y) & ~s)) >>> 31 and
 * borrow = ((~x & y) | (~(x ^ y) & d)) >>> 31 (Warren, Hacker's Delight, §2-13).
 */

/** sum += term modulo q. Both below q, residue by residue. */
export function addInto(sum: Residues, term: Residues): void {
  for (let prime = 0; prime < PRIMES.length; prime++) {
    const qLow = low(PRIMES[prime]!.value) | 0;
    const qHigh = high(PRIMES[prime]!.value) | 0;
    const end = 2 * (prime + 1) * DEGREE;
    for (let word = 2 * prime * DEGREE; word < end; word += 2) {
      const x = sum[word]! | 0;
      const y = term[word]! | 0;
      const lo = (x + y) | 0;
      const hi = (sum[word + 1]! + term[word + 1]! + (((x & y) | ((x | y) & ~lo)) >>> 31)) | 0;
      const less = (lo - qLow) | 0;
      const lessHigh = (hi - qHigh - (((~lo & qLow) | (~(lo ^ qLow) & less)) >>> 31)) | 0;
      const below = lessHigh >> 31; // all ones when the sum is below q
      sum[word] = (lo & below) | (less & ~below);
      sum[word + 1] = (hi & below) | (lessHigh & ~below);
    }
  }
}

/** sum −= term modulo q. Both below q. */
export function subtractFrom(sum: Residues, term: Residues): void {
  for (let prime = 0; prime < PRIMES.length; prime++) {
    const qLow = low(PRIMES[prime]!.value) | 0;
    const qHigh = high(PRIMES[prime]!.value) | 0;
    const end = 2 * (prime + 1) * DEGREE;
    for (let word = 2 * prime * DEGREE; word < end; word += 2) {
      const x = sum[word]! | 0;
      const y = term[word]! | 0;
      const less = (x - y) | 0;
      const lessHigh = (sum[word + 1]! - term[word + 1]! - (((~x & y) | (~(x ^ y) & less)) >>> 31)) | 0;
      const below = lessHigh >> 31; // all ones when the difference is negative
      const back = qLow & below;
      const lo = (less + back) | 0;
      sum[word] = lo;
      sum[word + 1] = lessHigh + (qHigh & below) + (((less & back) | ((less | back) & ~lo)) >>> 31);
    }
  }
}

/**
 * A polynomial uniform modulo q, by rejection: residues are drawn in the bits of their prime, and those not
 * below it are drawn again, in order. Two readers of the same stream get the same polynomial.
 */
export function uniform(source: Words): Residues {
  const out = noResidues();
  source.fill(out);
  const again = new Uint32Array(2);
  for (let prime = 0; prime < PRIMES.length; prime++) {
    const { bits, value } = PRIMES[prime]!;
    const mask = 2 ** (bits - 32) - 1;
    const qLow = low(value);
    const qHigh = high(value);
    for (let word = 2 * prime * DEGREE; word < 2 * (prime + 1) * DEGREE; word += 2) {
      let hi = out[word + 1]! & mask;
      while (hi === qHigh && out[word]! >= qLow) {
        source.fill(again);
        out[word] = again[0]!;
        hi = again[1]! & mask;
      }
      out[word + 1] = hi;
    }
  }
  return out;
}

/** Writes 53 760 bytes at `at`: the residues end to end in 47 and 58 bits, low bits first. */
export function pack(residues: Residues, into: Uint8Array, at: number): void {
  const packed = new Uint32Array(PACKED_BYTES / 4);
  let next = 0;
  for (let prime = 0; prime < PRIMES.length; prime++) {
    const highBits = PRIMES[prime]!.bits - 32;
    let held = 0; // bits not yet written, and how many: always fewer than 32
    let count = 0;
    for (let word = 2 * prime * DEGREE; word < 2 * (prime + 1) * DEGREE; word += 2) {
      const lo = residues[word]!;
      const hi = residues[word + 1]!;
      packed[next++] = held | (lo << count);
      held = (count === 0 ? 0 : lo >>> (32 - count)) | (hi << count);
      count += highBits;
      if (count >= 32) {
        packed[next++] = held;
        count -= 32;
        held = count === 0 ? 0 : hi >>> (highBits - count);
      }
    }
  }
  into.set(new Uint8Array(packed.buffer), at);
}

/**
 * Reads what `pack` wrote. Bytes from a network are read by nothing else, and never by SEAL.
 * @returns undefined when `bytes` is not exactly one polynomial with every residue below its prime
 */
export function unpack(bytes: Uint8Array): Residues | undefined {
  if (bytes.length !== PACKED_BYTES) return undefined;
  const aligned = new Uint8Array(PACKED_BYTES);
  aligned.set(bytes);
  const packed = new Uint32Array(aligned.buffer);
  const out = noResidues();
  let next = 0;
  for (let prime = 0; prime < PRIMES.length; prime++) {
    const { bits, value } = PRIMES[prime]!;
    const highBits = bits - 32;
    const mask = 2 ** highBits - 1;
    const qLow = low(value);
    const qHigh = high(value);
    let held = 0;
    let count = 0;
    for (let word = 2 * prime * DEGREE; word < 2 * (prime + 1) * DEGREE; word += 2) {
      const first = packed[next++]!;
      const lo = (held | (first << count)) >>> 0;
      held = count === 0 ? 0 : first >>> (32 - count);
      let hi: number;
      if (count >= highBits) {
        hi = held & mask;
        held >>>= highBits;
        count -= highBits;
      } else {
        const second = packed[next++]!;
        hi = (held | (second << count)) & mask;
        held = second >>> (highBits - count);
        count += 32 - highBits;
      }
      if (hi > qHigh || (hi === qHigh && lo >= qLow)) return undefined;
      out[word] = lo;
      out[word + 1] = hi;
    }
  }
  return out;
}
