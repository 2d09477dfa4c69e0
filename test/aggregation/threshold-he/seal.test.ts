import { randomFillSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { DEGREE, SLOT_MODULUS } from '../../../aggregation/kernels/rings.ts';
import { arithmetic } from '../../../aggregation/threshold-he/arithmetic.ts';
import { ownKey } from '../../../aggregation/threshold-he/own-key.ts';
import { CLASSICAL } from '../../../aggregation/threshold-he/parameters.ts';
import { type Polynomial, zero } from '../../../aggregation/threshold-he/polynomial.ts';
import { startSeal } from '../../../aggregation/threshold-he/seal.ts';
import { coefficientsOf, noiseOf, product, ring, total } from './insiders.ts';

const tools = await arithmetic(CLASSICAL);
const { seal } = tools;
const slots = Float64Array.from({ length: DEGREE }, (_, i) => (i * 68_719_476_767) % SLOT_MODULUS);
const ZEROS = new Float64Array(DEGREE);
const uniform = () => ring.uniform({ fill: (bytes) => void randomFillSync(bytes) });
const deviation = (values: readonly bigint[]) =>
  Math.sqrt(values.reduce((sum, e) => sum + Number(e) ** 2, 0) / values.length);

describe('SEAL', () => {
  test('is started once per process', async () => {
    expect(await startSeal(CLASSICAL)).toBe(seal);
  });

  test('decodes what it encoded, at both ends of a slot, and fewer slots than there are', () => {
    const edges = Float64Array.from([0, 1, SLOT_MODULUS - 1, (SLOT_MODULUS - 1) / 2, 2 ** 32, 2 ** 32 - 1]);
    expect(seal.decode(seal.withError(slots))).toEqual(slots);
    expect(seal.decode(seal.withError(edges)).subarray(0, 6)).toEqual(edges);
    expect(seal.decode(seal.withError(edges)).subarray(6)).toEqual(new Float64Array(DEGREE - 6));
  });

  test('draws fresh errors of σ ≈ 3.24 each time', () => {
    const [first, second] = [noiseOf(seal.withError(ZEROS)), noiseOf(seal.withError(ZEROS))];
    for (const values of [first, second]) {
      expect(deviation(values)).toBeGreaterThan(3);
      expect(deviation(values)).toBeLessThan(3.5);
    }
    const differences = first.map((e, i) => e - second[i]!);
    expect(deviation(differences)).toBeGreaterThan(4.2); // √2 · 3.24 when independent
  });

  test('draws ternary secrets, each time another', () => {
    const secret = coefficientsOf(seal.secretKey());
    const counts = new Map<number, number>();
    for (let i = 0; i < DEGREE; i++) counts.set(secret[2 * i]!, (counts.get(secret[2 * i]!) ?? 0) + 1);
    expect(counts.size).toBe(3);
    for (const count of counts.values()) expect(Math.abs(count - DEGREE / 3)).toBeLessThan(200);
    expect(coefficientsOf(seal.secretKey())).not.toEqual(secret);
  });

  test('leaves no memory behind, however often it is used', () => {
    const use = (times: number) => {
      for (let i = 0; i < times; i++) {
        seal.secretKey();
        seal.decode(seal.withError(slots));
      }
      return process.memoryUsage().rss;
    };
    const before = use(30);
    expect(use(300) - before).toBeLessThan(60e6); // 300 keys and generators kept would be ≥ 60 MB
  });
});

describe('a tenant’s own key', () => {
  test('encrypts so that a times the key brings the slots back, and nothing else does', () => {
    const key = ownKey(tools);
    const a = uniform();
    const ciphertext = key.encrypt(slots, a);
    expect(seal.decode(ciphertext)).not.toEqual(slots);
    expect(seal.decode(total([ciphertext, product(a, ownKey(tools).secret)]))).not.toEqual(slots);
    const phase = total([ciphertext, product(a, key.secret)]);
    expect(seal.decode(phase)).toEqual(slots);
    expect(deviation(noiseOf(total([key.encrypt(ZEROS, a), product(a, key.secret)])))).toBeGreaterThan(3);
  });

  test('adds up: ciphertexts under one a decrypt under the sum of keys', () => {
    const keys = [ownKey(tools), ownKey(tools), ownKey(tools)];
    const a = uniform();
    const twos = new Float64Array(DEGREE).fill(SLOT_MODULUS - 2);
    const phase = total(keys.flatMap((key) => [key.encrypt(twos, a), product(a, key.secret)]));
    expect(seal.decode(phase).every((value) => value === SLOT_MODULUS - 6)).toBe(true);
  });

  test('encrypts though its secret was dealt and overwritten, and no more once it is forgotten', () => {
    const key = ownKey(tools);
    const secret = key.secret.slice();
    key.secret.fill(0);
    const a = uniform();
    expect(seal.decode(total([key.encrypt(slots, a), product(a, secret)]))).toEqual(slots);
    key.forget();
    expect(() => key.encrypt(slots, a)).toThrow('forgotten');
  });

  test('overwrites all there is of it when it is forgotten', () => {
    const kept: Polynomial[] = [];
    const subtract = (sum: Polynomial, term: Polynomial): void => {
      kept.push(sum);
      ring.subtract(sum, term);
    };
    const key = ownKey({ seal, ring: { ...ring, subtract } });
    expect(kept).not.toEqual([zero()]);
    key.forget();
    expect([...kept, key.secret]).toEqual([zero(), zero()]);
  });
});
