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

/** sum += term modulo q. Both below q, residue by residue. */
export function addInto(sum: Residues, term: Residues): void {
  for (let prime = 0; prime < PRIMES.length; prime++) {
    const qLow = low(PRIMES[prime]!.value);
    const qHigh = high(PRIMES[prime]!.value);
    for (let word = 2 * prime * DEGREE; word < 2 * (prime + 1) * DEGREE; word += 2) {
      let lo = sum[word]! + term[word]!;
      let hi = sum[word + 1]! + term[word + 1]!;
      if (lo > 0xffffffff) {
        lo -= 0x100000000;
        hi++;
      }
      if (hi > qHigh || (hi === qHigh && lo >= qLow)) {
        lo -= qLow;
        hi -= qHigh;
        if (lo < 0) {
          lo += 0x100000000;
          hi--;
        }
      }
      sum[word] = lo;
      sum[word + 1] = hi;
    }
  }
}

/** sum −= term modulo q. */
export function subtractFrom(sum: Residues, term: Residues): void {
  for (let prime = 0; prime < PRIMES.length; prime++) {
    const qLow = low(PRIMES[prime]!.value);
    const qHigh = high(PRIMES[prime]!.value);
    for (let word = 2 * prime * DEGREE; word < 2 * (prime + 1) * DEGREE; word += 2) {
      let lo = sum[word]! - term[word]!;
      let hi = sum[word + 1]! - term[word + 1]!;
      if (lo < 0) {
        lo += 0x100000000;
        hi--;
      }
      if (hi < 0) {
        lo += qLow;
        hi += qHigh;
        if (lo > 0xffffffff) {
          lo -= 0x100000000;
          hi++;
        }
      }
      sum[word] = lo;
      sum[word + 1] = hi;
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
