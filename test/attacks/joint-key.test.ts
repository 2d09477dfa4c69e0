import { randomInt } from 'node:crypto';
import { expect, test } from 'vitest';

/**
 * Why there is no joint public key (aggregation/SECURITY.md, "Why no joint public key").
 *
 * The textbook threshold BGV, in plain integers at a small degree with the moduli and the flooding of production: the
 * openers of ePrint 2020/304 multiply the second half of the summed ciphertext with their key shares. A colluder's
 * ciphertext need not be an encryption of anything, and no check that "the sum is the sum" sees it.
 */
const N = 64;
const Q = 140_737_488_273_409n * 288_230_376_151_130_113n;
const T = 2n ** 48n - 16_383n;
const PARTIES = 5;
const FLOODING = 2 ** 48;

type Poly = bigint[];
const poly = (draw: () => bigint): Poly => Array.from({ length: N }, draw);
const mod = (value: bigint): bigint => ((value % Q) + Q) % Q;
const centred = (value: bigint): bigint => (mod(value) > Q / 2n ? mod(value) - Q : mod(value));
const add = (...all: Poly[]): Poly => poly(() => 0n).map((_, i) => mod(all.reduce((sum, one) => sum + one[i]!, 0n)));
const scale = (a: Poly, by: bigint): Poly => a.map((value) => mod(value * by));

/** In Z_q[x]/(x^N + 1). */
function times(a: Poly, b: Poly): Poly {
  const product = Array<bigint>(N).fill(0n);
  for (let i = 0; i < N; i++)
    for (let j = 0; j < N; j++) {
      const sign = i + j < N ? 1n : -1n;
      product[(i + j) % N]! += sign * a[i]! * b[j]!;
    }
  return product.map(mod);
}

const uniform = (): Poly =>
  poly(() => (BigInt(randomInt(2 ** 47)) << 58n) | (BigInt(randomInt(2 ** 30)) << 28n) | BigInt(randomInt(2 ** 28)));
const ternary = (): Poly => poly(() => BigInt(randomInt(3) - 1));
const small = (): Poly => poly(() => BigInt(randomInt(13) - 6));
const flooding = (): Poly => poly(() => BigInt(Math.round((Math.random() * 2 - 1) * 2 * FLOODING)));

test('with a joint public key one colluder reads the whole joint key from one honest opening, flooding and all', () => {
  const keys = Array.from({ length: PARTIES }, ternary);
  const key = add(...keys);
  const a = uniform();
  const b = scale(add(times(a, key), scale(small(), T)), -1n);
  const encrypt = (message: Poly): [Poly, Poly] => {
    const u = ternary();
    return [add(times(b, u), scale(small(), T), message), add(times(a, u), scale(small(), T))];
  };
  const honest = keys.slice(1).map(() => encrypt(poly(() => BigInt(randomInt(2 ** 31)))));
  // not an encryption of anything: nothing in the first half, a large constant in the second
  const step = Q / 32n;
  const forged: [Poly, Poly] = [poly(() => 0n), [step, ...Array<bigint>(N - 1).fill(0n)]];
  const [c0, c1] = [...honest, forged].reduce(([x, y], [u, v]) => [add(x, u), add(y, v)]);

  // the colluder has no reason to flood its own; what four others add stays below half a step
  const shares = keys.map((own, i) => (i === 0 ? times(c1, own) : add(times(c1, own), scale(flooding(), T))));
  const phase = add(c0, ...shares).map(centred);
  const read = phase.map((value) => BigInt(Math.round(Number((value * 1000n) / step) / 1000)));
  expect(read).toEqual(key.map(centred));
});
