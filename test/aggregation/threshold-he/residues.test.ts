import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEGREE, PACKED_BYTES, PRIMES } from '../../../aggregation/threshold-he/parameters.ts';
import {
  addInto,
  constant,
  noResidues,
  pack,
  type Residues,
  subtractFrom,
  uniform,
  unpack,
  WORDS,
} from '../../../aggregation/threshold-he/residues.ts';
import { secureRandom } from '../../../privacy/random.ts';

const random = secureRandom();
const at = (residues: Residues, prime: number, i: number): bigint => {
  const word = 2 * (prime * DEGREE + i);
  return BigInt(residues[word]!) | (BigInt(residues[word + 1]!) << 32n);
};
const packed = (residues: Residues): Uint8Array => {
  const bytes = new Uint8Array(PACKED_BYTES);
  pack(residues, bytes, 0);
  return bytes;
};

/** uniform, with the values where carries and borrows happen placed among them */
function edgy(): Residues {
  const out = uniform(random);
  PRIMES.forEach(({ value }, prime) => {
    [0n, 1n, value - 1n, value / 2n, value / 2n + 1n, 0xffffffffn, 0x100000000n, value - 0x100000000n].forEach(
      (edge) => {
        for (let repeat = 0; repeat < 40; repeat++) {
          const word = 2 * (prime * DEGREE + Math.floor(Math.random() * DEGREE));
          out[word] = Number(edge & 0xffffffffn);
          out[word + 1] = Number(edge >> 32n);
        }
      },
    );
  });
  return out;
}

describe('residues', () => {
  test('add and subtract like big integers', () => {
    for (let run = 0; run < 5; run++) {
      const [a, b] = [edgy(), edgy()];
      const [sum, difference] = [a.slice(), a.slice()];
      addInto(sum, b);
      subtractFrom(difference, b);
      PRIMES.forEach(({ value: q }, prime) => {
        for (let i = 0; i < DEGREE; i++) {
          const [x, y] = [at(a, prime, i), at(b, prime, i)];
          if (at(sum, prime, i) !== (x + y) % q) throw new Error(`${x} + ${y}`);
          if (at(difference, prime, i) !== (x - y + q) % q) throw new Error(`${x} - ${y}`);
        }
      });
    }
  });

  test('pack to their exact bits: a number in base 2, low bits first', () => {
    const residues = edgy();
    let number = 0n;
    let shift = 0n;
    PRIMES.forEach(({ bits }, prime) => {
      for (let i = 0; i < 64; i++) {
        number |= at(residues, prime, i) << shift;
        shift += BigInt(bits);
      }
      const from = prime === 0 ? 0 : (DEGREE * 47) / 8;
      const bytes = packed(residues).subarray(from, from + (64 * bits) / 8);
      expect(Buffer.from(bytes).reverse().toString('hex')).toBe(number.toString(16).padStart(2 * bytes.length, '0'));
      [number, shift] = [0n, 0n];
    });
  });

  test('unpack to what was packed', () => {
    for (let run = 0; run < 5; run++) {
      const residues = edgy();
      expect(unpack(packed(residues))).toEqual(residues);
    }
  });

  test('unpack wherever the bytes lie in their buffer', () => {
    const residues = uniform(random);
    const buffer = new Uint8Array(PACKED_BYTES + 7);
    buffer.set(packed(residues), 3);
    expect(unpack(buffer.subarray(3, 3 + PACKED_BYTES))).toEqual(residues);
  });

  test('are refused from the prime upwards, each of them, and taken just below it', () => {
    PRIMES.forEach(({ value, bits }, prime) => {
      for (const i of [0, 1, 31, 2049, DEGREE - 1]) {
        for (const [edge, taken] of [
          [value - 1n, true],
          [value, false],
          [value + 1n, false],
          [2n ** BigInt(bits) - 1n, false],
        ] as const) {
          const residues = noResidues();
          const word = 2 * (prime * DEGREE + i);
          residues[word] = Number(edge & 0xffffffffn);
          residues[word + 1] = Number(edge >> 32n);
          expect(unpack(packed(residues)) !== undefined).toBe(taken);
        }
      }
    });
  });

  test('are refused at any other length', () => {
    for (const length of [0, 1, PACKED_BYTES - 1, PACKED_BYTES + 1, 2 * PACKED_BYTES]) {
      expect(unpack(new Uint8Array(length))).toBeUndefined();
    }
  });

  test('of any bytes are either refused or pack to the same bytes', () => {
    const anyBytes = fc.uint8Array({ minLength: PACKED_BYTES, maxLength: PACKED_BYTES });
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const read = unpack(bytes);
        if (read) expect(Buffer.compare(packed(read), bytes)).toBe(0);
      }),
      { numRuns: 5 },
    );
  });

  test('drawn at or above their prime are drawn again', () => {
    let call = 0;
    const drawn = uniform({
      fill(words) {
        call++;
        if (call === 1)
          words.fill(0xffffffff); // every residue too large
        else words.set(call % 2 ? [7, 0] : [0xffffffff, 0xffffffff]); // too large once more, then 7
      },
    });
    expect(drawn).toEqual(constant([7n, 7n]));
    expect(call).toBe(1 + 2 * (WORDS / 2));
  });

  test('drawn from bits cover their range evenly', () => {
    const residues = uniform(random);
    PRIMES.forEach(({ value }, prime) => {
      const bins = new Array<number>(16).fill(0);
      for (let i = 0; i < DEGREE; i++) bins[Number((at(residues, prime, i) * 16n) / value)]!++;
      const chi = bins.reduce((sum, n) => sum + (n - 256) ** 2 / 256, 0);
      expect(chi).toBeLessThan(60); // 15 degrees of freedom: exceeded once in 3·10⁶
    });
  });
});
