import { describe, expect, test } from 'vitest';
import type { Kernels } from '../../../aggregation/kernels/kernels.ts';
import {
  DEGREE,
  HE_RING,
  HE_RING_101,
  MASK_RING,
  POLYNOMIAL_WORDS,
  packedBytes,
} from '../../../aggregation/kernels/rings.ts';
import { sealRing } from '../threshold-he/seal-ring.ts';
import { BOTH, bytesOf, bytesThen, edgy, keyStream, polynomialOf, residue, unaligned } from './both.ts';

const N = 4096;
const RINGS = [
  ['heRing', HE_RING],
  ['heRing101', HE_RING_101],
  ['maskRing', MASK_RING],
] as const;

const modulo = (value: bigint, q: bigint): bigint => ((value % q) + q) % q;

test('the rings are of primes as stated, and of at most 106 bits', () => {
  expect(DEGREE).toBe(N);
  for (const { primes } of [HE_RING, HE_RING_101, MASK_RING]) {
    for (const { bits, gap, value } of primes) {
      expect(value).toBe(2n ** BigInt(bits) - BigInt(gap));
      expect(value % 8192n).toBe(1n);
      expect([2n, 3n, 5n, 7n, 11n, 13n].map((base) => power(base, value - 1n, value))).toEqual([
        1n,
        1n,
        1n,
        1n,
        1n,
        1n,
      ]);
    }
    expect(primes.reduce((product, { value }) => product * value, 1n) < 2n ** 106n).toBe(true);
  }
  // what SEAL's table allows 4096 coefficients against a quantum computer (hestdparms.h, seal_he_std_parms_128_tq)
  const [q0, q1] = HE_RING_101.primes.map(({ value }) => value);
  expect(q0! * q1! < 2n ** 101n).toBe(true);
  expect([HE_RING, HE_RING_101, MASK_RING].map(packedBytes)).toEqual([53_760, 51_712, 54_272]);
});

function power(base: bigint, exponent: bigint, q: bigint): bigint {
  let result = 1n;
  for (let square = base, rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % q;
    square = (square * square) % q;
  }
  return result;
}

describe.each(RINGS)('%s', (name, ring) => {
  const each = (work: (kernels: Kernels['heRing']) => void): void => {
    for (const kernels of BOTH) work(kernels[name]);
  };
  const same = (work: (kernels: Kernels['heRing']) => unknown): void => {
    const [first, second] = BOTH.map((kernels) => work(kernels[name]));
    expect(first).toEqual(second);
  };

  test('adds, subtracts and multiplies like big integers', () => {
    for (let seed = 0; seed < 3; seed++) {
      const [a, b, c] = [edgy(ring, `a${seed}`), edgy(ring, `b${seed}`), edgy(ring, `c${seed}`)];
      each((kernels) => {
        const [sum, difference, product] = [a.slice(), a.slice(), a.slice()];
        kernels.add(sum, b);
        kernels.subtract(difference, b);
        kernels.multiplyAdd(product, b, c);
        const at = (polynomial: Uint32Array) => (prime: number, i: number) => residue(polynomial, ring, prime, i);
        const [x, y, z] = [at(a), at(b), at(c)];
        const q = (prime: number) => ring.primes[prime]!.value;
        expect(sum).toEqual(polynomialOf(ring, (p, i) => (x(p, i) + y(p, i)) % q(p)));
        expect(difference).toEqual(polynomialOf(ring, (p, i) => (x(p, i) - y(p, i) + q(p)) % q(p)));
        expect(product).toEqual(polynomialOf(ring, (p, i) => (x(p, i) + y(p, i) * z(p, i)) % q(p)));
      });
    }
  });

  test('every residue at its largest stays exact through sums, products and transforms', () => {
    const largest = polynomialOf(ring, (prime) => ring.primes[prime]!.value - 1n);
    same((kernels) => {
      const [sum, ntt, back, product] = [largest.slice(), largest.slice(), largest.slice(), largest.slice()];
      kernels.add(sum, largest);
      kernels.toNtt(ntt);
      kernels.fromNtt(back);
      kernels.multiplyAdd(product, largest, largest);
      expect(residue(product, ring, 0, 7)).toBe(0n); // −1 + (−1)(−1)
      return [sum, ntt, back, product];
    });
  });

  test('NTT values are values at the odd powers of the smallest root of unity, bit-reversed', () => {
    const coefficients = edgy(ring, 'values');
    each((kernels) => {
      const values = coefficients.slice();
      kernels.toNtt(values);
      ring.primes.forEach(({ value: q }, prime) => {
        const root = smallestRoot(q);
        for (const i of [0, 1, 2, 3, 4, 1365, 2048, 4094, 4095]) {
          const x = power(root, 2n * reversed(i) + 1n, q);
          let expected = 0n;
          for (let k = N - 1; k >= 0; k--) expected = (expected * x + residue(coefficients, ring, prime, k)) % q;
          expect(residue(values, ring, prime, i)).toBe(expected);
        }
      });
    });
  });

  test('a product through the NTT is the schoolbook product modulo X^4096 + 1', () => {
    const [a, sparse] = [edgy(ring, 'dense'), new Map<number, bigint>()];
    const places = new DataView(bytesOf(128, 'places').buffer);
    for (let k = 0; k < 48; k++)
      sparse.set(places.getUint16(2 * k, true) % N, BigInt(places.getUint16(2 * k)) ** 2n + 1n);
    for (const k of [0, 1, N / 2, N - 1]) sparse.set(k, -1n);
    const b = polynomialOf(ring, (prime, i) => modulo(sparse.get(i) ?? 0n, ring.primes[prime]!.value));
    const expected = polynomialOf(ring, (prime, i) => {
      let sum = 0n;
      for (const [k, factor] of sparse) {
        const from = i - k;
        sum += from >= 0 ? factor * residue(a, ring, prime, from) : -factor * residue(a, ring, prime, from + N);
      }
      return modulo(sum, ring.primes[prime]!.value);
    });
    each((kernels) => {
      const [x, y, product] = [a.slice(), b.slice(), new Uint32Array(POLYNOMIAL_WORDS)];
      kernels.toNtt(x);
      kernels.toNtt(y);
      kernels.multiplyAdd(product, x, y);
      kernels.fromNtt(product);
      expect(product).toEqual(expected);
    });
  });

  test('transforms are the same in both implementations, and undo each other', () => {
    for (let seed = 0; seed < 5; seed++) {
      same((kernels) => {
        const values = edgy(ring, `ntt${seed}`);
        kernels.toNtt(values);
        const transformed = values.slice();
        kernels.fromNtt(values);
        expect(values).toEqual(edgy(ring, `ntt${seed}`));
        return transformed;
      });
    }
  });

  test('packs every residue in the bits of its prime, and reads them back from any address', () => {
    const polynomial = edgy(ring, 'packed');
    same((kernels) => {
      const into = new Uint8Array(packedBytes(ring) + 20).fill(0xaa);
      kernels.pack(polynomial, into, 9);
      expect([...into.subarray(0, 9), ...into.subarray(9 + packedBytes(ring))]).toEqual(Array(20).fill(0xaa));
      const bytes = into.slice(9, 9 + packedBytes(ring));
      expect(kernels.unpack(unaligned(bytes))).toEqual(polynomial);
      return bytes;
    });
  });

  test('refuses bytes that are no polynomial: one residue at or above its prime, another length', () => {
    each((kernels) => {
      const bytes = new Uint8Array(packedBytes(ring));
      for (const [prime, { value, bits }] of ring.primes.entries()) {
        for (const i of [0, 1, 2, 3, 127, 128, 2047, 4092, 4095]) {
          for (const [wrong, right] of [
            [value, value - 1n],
            [2n ** BigInt(bits) - 1n, 0n],
          ] as const) {
            kernels.pack(
              polynomialOf(ring, (p, k) => (p === prime && k === i ? right : 5n)),
              bytes,
              0,
            );
            expect(kernels.unpack(bytes)).toBeDefined();
            kernels.pack(
              polynomialOf(ring, (p, k) => (p === prime && k === i ? wrong : 5n)),
              bytes,
              0,
            );
            expect(kernels.unpack(bytes), `${i}`).toBeUndefined();
          }
        }
      }
      bytes.fill(0);
      expect(kernels.unpack(bytes)).toEqual(new Uint32Array(POLYNOMIAL_WORDS));
      expect(kernels.unpack(bytes.subarray(1))).toBeUndefined();
      expect(kernels.unpack(new Uint8Array(bytes.length + 1))).toBeUndefined();
    });
  }, 120_000);

  test('adds packed polynomials, or names the first that is none and adds nothing', () => {
    const terms = Array.from({ length: 5 }, (_, k) => edgy(ring, `term${k}`));
    same((kernels) => {
      const packed = terms.map((term) => {
        const bytes = new Uint8Array(packedBytes(ring));
        kernels.pack(term, bytes, 0);
        return unaligned(bytes);
      });
      const expected = edgy(ring, 'start');
      for (const term of terms) kernels.add(expected, term);
      const sum = edgy(ring, 'start');
      expect(kernels.addPacked(sum, packed)).toBeUndefined();
      expect(sum).toEqual(expected);
      const bad = packed[3]!.slice().fill(0xff, 100, 108);
      expect(kernels.addPacked(sum, packed.with(3, bad))).toBe(3);
      expect(kernels.addPacked(sum, [packed[0]!.subarray(1)])).toBe(0);
      expect(sum).toEqual(expected);
      expect(kernels.addPacked(sum, [])).toBeUndefined();
      return sum;
    });
  });

  test('a packed polynomial added to its negative leaves zero, not the prime', () => {
    const [one, zero] = [edgy(ring, 'one'), new Uint32Array(POLYNOMIAL_WORDS)];
    each((kernels) => {
      const bytes = new Uint8Array(packedBytes(ring));
      kernels.pack(one, bytes, 0);
      const sum = zero.slice();
      kernels.subtract(sum, one);
      expect(kernels.addPacked(sum, [bytes])).toBeUndefined();
      expect(sum).toEqual(zero);
    });
  });

  test('draws uniform residues, those not below their prime again after the rest', () => {
    const bytes = 4 * ring.wordsPerResidue;
    const first = bytesOf(4 * POLYNOMIAL_WORDS, 'first');
    const tooLarge = [0, 1, 4095, 4096, 5000, 8191];
    for (const i of tooLarge) first.fill(0xff, i * bytes, (i + 1) * bytes);
    const again = bytesOf(8 * bytes, 'again');
    again.fill(0xff, bytes, 2 * bytes); // the second draw fails twice
    const streams = () => bytesThen(Buffer.concat([first, again]), 'then');
    same((kernels) => {
      const source = streams();
      const drawn = kernels.uniform(source);
      ring.primes.forEach(({ value }, prime) => {
        for (let i = 0; i < N; i++) if (residue(drawn, ring, prime, i) >= value) throw new Error('not below');
      });
      const next = new Uint8Array(16);
      source.fill(next); // as many bytes used in both
      return [drawn, next];
    });
    const [q] = ring.primes;
    const mask = 2n ** BigInt(q!.bits) - 1n;
    const firstAgain = [...again.subarray(0, bytes)].reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n) & mask;
    const rest = again.subarray(2 * bytes);
    const second = [...rest.subarray(0, bytes)].reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n) & mask;
    const drawn = BOTH[0]![name].uniform(streams());
    expect([residue(drawn, ring, 0, 0), residue(drawn, ring, 0, 1)]).toEqual([firstAgain, second]);
  });

  test('draws again a residue that is its prime, and keeps the one before it', () => {
    const first = bytesOf(4 * POLYNOMIAL_WORDS, 'first');
    const view = new DataView(first.buffer);
    const write = (prime: number, i: number, value: bigint): void => {
      const at = 4 * ring.wordsPerResidue * (prime * N + i);
      const noise = 1n << BigInt(32 * ring.wordsPerResidue - 1); // above the bits that count
      if (ring.wordsPerResidue === 2) view.setBigUint64(at, value + noise, true);
      else view.setUint32(at, Number(value + noise), true);
    };
    ring.primes.forEach(({ value }, prime) => {
      write(prime, 17, value);
      write(prime, 18, value - 1n);
    });
    same((kernels) => {
      const drawn = kernels.uniform(bytesThen(first, 'then'));
      ring.primes.forEach(({ value }, prime) => {
        expect(residue(drawn, ring, prime, 17) < value).toBe(true);
        expect(residue(drawn, ring, prime, 18)).toBe(value - 1n);
      });
      return drawn;
    });
  });

  test('masks that one adds and the other subtracts cancel; each is a uniform polynomial', () => {
    same((kernels) => {
      const sum = edgy(ring, 'masked');
      const expected = sum.slice();
      kernels.mask(sum, [
        { stream: keyStream('x'), adds: true },
        { stream: keyStream('y'), adds: false },
      ]);
      const masked = sum.slice();
      kernels.add(expected, kernels.uniform(keyStream('x')));
      kernels.subtract(expected, kernels.uniform(keyStream('y')));
      expect(sum).toEqual(expected);
      kernels.mask(sum, [
        { stream: keyStream('y'), adds: true },
        { stream: keyStream('x'), adds: false },
      ]);
      expect(sum).toEqual(edgy(ring, 'masked'));
      return masked;
    });
  });

  test('takes polynomials at any address, and refuses other lengths', () => {
    const [a, b] = [edgy(ring, 'a'), edgy(ring, 'b')];
    const expected = a.slice();
    BOTH[0]![name].multiplyAdd(expected, a, b);
    each((kernels) => {
      const [x, y] = [
        new Uint32Array(POLYNOMIAL_WORDS + 3).subarray(1, -2),
        new Uint32Array(POLYNOMIAL_WORDS + 3).subarray(3),
      ];
      x.set(a);
      y.set(b);
      kernels.multiplyAdd(x, x, y);
      expect([...x]).toEqual([...expected]);
      const short = new Uint32Array(POLYNOMIAL_WORDS - 1);
      for (const call of [
        () => kernels.add(a.slice(), short),
        () => kernels.subtract(short, a),
        () => kernels.multiplyAdd(a.slice(), short, b),
        () => kernels.toNtt(short),
        () => kernels.fromNtt(short),
        () => kernels.mask(short, []),
        () => kernels.addPacked(short, []),
        () => kernels.pack(short, new Uint8Array(60_000), 0),
      ]) {
        expect(call).toThrow(RangeError);
      }
      for (const at of [1, -1, 0.5]) {
        expect(() => kernels.pack(a, new Uint8Array(packedBytes(ring)), at)).toThrow('do not fit');
      }
    });
  });
});

/** Tried one by one: whether ψ is of order 8192 is whether ψ^4096 = −1. */
function smallestRoot(q: bigint): bigint {
  const roots: bigint[] = [];
  let candidate = 2n;
  while (power(candidate, (q - 1n) / 2n, q) === 1n) candidate++;
  const root = power(candidate, (q - 1n) / 8192n, q);
  for (let exponent = 1n; exponent < 8192n; exponent += 2n) roots.push(power(root, exponent, q));
  return roots.reduce((least, one) => (one < least ? one : least));
}

const reversed = (i: number): bigint => BigInt(`0b${[...i.toString(2).padStart(12, '0')].reverse().join('')}`);

describe.each(RINGS.slice(0, 2))('%s, a ring of threshold-he,', (name, ring) => {
  test('transforms and multiplies as Microsoft SEAL does, word for word', async () => {
    const seal = await sealRing(ring);
    for (let seed = 0; seed < 3; seed++) {
      const [a, b] = [edgy(ring, `a${seed}`), edgy(ring, `b${seed}`)];
      for (const { [name]: kernels } of BOTH) {
        const [ntt, back, product] = [a.slice(), a.slice(), new Uint32Array(POLYNOMIAL_WORDS)];
        kernels.toNtt(ntt);
        kernels.fromNtt(back);
        kernels.multiplyAdd(product, a, b);
        expect(ntt).toEqual(seal.toNtt(a));
        expect(back).toEqual(seal.fromNtt(a));
        expect(product).toEqual(seal.multiply(a, b));
      }
    }
  });

  test('packs residues end to end: a number in base 2, low bits first', () => {
    const polynomial = edgy(ring, 'wire');
    const expected = ring.primes.map(({ bits }, prime) => {
      let number = 0n;
      for (let i = N - 1; i >= 0; i--) number = (number << BigInt(bits)) | residue(polynomial, ring, prime, i);
      return Buffer.from(number.toString(16).padStart((N * bits) / 4, '0'), 'hex').reverse();
    });
    for (const { [name]: kernels } of BOTH) {
      const bytes = new Uint8Array(packedBytes(ring));
      kernels.pack(polynomial, bytes, 0);
      expect(Buffer.concat(expected).equals(bytes)).toBe(true);
      expect(kernels.unpack(bytes)).toEqual(polynomial);
    }
  });

  test('draws residues from 8 bytes each, and those not below their prime again after all', () => {
    // too large: residue 100 of q₀; the last of q₁, and once more when drawn again
    const stream = bytesOf(65_536 + 24, 'some')
      .fill(0xff, 800, 808)
      .fill(0xff, 65_528, 65_536)
      .fill(0xff, 65_544, 65_552);
    const view = new DataView(stream.buffer);
    const wordAt = (prime: number, i: number): number => {
      if (prime === 0 && i === 100) return 65_536;
      return prime === 1 && i === N - 1 ? 65_552 : 8 * (N * prime + i);
    };
    const expected = polynomialOf(ring, (prime, i) =>
      BigInt.asUintN(ring.primes[prime]!.bits, view.getBigUint64(wordAt(prime, i), true)),
    );
    for (const { [name]: kernels } of BOTH)
      expect(kernels.uniform(bytesThen(stream, 'never asked for'))).toEqual(expected);
  });
});

test('the lattice mask packs four streams of bits side by side', () => {
  const polynomial = edgy(MASK_RING, 'streams');
  let at = 0;
  const expected = new Uint8Array(packedBytes(MASK_RING));
  const view = new DataView(expected.buffer);
  MASK_RING.primes.forEach(({ bits }, prime) => {
    for (let stream = 0; stream < 4; stream++) {
      let all = 0n;
      for (let k = 0; k < N / 4; k++) {
        all |= residue(polynomial, MASK_RING, prime, 4 * k + stream) << BigInt(bits * k);
      }
      for (let word = 0; word < (N * bits) / 128; word++) {
        view.setUint32(at + 4 * (4 * word + stream), Number((all >> BigInt(32 * word)) & 0xffffffffn), true);
      }
    }
    at += (N * bits) / 8;
  });
  for (const { maskRing } of BOTH) {
    const bytes = new Uint8Array(packedBytes(MASK_RING));
    maskRing.pack(polynomial, bytes, 0);
    expect(bytes).toEqual(expected);
  }
});
