import { describe, expect, test } from 'vitest';
import type { Kernels } from '../../../aggregation/kernels/kernels.ts';
import { LARGEST_ERROR_SUM, largestInLane, valuesPerPolynomial } from '../../../aggregation/kernels/lanes.ts';
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
  const most = largestInLane(bits);
  const all = valuesPerPolynomial(bits);

  /** Coefficient i, as the definition says. */
  const coefficient = (values: ArrayLike<number>, errors: ArrayLike<number>, i: number): bigint => {
    let sum = BigInt(errors[i]!) << 92n;
    for (let lane = 0; lane < each; lane++) sum += BigInt(values[each * i + lane] ?? 0) << BigInt(bits * lane);
    return sum;
  };

  test.each([0, 1, 2, 5, all - 1, all])(
    '%i values and the errors are the residues of one integer a coefficient, and open again',
    (length) => {
      const [values, errors] = [integers(length, most, 'values'), errorsOf('errors')];
      const expected = ofIntegers((i) => coefficient(values, errors, i));
      for (const { lattice } of BOTH) {
        const encoded = lattice.encode(values, bits, errors);
        expect(encoded).toEqual(expected);
        const opened = new Float64Array(length);
        lattice.decode(encoded, bits, opened);
        expect(opened).toEqual(values);
      }
    },
  );

  test('the sum of 200, lanes at either end of the bound and errors too, opens exactly', () => {
    const n = 200;
    const sums = integers(all, most, 'sums');
    // every sign beside every other: a coefficient's lanes and errors count in binary
    const sign = (i: number, bit: number): number => 1 - 2 * ((i >> bit) & 1);
    for (let i = 0; i < all / 2; i++) sums[i] = most * sign(Math.floor(i / each), i % each);
    const errorSums = Float64Array.from({ length: N }, (_, i) => LARGEST_ERROR_SUM * sign(i, each));
    const share = (of: number, tenant: number): number =>
      Math.trunc(of / n) + (tenant < Math.abs(of % n) ? Math.sign(of) : 0);
    const totals = BOTH.map(({ lattice, maskRing }) => {
      const total = new Uint32Array(POLYNOMIAL_WORDS);
      for (let tenant = 0; tenant < n; tenant++) {
        const values = sums.map((sum) => share(sum, tenant));
        const errors = Int8Array.from(errorSums, (sum) => share(sum, tenant));
        maskRing.add(total, lattice.encode(values, bits, errors));
      }
      const opened = new Float64Array(all);
      lattice.decode(total, bits, opened);
      expect(opened).toEqual(sums.map((sum) => sum + 0));
      return total;
    });
    expect(totals[0]).toEqual(ofIntegers((i) => coefficient(sums, errorSums, i)));
    expect(totals[1]).toEqual(totals[0]);
  });

  test('tenants may each be as large as the sum, when they cancel', () => {
    const errors = errorsOf('errors');
    const [first, last] = [integers(all, most, 'first'), integers(all, most, 'last')];
    for (const { lattice, maskRing } of BOTH) {
      const total = lattice.encode(first, bits, errors);
      maskRing.add(total, lattice.encode(last, bits, errors));
      maskRing.add(
        total,
        lattice.encode(
          first.map((one) => -one),
          bits,
          errors,
        ),
      );
      const opened = new Float64Array(all);
      lattice.decode(total, bits, opened);
      expect(opened).toEqual(last.map((one) => one + 0));
    }
  });

  test('one more than the bound, in any lane or of the errors, opens to other values', () => {
    const opens = (values: readonly number[], error: number): boolean[] =>
      BOTH.map(({ lattice }) => {
        const opened = new Float64Array(each);
        lattice.decode(
          ofIntegers((i) => (i === 0 ? coefficient(values, [error], 0) : 0n)),
          bits,
          opened,
        );
        return opened.every((one, lane) => one === values[lane]);
      });
    for (const sign of [1, -1]) {
      const full = new Array<number>(each).fill(sign * most);
      expect(opens(full, sign * LARGEST_ERROR_SUM)).toEqual([true, true]);
      expect(opens(full, sign * (LARGEST_ERROR_SUM + 1))).toEqual([false, false]);
      for (let lane = 0; lane < each; lane++) {
        const with1 = full.with(lane, most + 1);
        expect(opens(with1, 0), `lane ${lane}`).toEqual([false, false]);
        expect(opens(full.with(lane, -most - 2), 0), `lane ${lane}`).toEqual([false, false]);
      }
    }
  });

  test('opening centres: an integer within the bound comes back modulo 2^92, as balanced digits', () => {
    const edge = (2n * BigInt(LARGEST_ERROR_SUM) + 1n) << 91n;
    const view = new DataView(bytesOf(16 * N, 'coefficients').buffer);
    const half = 1n << BigInt(bits - 1);
    const integers = Array.from({ length: N }, (_, i) => {
      const drawn = (view.getBigUint64(16 * i, true) << 64n) | view.getBigUint64(16 * i + 8, true);
      const edges = [edge, -edge, 0n, -1n, 1n, 2n ** 92n, -(2n ** 92n), 2n ** 92n - 1n, 2n ** 91n, -(2n ** 91n)];
      return [...edges, half, half - 1n, -half, -half - 1n][i] ?? (drawn % (2n * edge)) - edge;
    });
    const expected = integers.flatMap((integer) => {
      let rest = BigInt.asUintN(92, integer);
      return Array.from({ length: each }, () => {
        const digit = BigInt.asIntN(bits, rest);
        rest = (rest - digit) >> BigInt(bits);
        return Number(digit);
      });
    });
    const coefficients = ofIntegers((i) => integers[i]!);
    for (const { lattice } of BOTH) {
      const opened = new Float64Array(all);
      lattice.decode(coefficients, bits, opened);
      expect([...opened]).toEqual(expected);
    }
  });

  test('any residues open to the same in both implementations, those about q/2 too', () => {
    const smaller = Q / MASK_RING.primes[3]!.value;
    const middle = (MASK_RING.primes[3]!.value - 1n) / 2n;
    const edges = [middle - 1n, middle, middle + 1n, middle + 2n].flatMap((top) => [top * smaller - 1n, top * smaller]);
    const about = ofIntegers((i) => edges[i % 8]!);
    same(({ lattice }) => {
      const opened = new Float64Array(all);
      lattice.decode(about, bits, opened);
      return opened;
    });
    for (let seed = 0; seed < 4; seed++) {
      same(({ lattice, maskRing }) => {
        const opened = new Float64Array(all);
        lattice.decode(maskRing.uniform(keyStream(seed)), bits, opened);
        return opened;
      });
    }
  });

  test('what no lane holds is refused without naming it, and what does not fit or is not there', () => {
    for (const { lattice } of BOTH) {
      const values = new Float64Array(5);
      for (const bad of [0.5, -1e-9, Number.NaN, most + 1, -most - 1, Number.NEGATIVE_INFINITY, 1e300]) {
        for (const at of [0, 1, 2, 3, 4]) {
          const encode = () => lattice.encode(values.with(at, bad), bits, noErrors);
          expect(encode, `${bad} at ${at}`).toThrow(RangeError);
          expect(encode).toThrow(`within ±${most}, as ${bits} bits hold; one is not`);
        }
      }
      expect(() => lattice.encode(new Float64Array(all + 1), bits, noErrors)).toThrow(`holds ${all} values`);
      expect(() => lattice.encode(values, bits, new Int8Array(N - 1))).toThrow(RangeError);
      expect(() => lattice.encode(values, 24 as 23, noErrors)).toThrow('23 or 46 bits, got 24');
      const coefficients = new Uint32Array(POLYNOMIAL_WORDS);
      expect(() => lattice.decode(coefficients.subarray(1), bits, values)).toThrow(RangeError);
      expect(() => lattice.decode(coefficients, bits, new Float64Array(all + 1))).toThrow(RangeError);
      expect(() => lattice.decode(coefficients, 48 as 46, values)).toThrow('23 or 46 bits, got 48');
    }
  });
});

test('integers next to a multiple of a prime, or half-way between two, keep their residues', () => {
  const most = BigInt(largestInLane(46));
  for (const { value: q } of MASK_RING.primes) {
    const targets = [0n, 1n, q - 1n, q / 2n, q / 2n + 1n];
    const upper = integers(N, Number(most), 'upper lanes');
    const errors = errorsOf('errors');
    const values = new Float64Array(2 * N);
    const expected = ofIntegers((i) => {
      const above = (BigInt(upper[i]!) << 46n) + (BigInt(errors[i]!) << 92n);
      // the lower lane: from −most to most, and with the rest a target modulo q
      const from = ((2n * most - q) * BigInt(i)) / BigInt(N - 1) - most;
      const lower = from + ((((targets[i % 5]! - above - from) % q) + q) % q);
      values.set([Number(lower), upper[i]!], 2 * i);
      return lower + above;
    });
    for (const { lattice } of BOTH) expect(lattice.encode(values, 46, errors)).toEqual(expected);
  }
});

test('the bounds are those of the ring: lanes below 2^91, errors below q/2 less that', () => {
  expect([largestInLane(23), largestInLane(46)]).toEqual([2 ** 22 - 1, 2 ** 45 - 1]);
  const lanes = BigInt(largestInLane(46)) * (1n + 2n ** 46n);
  const fits = (errors: number): boolean => 2n * ((BigInt(errors) << 92n) + lanes) < Q;
  expect([LARGEST_ERROR_SUM, LARGEST_ERROR_SUM + 1].map(fits)).toEqual([true, false]);
  expect([194, 195].map((tenants) => 42 * tenants <= LARGEST_ERROR_SUM)).toEqual([true, false]);
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
  const tenants = 3;
  for (const { lattice, maskRing } of BOTH) {
    const common = maskRing.uniform(keyStream('common'));
    const total = new Uint32Array(POLYNOMIAL_WORDS);
    const keys = new Float64Array(N);
    const expected = new Float64Array(4 * N);
    for (let tenant = 0; tenant < tenants; tenant++) {
      const [secret, errors] = [new Int8Array(N), new Int8Array(N)];
      lattice.centredBinomial(keyStream(`secret${tenant}`), secret);
      lattice.centredBinomial(keyStream(`errors${tenant}`), errors);
      const values = integers(4 * N, 1000, `values${tenant}`);
      values.forEach((value, i) => {
        expected[i]! += value;
      });
      secret.forEach((key, i) => {
        keys[i]! += key;
      });
      // b = m + t·e − a·s
      const masked = lattice.encode(values, 23, errors);
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
    lattice.decode(total, 23, opened);
    expect(opened).toEqual(expected);
    lattice.decode(locked, 23, opened);
    expect(opened.filter((value, i) => value === expected[i]).length).toBeLessThan(10);
    expect(residue(total, MASK_RING, 0, 0)).not.toBe(residue(locked, MASK_RING, 0, 0));
  }
});
