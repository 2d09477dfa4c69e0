import { describe, expect, test } from 'vitest';
import { DEGREE, LANE, PLAIN_MODULUS } from '../../../aggregation/threshold-he/parameters.ts';
import { addInto, constant, noResidues, subtractFrom, uniform } from '../../../aggregation/threshold-he/residues.ts';
import { bgv } from '../../../aggregation/threshold-he/seal.ts';
import { secureRandom } from '../../../privacy/random.ts';

const random = secureRandom();
const slots = Float64Array.from({ length: DEGREE }, (_, i) => (i * 68_719_476_767) % PLAIN_MODULUS);
const centred = slots.map((value) => (value > LANE ? value - PLAIN_MODULUS : value));

describe('the ring', () => {
  test('is one per process, and has the parameters stated', async () => {
    expect(await bgv()).toBe(await bgv());
  });

  test('multiplies: by one, by a sum, in either order', async () => {
    const { multiply } = await bgv();
    const [a, b, c] = [uniform(random), uniform(random), uniform(random)];
    expect(multiply(a, constant([1n, 1n]))).toEqual(a);
    expect(multiply(a, b)).toEqual(multiply(b, a));
    const sum = b.slice();
    addInto(sum, c);
    const parts = multiply(a, b);
    addInto(parts, multiply(a, c));
    expect(multiply(a, sum)).toEqual(parts);
  });

  test('transforms there and back, and a constant to itself', async () => {
    const { toNtt, fromNtt } = await bgv();
    const a = uniform(random);
    expect(fromNtt(toNtt(a))).toEqual(a);
    expect(toNtt(a)).not.toEqual(a);
    const seven = noResidues();
    seven[0] = 7;
    seven[2 * DEGREE] = 7;
    expect(toNtt(seven)).toEqual(constant([7n, 7n]));
  });

  test('multiplies as polynomials: X^4095 · X = −1', async () => {
    const { multiply, toNtt, fromNtt } = await bgv();
    const power = (n: number) => {
      const out = noResidues();
      out[2 * n] = 1;
      out[2 * (DEGREE + n)] = 1;
      return toNtt(out);
    };
    const minusOne = noResidues();
    subtractFrom(minusOne, constant([1n, 1n]));
    expect(multiply(power(4095), power(1))).toEqual(minusOne);
    expect(fromNtt(multiply(power(2), power(3)))).toEqual(fromNtt(power(5)));
  });
});

describe('a tenant’s own key', () => {
  test('encrypts so that a times the key brings the slots back', async () => {
    const { ownKey, multiply, decode } = await bgv();
    const key = ownKey();
    const a = uniform(random);
    const phase = key.encrypt(slots, a);
    expect(decode(phase)).not.toEqual(centred);
    addInto(phase, multiply(a, key.secret));
    expect(decode(phase)).toEqual(centred);
    key.forget();
  });

  test('adds up: ciphertexts under one a decrypt under the sum of keys', async () => {
    const { ownKey, multiply, decode } = await bgv();
    const keys = [ownKey(), ownKey(), ownKey()];
    const a = uniform(random);
    const phase = noResidues();
    for (const key of keys) {
      addInto(phase, key.encrypt(new Float64Array(DEGREE).fill(PLAIN_MODULUS - 2), a));
      addInto(phase, multiply(a, key.secret));
    }
    expect(decode(phase).every((value) => value === -6)).toBe(true);
    for (const key of keys) key.forget();
  });

  test('draws fresh errors of σ ≈ 3.24 each time', async () => {
    const { ownKey, multiply, fromNtt } = await bgv();
    const key = ownKey();
    const a = uniform(random);
    const errors = () => {
      const phase = key.encrypt(new Float64Array(DEGREE), a);
      addInto(phase, multiply(a, key.secret));
      const coefficients = fromNtt(phase); // −t·e; its second residue is t·e modulo q₁ exactly, as |t·e| < q₁/2
      return Array.from({ length: DEGREE }, (_, i) => {
        const word = 2 * (DEGREE + i);
        const value = BigInt(coefficients[word]!) | (BigInt(coefficients[word + 1]!) << 32n);
        const q = 288_230_376_151_130_113n;
        return Number((value > q / 2n ? value - q : value) / BigInt(PLAIN_MODULUS));
      });
    };
    const [first, second] = [errors(), errors()];
    const deviation = (values: number[]) => Math.sqrt(values.reduce((sum, e) => sum + e * e, 0) / values.length);
    for (const values of [first, second]) {
      expect(deviation(values)).toBeGreaterThan(3);
      expect(deviation(values)).toBeLessThan(3.5);
    }
    const differences = first.map((e, i) => e - second[i]!);
    expect(deviation(differences)).toBeGreaterThan(4.2); // √2 · 3.24 when independent
    key.forget();
  });

  test('has a ternary secret', async () => {
    const { ownKey, fromNtt } = await bgv();
    const key = ownKey();
    const secret = fromNtt(key.secret);
    const counts = new Map<number, number>();
    for (let i = 0; i < DEGREE; i++) counts.set(secret[2 * i]!, (counts.get(secret[2 * i]!) ?? 0) + 1);
    expect(counts.size).toBe(3);
    for (const count of counts.values()) expect(Math.abs(count - DEGREE / 3)).toBeLessThan(200);
    key.forget();
  });

  test('made and forgotten many times leaves no memory behind', async () => {
    const { ownKey } = await bgv();
    const use = (times: number) => {
      for (let i = 0; i < times; i++) {
        const key = ownKey();
        key.encrypt(slots, key.secret);
        key.forget();
      }
      return process.memoryUsage().rss;
    };
    const before = use(30);
    expect(use(300) - before).toBeLessThan(90e6); // 300 keys kept would be ≥ 180 MB
  });
});
