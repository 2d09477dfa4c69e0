import { expect, test } from 'vitest';
import { largestInLane } from '../../../aggregation/kernels/lanes.ts';
import { DEGREE, packedBytes } from '../../../aggregation/kernels/rings.ts';
import { typescriptKernels } from '../../../aggregation/kernels/typescript/kernels.ts';
import { ProtocolBroken } from '../../../aggregation/secure-sum.ts';
import { arithmetic } from '../../../aggregation/threshold-he/arithmetic.ts';
import { layoutOf } from '../../../aggregation/threshold-he/layout.ts';
import { ownKey } from '../../../aggregation/threshold-he/own-key.ts';
import { CLASSICAL, PACKED_BYTES, QUANTUM } from '../../../aggregation/threshold-he/parameters.ts';
import { zero } from '../../../aggregation/threshold-he/polynomial.ts';
import { thresholdHe } from '../../../aggregation/threshold-he/protocol.ts';
import { startSeal } from '../../../aggregation/threshold-he/seal.ts';
import { driveKeying, driveRound, NO_RECORD, names, noised } from '../../contracts/secure-sum-driver.ts';
import { contributionsOf, insiders, sharesOf } from './insiders.ts';

const HYBRID = 'x25519-ml-kem-768';
const shape = (maxMagnitude: number, dimension = 1) =>
  ({
    ...{ dimension, tenants: 5, threshold: 3, minCohort: 3, colluders: 0, maxMagnitude },
    keyAgreement: HYBRID,
  }) as const;

test.each([
  ['classical', CLASSICAL],
  ['quantum', QUANTUM],
] as const)(
  'the %s profile: 64 openers and 200 contributions decode, and an epoch keeps 2^−48',
  (_, { ring, slots, floodingBits, mostOpened }) => {
    const q = ring.primes.reduce((product, { value }) => product * value, 1n);
    const t = BigInt(slots.value);
    const flooded = 64n * 3n * 2n ** BigInt(floodingBits);
    expect(t / 2n + t * (flooded + 200n * 21n) < q / 2n).toBe(true);
    // below q/8 at eight standard deviations of all openers
    expect(8n * 8n * 2n ** BigInt(floodingBits) * t <= q / 8n + q / 2n ** 20n).toBe(true);
    // 32 tenants at most can between them open what none opens alone; 10.5 is the variance of a fresh error
    const perCoefficient = (0.143 * 200 * 10.5) / 2 ** (2 * floodingBits);
    expect(Math.log2(32 * mostOpened * perCoefficient)).toBeLessThan(-48);
    expect(ring.primes[0]!.value < t).toBe(true); // one level, no special prime
  },
);

test('ML-KEM comes with the ring of 101 bits: lanes of 46 and of 23 bits, 51,712 bytes a polynomial', () => {
  expect(layoutOf(shape(2 ** 22 - 1, 8193))).toEqual({
    ...{ bits: 23, perPolynomial: 8192, slots: 4097, polynomials: 2, bytes: 2 * 51_712 },
  });
  expect(layoutOf(shape(2 ** 22, 4096))).toEqual({
    ...{ bits: 46, perPolynomial: 4096, slots: 4096, polynomials: 1, bytes: 51_712 },
  });
  const budget = (most: number) => thresholdHe.budget(shape(most));
  expect(budget(1000).explanation).toMatch(/a lane of 23 bits, two in a slot, up to ±4194303: 6.3 bytes a value/);
  const most = largestInLane(46, QUANTUM.slots);
  expect(budget(most).explanation).toMatch(/a slot of 46 bits, up to ±35184371834880: 12.6 bytes a value/);
  expect(budget(most).needed).toBeLessThanOrEqual(budget(most).available);
  expect(budget(most + 1).needed).toBeGreaterThan(budget(most + 1).available);
});

test('vectors are handled a MiB at a time in both rings', () => {
  expect(packedBytes(QUANTUM.ring)).toBeLessThan(PACKED_BYTES);
});

test('SEAL has each ring once, and they are not one', async () => {
  const [one, other] = [await startSeal(CLASSICAL), await startSeal(QUANTUM)];
  expect(await startSeal(QUANTUM)).toBe(other);
  expect(one).not.toBe(other);
});

test('a key of the smaller ring encrypts what that ring alone decodes', async () => {
  const tools = await arithmetic(QUANTUM);
  const slots = Float64Array.from({ length: DEGREE }, (_, i) => (i * 17_179_869_209) % QUANTUM.slots.value);
  const key = ownKey(tools);
  const a = tools.ring.uniform({ fill: (bytes) => bytes.fill(7) });
  const phase = key.encrypt(slots, a);
  const product = zero();
  tools.ring.multiplyAdd(product, a, key.secret);
  expect(tools.seal.decode(phase)).not.toEqual(slots);
  tools.ring.add(phase, product);
  expect(tools.seal.decode(phase)).toEqual(slots);
});

test.each([23, 46] as const)(
  'members with WebAssembly and without open one sum with ML-KEM, in lanes of %i bits',
  async (bits) => {
    const most = largestInLane(bits, QUANTUM.slots);
    const plain = typescriptKernels();
    const inside = await insiders(4, 3, {
      maxMagnitude: most,
      keyAgreement: HYBRID,
      kernelsOf: (me) => (me === 'tenant-01' || me === 'tenant-02' ? plain : undefined),
    });
    const rounds = inside.rounds();
    const half = Math.floor(most / 2);
    const vectors = new Map(
      inside.members.map((name, i) => [name, noised([i, -7, i < 2 ? half : 0, i < 2 ? -half : 0])]),
    );
    const contributions = await contributionsOf(rounds, vectors);
    const shares = await sharesOf(rounds, contributions, inside.members.slice(1));
    expect([...(await inside.coordinator.open(contributions, shares, NO_RECORD))]).toEqual([
      6,
      -28,
      2 * half,
      -2 * half,
    ]);
  },
);

test('with ML-KEM a committee opens, and its neighbours’ secrets take what they were offered', async () => {
  const crowd = { ...shape(2 ** 40, 4), tenants: 70, threshold: 36, minCohort: 67, colluders: 1 };
  const epoch = await driveKeying(thresholdHe, crowd);
  const vectors = new Map(epoch.members.map((name, i) => [name, noised([i, -i, 1, 0])]));
  expect([...(await driveRound(epoch, vectors))]).toEqual([2415, -2415, 70, 0]);
  epoch.forget();
}, 60_000);

test('a pair secret hangs on the offered ciphertext: a changed one, or none, opens no share', async () => {
  for (const change of [
    (bytes: Uint8Array) => bytes.with(500, bytes[500]! ^ 1),
    (bytes: Uint8Array) => bytes.subarray(1088),
  ]) {
    const bent = insiders(4, 3, {
      keyAgreement: HYBRID,
      tamper: (stage, said, to) => {
        const mine = said.get('tenant-03')!;
        const sealed = mine.sealed.get(to);
        return stage === 'deal' && sealed
          ? new Map(said).set('tenant-03', { ...mine, sealed: new Map([[to, change(Uint8Array.from(sealed))]]) })
          : said;
      },
    });
    await expect(bent).rejects.toMatchObject({ name: 'ProtocolBroken', tenant: 'tenant-03' });
  }
});

test('one that was told the other agreement makes no keys with the rest', async () => {
  const members = names(3);
  const context = { shape: { ...shape(10), tenants: 3, threshold: 2 }, members, transcript: new Uint8Array(32) };
  const { keyAgreement: _, ...other } = context.shape;
  const hybrid = await thresholdHe.tenant({ ...context, me: 'tenant-00' });
  const classical = await thresholdHe.tenant({ ...context, shape: other, me: 'tenant-01' });
  const announced = new Map([
    ['tenant-00', { open: (await hybrid.key(0, new Map())).open }],
    ['tenant-01', { open: (await classical.key(0, new Map())).open }],
  ]);
  await expect(hybrid.key(1, announced)).rejects.toThrow(ProtocolBroken);
  await expect(classical.key(1, announced)).rejects.toThrow(/wrong length/);
});
