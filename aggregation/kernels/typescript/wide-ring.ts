import { DEGREE, type Ring } from '../rings.ts';
import { companion, type TransformTable } from '../tables.ts';
import { perPrime, type ResidueLoops } from './ring.ts';

/**
 * Residues of two words, low first. Sums and packing run on 32-bit words without a branch (Warren, Hacker's Delight,
 * §2-13, for carry and borrow); products on BigInts that are cut to 64 bits at every step, which V8 compiles to
 * machine words. Before it has compiled them they leave copies on its heap.
 */
export function wideLoops(ring: Ring): ResidueLoops {
  const transform = perPrime(ring, wideTable);
  return {
    ring,
    cut(polynomial, from, prime) {
      const { bits, value } = ring.primes[prime]!;
      const mask = 2 ** (bits - 32) - 1;
      const [qLow, qHigh] = halves(value);
      for (let word = from; word < (prime + 1) * WORDS; word += 2) {
        const high = polynomial[word + 1]! & mask;
        polynomial[word + 1] = high;
        if (high > qHigh || (high === qHigh && polynomial[word]! >= qLow)) return word;
      }
      return undefined;
    },
    add(sum, term, prime) {
      const [qLow, qHigh] = halves(ring.primes[prime]!.value).map((half) => half | 0) as [number, number];
      for (let word = prime * WORDS; word < (prime + 1) * WORDS; word += 2) {
        const x = sum[word]! | 0;
        const y = term[word]! | 0;
        const low = (x + y) | 0;
        const high = (sum[word + 1]! + term[word + 1]! + (((x & y) | ((x | y) & ~low)) >>> 31)) | 0;
        const less = (low - qLow) | 0;
        const lessHigh = (high - qHigh - (((~low & qLow) | (~(low ^ qLow) & less)) >>> 31)) | 0;
        const below = lessHigh >> 31; // all ones when the sum is below q
        sum[word] = (low & below) | (less & ~below);
        sum[word + 1] = (high & below) | (lessHigh & ~below);
      }
    },
    subtract(sum, term, prime) {
      const [qLow, qHigh] = halves(ring.primes[prime]!.value);
      for (let word = prime * WORDS; word < (prime + 1) * WORDS; word += 2) {
        const x = sum[word]! | 0;
        const y = term[word]! | 0;
        const less = (x - y) | 0;
        const lessHigh = (sum[word + 1]! - term[word + 1]! - (((~x & y) | (~(x ^ y) & less)) >>> 31)) | 0;
        const below = lessHigh >> 31; // all ones when the difference is negative
        const back = qLow & below;
        const low = (less + back) | 0;
        sum[word] = low;
        sum[word + 1] = lessHigh + (qHigh & below) + (((less & back) | ((less | back) & ~low)) >>> 31);
      }
    },
    toNtt: (polynomial, prime) => onBigInts(polynomial, prime, (values) => forward(values, transform(prime))),
    fromNtt: (polynomial, prime) => onBigInts(polynomial, prime, (values) => backward(values, transform(prime))),
    multiplyAdd(sum, a, b, prime) {
      const q = ring.primes[prime]!.value;
      const [x, y] = [bigInts(a, prime), bigInts(b, prime)];
      onBigInts(sum, prime, (values) => {
        for (let i = 0; i < DEGREE; i++) values[i] = (values[i]! + x[i]! * y[i]!) % q;
      });
      x.fill(0n);
      y.fill(0n);
    },
    pack(polynomial, into) {
      let at = 0;
      ring.primes.forEach(({ bits }, prime) => {
        const highBits = bits - 32;
        let held = 0; // bits not yet written, and how many: always fewer than 32
        let count = 0;
        for (let word = prime * WORDS; word < (prime + 1) * WORDS; word += 2) {
          const low = polynomial[word]!;
          const high = polynomial[word + 1]!;
          into.setUint32(at, held | (low << count), true);
          at += 4;
          held = above(low, 32 - count) | (high << count);
          count += highBits;
          if (count < 32) continue;
          into.setUint32(at, held, true);
          at += 4;
          count -= 32;
          held = above(high, highBits - count);
        }
      });
    },
    unpack(packed, into) {
      let at = 0;
      ring.primes.forEach(({ bits }, prime) => {
        const highBits = bits - 32;
        const mask = 2 ** highBits - 1;
        let held = 0;
        let count = 0;
        for (let word = prime * WORDS; word < (prime + 1) * WORDS; word += 2) {
          const first = packed.getUint32(at, true);
          at += 4;
          into[word] = held | (first << count);
          held = above(first, 32 - count);
          if (count < highBits) {
            const second = packed.getUint32(at, true);
            at += 4;
            into[word + 1] = (held | (second << count)) & mask;
            held = above(second, highBits - count);
            count += 32 - highBits;
          } else {
            into[word + 1] = held & mask;
            held >>>= highBits;
            count -= highBits;
          }
        }
      });
    },
  };
}

/** Of all residues of one prime, two each. */
const WORDS = 2 * DEGREE;
const M32 = 0xffffffffn;

const halves = (value: bigint): [number, number] => [Number(value & M32), Number(value >> 32n)];

/** value >>> bits, where a shift by 32 leaves nothing (in JavaScript it would leave all). */
const above = (value: number, bits: number): number => (bits === 32 ? 0 : value >>> bits);

const wideTable = ({ prime, powers, inverses, scale }: TransformTable) => {
  const companions = (of: readonly bigint[]) => of.map((w) => companion(w, prime.value, 64));
  return {
    prime,
    w: BigUint64Array.from(powers),
    ws: BigUint64Array.from(companions(powers)),
    inverseW: BigUint64Array.from(inverses),
    inverseWs: BigUint64Array.from(companions(inverses)),
    scale,
  };
};

type Wide = ReturnType<typeof wideTable>;

const bigInts = (polynomial: Uint32Array, prime: number): BigUint64Array =>
  new BigUint64Array(polynomial.slice(prime * WORDS, (prime + 1) * WORDS).buffer);

function onBigInts(polynomial: Uint32Array, prime: number, work: (values: BigUint64Array) => void): void {
  const values = bigInts(polynomial, prime);
  work(values);
  polynomial.set(new Uint32Array(values.buffer), prime * WORDS);
  values.fill(0n);
}

/** Not wrapped in a function of ours: V8 would no longer see the 64, and the transforms take fifty times as long. */
const asUint = BigInt.asUintN;

/** x·w modulo q, in [0, 4q): the companion times x, without its lowest product, misses the quotient by at most 3. */
function times(x: bigint, w: bigint, ws: bigint, q: bigint): bigint {
  const x0 = asUint(64, x & M32);
  const x1 = asUint(64, x >> 32n);
  const w0 = asUint(64, ws & M32);
  const w1 = asUint(64, ws >> 32n);
  const quotient = asUint(
    64,
    asUint(64, asUint(64, x1 * w1) + asUint(64, asUint(64, x1 * w0) >> 32n)) + asUint(64, asUint(64, x0 * w1) >> 32n),
  );
  return asUint(64, asUint(64, x * w) - asUint(64, quotient * q));
}

/** Cooley and Tukey's butterflies, unreduced: 12 stages add 4q each, and 49q is below 2^64. */
function forward(a: BigUint64Array, { prime, w, ws }: Wide): void {
  const q = prime.value;
  const fourQ = asUint(64, 4n * q);
  for (let m = 1, t = DEGREE / 2; m < DEGREE; m *= 2, t /= 2) {
    for (let i = 0; i < m; i++) {
      const factor = w[m + i]!;
      const its = ws[m + i]!;
      for (let j = 2 * i * t; j < (2 * i + 1) * t; j++) {
        const u = a[j]!;
        const v = times(a[j + t]!, factor, its, q);
        a[j] = asUint(64, u + v);
        a[j + t] = asUint(64, asUint(64, u + fourQ) - v);
      }
    }
  }
  for (let j = 0; j < DEGREE; j++) a[j] = a[j]! % q;
}

/** Gentleman and Sande's, below 4q after each stage. */
function backward(a: BigUint64Array, { prime, inverseW, inverseWs, scale }: Wide): void {
  const q = prime.value;
  const fourQ = asUint(64, 4n * q);
  for (let m = DEGREE / 2, t = 1; m >= 1; m /= 2, t *= 2) {
    for (let i = 0; i < m; i++) {
      const factor = inverseW[m + i]!;
      const its = inverseWs[m + i]!;
      for (let j = 2 * i * t; j < (2 * i + 1) * t; j++) {
        const u = a[j]!;
        const v = a[j + t]!;
        a[j] = asUint(64, u + v) % fourQ;
        a[j + t] = times(asUint(64, asUint(64, u + fourQ) - v), factor, its, q);
      }
    }
  }
  const its = companion(scale, q, 64);
  for (let j = 0; j < DEGREE; j++) a[j] = times(a[j]!, scale, its, q) % q;
}
