import { describe, expect, test } from 'vitest';
import type { Kernels, Lanes } from '../../../aggregation/kernels/kernels.ts';
import { MASK_RING, POLYNOMIAL_WORDS } from '../../../aggregation/kernels/rings.ts';
import { BOTH, bytesOf, bytesThen, keyStream, polynomialOf, residue } from './both.ts';

const N = 4096;
const Q = MASK_RING.primes.reduce((product, { value }) => product * value, 1n);
const noErrors = new Int8Array(N);

const same = (work: (kernels: Kernels) => unknown): void => {
  const [first, second] = BOTH.map(work);
  expect(first).toEqual(second);
};

/** Integers from −bound to bound, both ends and zero often. */
function integers(length: number, bound: number, seed: string): Float64Array {
  const view = new DataView(bytesOf(8 * length, seed).buffer);
  const edges = [bound, -bound, 0, 1, -1, bound - 1];
  return Float64Array.from({ length }, (_, i) => {
    const drawn = Number(view.getBigUint64(8 * i, true) % BigInt(2 * bound + 1)) - bound;
    return edges[view.getUint8(8 * i) % 20] ?? drawn;
  });
}

const errorsOf = (seed: string): Int8Array => {
  const edges = [42, -42, 127, -128, 0];
  return Int8Array.from(bytesOf(N, seed), (byte) => edges[byte % 25] ?? (byte % 85) - 42);
};

/** A polynomial whose coefficients are these integers. */
const ofIntegers = (at: (i: number) => bigint): Uint32Array =>
  polynomialOf(MASK_RING, (prime, i) => {
    const q = MASK_RING.primes[prime]!.value;
    return ((at(i) % q) + q) % q;
  });

describe.each([23, 46] as const)('lanes of %i bits', (bits) => {
  const each = 92 / bits;
  const lanes = (offset: number): Lanes<23 | 46> => ({ bits, offset });
  const most = 2 ** (bits - 1) - 1;

  test.each([0, 1, 5, (4 * N * 23) / bits])(
    '%i values and the errors are the residues of one integer a coefficient',
    (length) => {
      const offset = Math.floor(most / 3);
      const [values, errors] = [integers(length, offset, 'values'), errorsOf('errors')];
      const expected = ofIntegers((i) => {
        let sum = BigInt(errors[i]!) << 92n;
        for (let lane = 0; lane < each; lane++) {
          const value = values[each * i + lane];
          if (value !== undefined) sum += BigInt(value + offset) << BigInt(bits * lane);
        }
        return sum;
      });
      same(({ lattice }) => {
        const encoded = lattice.encode(values, lanes(offset), errors);
        expect(encoded).toEqual(expected);
        const opened = new Float64Array(length);
        lattice.decode(encoded, lanes(offset), opened);
        expect(opened).toEqual(values);
        return encoded;
      });
    },
  );

  test('a sum of 190 opens exactly, with every value at either end and every error at its largest', () => {
    const [n, offset] = [190, Math.floor(most / 190)]; // 190 · 42 errors are 0.488 q
    for (const sign of [1, -1]) {
      const values = new Float64Array((4 * N * 23) / bits).fill(sign * offset);
      values.fill(-sign * offset, 1, 2);
      const errors = new Int8Array(N).fill(sign * 42);
      for (const { lattice, maskRing } of BOTH) {
        const one = lattice.encode(values, lanes(offset), errors);
        const sum = new Uint32Array(POLYNOMIAL_WORDS);
        for (let i = 0; i < n; i++) maskRing.add(sum, one);
        const opened = new Float64Array(values.length);
        lattice.decode(sum, lanes(n * offset), opened);
        expect(opened).toEqual(values.map((value) => n * value));
      }
    }
  });

  test('values beyond the offset saturate', () => {
    for (const { lattice } of BOTH) {
      const coefficients = lattice.encode(Float64Array.of(11, -11, 1e15, -1e300), lanes(10), noErrors);
      const opened = new Float64Array(4);
      lattice.decode(coefficients, lanes(10), opened);
      expect([...opened]).toEqual([10, -10, 10, -10]);
    }
  });

  test('what is no integer, does not fit or is not there is refused', () => {
    for (const { lattice } of BOTH) {
      const values = new Float64Array(4);
      for (const bad of [0.5, Number.NaN]) {
        expect(() => lattice.encode(values.with(2, bad), lanes(1), noErrors)).toThrow(RangeError);
      }
      expect(() => lattice.encode(new Float64Array((4 * N * 23) / bits + 1), lanes(1), noErrors)).toThrow(RangeError);
      expect(() => lattice.encode(values, lanes(1), new Int8Array(N - 1))).toThrow(RangeError);
      expect(() => lattice.encode(values, lanes(most + 1), noErrors)).toThrow(RangeError);
      expect(() => lattice.encode(values, { bits: 24 as 23, offset: 1 }, noErrors)).toThrow(RangeError);
      const coefficients = new Uint32Array(POLYNOMIAL_WORDS);
      expect(() => lattice.decode(coefficients.subarray(1), lanes(1), values)).toThrow(RangeError);
      expect(() => lattice.decode(coefficients, lanes(0), values)).toThrow(RangeError);
    }
  });
});

test('opening centres: an integer in (−0.49 q, 0.49 q) comes back modulo 2^92', () => {
  const edge = (Q * 49n) / 100n;
  const view = new DataView(bytesOf(16 * N, 'coefficients').buffer);
  const integers = Array.from({ length: N }, (_, i) => {
    const drawn = (view.getBigUint64(16 * i, true) << 64n) | view.getBigUint64(16 * i + 8, true);
    return [edge, -edge, 0n, -1n, 1n, 2n ** 92n, -(2n ** 92n), 2n ** 92n - 1n][i] ?? (drawn % (2n * edge)) - edge;
  });
  const coefficients = ofIntegers((i) => integers[i]!);
  const expected = integers.flatMap((value) =>
    [0n, 23n, 46n, 69n].map((shift) => Number((BigInt.asUintN(92, value) >> shift) & 0x7fffffn) - 1),
  );
  for (const { lattice } of BOTH) {
    const opened = new Float64Array(4 * N);
    lattice.decode(coefficients, { bits: 23, offset: 1 }, opened);
    expect([...opened]).toEqual(expected);
  }
});

test('any residues open to the same in both implementations', () => {
  for (let seed = 0; seed < 4; seed++) {
    same(({ lattice, maskRing }) => {
      const opened = new Float64Array(4 * N);
      lattice.decode(maskRing.uniform(keyStream(seed)), { bits: 23, offset: 1 }, opened);
      return opened;
    });
  }
});

test('encodes integers around the multiples of a prime, where a quotient may be off by one', () => {
  for (const { value: q } of MASK_RING.primes) {
    const most = 2n ** 46n / q - 1n;
    const lanes = Array.from({ length: 8192 }, (_, i) => ((most * BigInt(i)) / 8191n) * q + BigInt(i % 3) - 1n);
    const offset = 2 ** 45 - 1;
    const values = Float64Array.from(lanes.slice(1), (lane) => Number(lane) - offset);
    const expected = ofIntegers((i) =>
      [0, 1].reduce(
        (sum, k) => sum + ((lanes[2 * i + k + 1] ?? 0n) << BigInt(46 * k)),
        BigInt(i % 5 === 0 ? -128 : 127) << 92n,
      ),
    );
    const errors = Int8Array.from({ length: N }, (_, i) => (i % 5 === 0 ? -128 : 127));
    for (const { lattice } of BOTH) expect(lattice.encode(values, { bits: 46, offset }, errors)).toEqual(expected);
  }
});

test('products one below and one above a multiple of a prime are exact', () => {
  // b = ±1/a, so that a·b is a multiple of the prime and one more, or less
  const [a, b] = [1n, -1n].map((sign) =>
    polynomialOf(MASK_RING, (prime, i) => {
      const q = MASK_RING.primes[prime]!.value;
      const x = q - 1n - BigInt(i);
      return sign === 1n ? x : ((i % 2 === 0 ? 1n : q - 1n) * inverse(x, q)) % q;
    }),
  ) as [Uint32Array, Uint32Array];
  const expected = polynomialOf(MASK_RING, (prime, i) => (i % 2 === 0 ? 1n : MASK_RING.primes[prime]!.value - 1n));
  for (const { maskRing } of BOTH) {
    const sum = new Uint32Array(POLYNOMIAL_WORDS);
    maskRing.multiplyAdd(sum, a, b);
    expect(sum).toEqual(expected);
  }
});

/** Euclid's, extended. */
function inverse(value: bigint, q: bigint): bigint {
  let [r, next, s, nextS] = [value, q, 1n, 0n];
  while (next !== 0n) [r, next, s, nextS] = [next, r % next, nextS, s - (r / next) * nextS];
  return ((s % q) + q) % q;
}

describe('centred binomial samples', () => {
  test('count ones in the low 42 bits of two words', () => {
    const first = new Uint8Array(64);
    first.fill(0xff, 0, 8); // +42: the upper 22 bits do not count
    first.fill(0xff, 24, 32); // −42
    first.fill(0xff, 32, 48); // 0
    first[48 + 5] = 0x02; // bit 41
    first[48 + 13] = 0xfc; // bits 42 and up
    for (const { lattice } of BOTH) {
      const samples = new Int8Array(4);
      lattice.centredBinomial(bytesThen(first, 'then'), samples);
      expect([...samples]).toEqual([42, -42, 0, 1]);
    }
  });

  test('have mean 0 and variance 21, and are the same in both', () => {
    same(({ lattice }) => {
      const samples = new Int8Array(100_001);
      lattice.centredBinomial(keyStream('samples'), samples);
      const mean = samples.reduce((sum, x) => sum + x, 0) / samples.length;
      const variance = samples.reduce((sum, x) => sum + x * x, 0) / samples.length;
      expect(Math.abs(mean)).toBeLessThan(0.06); // 4 standard errors; the seed is fixed
      expect(Math.abs(variance - 21)).toBeLessThan(0.4);
      return samples;
    });
  });
});

test('masked with keys that add up, a sum opens with the sum of the keys, and not without it', () => {
  const [tenants, offset] = [3, 1000];
  const lanes: Lanes<23 | 46> = { bits: 23, offset };
  for (const { lattice, maskRing } of BOTH) {
    const common = maskRing.uniform(keyStream('common'));
    const total = new Uint32Array(POLYNOMIAL_WORDS);
    const keys = new Float64Array(N);
    const expected = new Float64Array(4 * N);
    for (let tenant = 0; tenant < tenants; tenant++) {
      const [secret, errors] = [new Int8Array(N), new Int8Array(N)];
      lattice.centredBinomial(keyStream(`secret${tenant}`), secret);
      lattice.centredBinomial(keyStream(`errors${tenant}`), errors);
      const values = integers(4 * N, offset, `values${tenant}`);
      values.forEach((value, i) => {
        expected[i]! += value;
      });
      secret.forEach((key, i) => {
        keys[i]! += key;
      });
      // b = m + t·e − a·s
      const masked = lattice.encode(values, lanes, errors);
      maskRing.toNtt(masked);
      const negated = ofIntegers((i) => -BigInt(secret[i]!));
      maskRing.toNtt(negated);
      maskRing.multiplyAdd(masked, common, negated);
      maskRing.add(total, masked);
    }
    const locked = total.slice();
    const sumOfKeys = ofIntegers((i) => BigInt(keys[i]!));
    maskRing.toNtt(sumOfKeys);
    maskRing.multiplyAdd(total, common, sumOfKeys);
    maskRing.fromNtt(total);
    maskRing.fromNtt(locked);
    const opened = new Float64Array(4 * N);
    lattice.decode(total, { bits: 23, offset: tenants * offset }, opened);
    expect(opened).toEqual(expected);
    lattice.decode(locked, { bits: 23, offset: tenants * offset }, opened);
    expect(opened.filter((value, i) => value === expected[i]).length).toBeLessThan(10);
    expect(residue(total, MASK_RING, 0, 0)).not.toBe(residue(locked, MASK_RING, 0, 0));
  }
});
