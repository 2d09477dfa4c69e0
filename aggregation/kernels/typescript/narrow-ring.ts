import { DEGREE, MASK_RING } from '../rings.ts';
import { perPrime, type ResidueLoops, residueWords } from './ring.ts';

/** Residues of one word, reduced at every step. */
export const narrowLoops: ResidueLoops = {
  ring: MASK_RING,
  cut(polynomial, from, prime) {
    const { bits, q } = field(prime);
    const mask = 2 ** bits - 1;
    for (let i = from; i < (prime + 1) * WORDS; i++) {
      const value = polynomial[i]! & mask;
      polynomial[i] = value;
      if (value >= q) return i;
    }
    return undefined;
  },
  add(sum, term, prime) {
    const { q } = field(prime);
    for (let i = prime * WORDS; i < (prime + 1) * WORDS; i++) sum[i] = lifted(sum[i]! + term[i]! - q, q);
  },
  subtract(sum, term, prime) {
    const { q } = field(prime);
    for (let i = prime * WORDS; i < (prime + 1) * WORDS; i++) sum[i] = lifted(sum[i]! - term[i]!, q);
  },
  toNtt(polynomial, prime) {
    const { q, powers } = field(prime);
    const a = polynomial.subarray(prime * WORDS, (prime + 1) * WORDS);
    for (let m = 1, t = DEGREE / 2; m < DEGREE; m *= 2, t /= 2) {
      for (let i = 0; i < m; i++) {
        for (let j = 2 * i * t; j < (2 * i + 1) * t; j++) {
          const u = a[j]!;
          const v = product(a[j + t]!, powers[m + i]!, q);
          a[j] = lifted(u + v - q, q);
          a[j + t] = lifted(u - v, q);
        }
      }
    }
  },
  fromNtt(polynomial, prime) {
    const { q, inverses, scale } = field(prime);
    const a = polynomial.subarray(prime * WORDS, (prime + 1) * WORDS);
    for (let m = DEGREE / 2, t = 1; m >= 1; m /= 2, t *= 2) {
      for (let i = 0; i < m; i++) {
        for (let j = 2 * i * t; j < (2 * i + 1) * t; j++) {
          const [u, v] = [a[j]!, a[j + t]!];
          a[j] = lifted(u + v - q, q);
          a[j + t] = product(lifted(u - v, q), inverses[m + i]!, q);
        }
      }
    }
    for (let j = 0; j < DEGREE; j++) a[j] = product(a[j]!, scale, q);
  },
  multiplyAdd(sum, a, b, prime) {
    const { q } = field(prime);
    for (let i = prime * WORDS; i < (prime + 1) * WORDS; i++) {
      sum[i] = lifted(sum[i]! + product(a[i]!, b[i]!, q) - q, q);
    }
  },
  pack(polynomial, into) {
    let at = 0;
    MASK_RING.primes.forEach(({ bits }, prime) => {
      eachStream((stream) => {
        let held = 0; // bits not yet written, and how many: fewer than 32
        let count = 0;
        let to = at + 4 * stream;
        for (let i = prime * WORDS + stream; i < (prime + 1) * WORDS; i += STREAMS) {
          const value = polynomial[i]!;
          held |= value << count;
          count += bits;
          if (count < 32) continue;
          into.setUint32(to, held, true);
          to += 4 * STREAMS;
          count -= 32;
          held = value >>> (bits - count);
        }
      });
      at += (DEGREE * bits) / 8;
    });
  },
  unpack(packed, into) {
    let at = 0;
    MASK_RING.primes.forEach(({ bits }, prime) => {
      const mask = 2 ** bits - 1;
      eachStream((stream) => {
        let held = 0;
        let count = 0;
        let from = at + 4 * stream;
        for (let i = prime * WORDS + stream; i < (prime + 1) * WORDS; i += STREAMS) {
          if (count >= bits) {
            into[i] = held & mask;
            held >>>= bits;
            count -= bits;
          } else {
            const next = packed.getUint32(from, true);
            from += 4 * STREAMS;
            into[i] = (held | (next << count)) & mask;
            held = next >>> (bits - count);
            count += 32 - bits;
          }
        }
      });
      at += (DEGREE * bits) / 8;
    });
  },
};

const WORDS = residueWords(MASK_RING);

/**
 * On the wire the residues of a prime are four streams of bits, low bits first, residue i in stream i mod 4; their
 * 32-bit words alternate. That is one stream a lane of a SIMD register (Lemire and Boytsov 2015, arXiv:1209.2137, §4).
 */
const STREAMS = 4;
const eachStream = (work: (stream: number) => void): void => [0, 1, 2, 3].forEach(work);

const field = perPrime(MASK_RING, ({ prime, powers, inverses, scale }) => ({
  q: Number(prime.value),
  bits: prime.bits,
  powers: Uint32Array.from(powers, Number),
  inverses: Uint32Array.from(inverses, Number),
  scale: Number(scale),
}));

/** A number in [−q, q) brought to [0, q), without a branch. */
export const lifted = (value: number, q: number): number => value + (q & (value >> 31));

/**
 * a·b modulo q < 2^27, both below it. What is left is exact in its low 32 bits; the quotient is never too small, as
 * rounding is monotone and keeps kq (or the even kq + 1), and too large by one at most: a·b/q < 2^27 has 26 bits to spare.
 */
export function product(a: number, b: number, q: number): number {
  const quotient = Math.floor((a * b) / q);
  return lifted((Math.imul(a, b) - Math.imul(quotient, q)) | 0, q);
}
