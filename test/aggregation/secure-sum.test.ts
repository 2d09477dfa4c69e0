import { expect, test } from 'vitest';
import { largestInLane } from '../../aggregation/kernels/lanes.ts';
import { SLOTS_46 } from '../../aggregation/kernels/rings.ts';
import { latticeMask } from '../../aggregation/lattice-mask/protocol.ts';
import { masking } from '../../aggregation/masking/protocol.ts';
import { laneOf } from '../../aggregation/masking/ring.ts';
import { plain } from '../../aggregation/plain.ts';
import { protocolNamed } from '../../aggregation/protocols.ts';
import { inMemory } from '../../aggregation/stored-vector.ts';
import { thresholdHe } from '../../aggregation/threshold-he/protocol.ts';
import { secureSumContract } from '../contracts/secure-sum.contract.ts';
import { driveContributions, driveKeying, noised } from '../contracts/secure-sum-driver.ts';

secureSumContract(plain, Number.MAX_SAFE_INTEGER);
for (const bits of [24, 48] as const) secureSumContract(thresholdHe, largestInLane(bits), largestInLane(48));
for (const bits of [23, 46] as const)
  secureSumContract(thresholdHe, largestInLane(bits, SLOTS_46), largestInLane(46, SLOTS_46), 'x25519-ml-kem-768');
for (const bits of [32, 48, 64] as const) secureSumContract(masking, laneOf(bits), laneOf(64));
for (const bits of [23, 46] as const) secureSumContract(latticeMask, largestInLane(bits), largestInLane(46));

test('protocols are found by name', () => {
  expect(protocolNamed('plain')).toBe(plain);
  expect(protocolNamed('threshold-he')).toBe(thresholdHe);
  expect(protocolNamed('masking')).toBe(masking);
  expect(protocolNamed('lattice-mask')).toBe(latticeMask);
});

test('plain sends little-endian doubles, and refuses a double that is no integer', async () => {
  const epoch = await driveKeying(plain, {
    dimension: 2,
    tenants: 2,
    threshold: 2,
    minCohort: 2,
    colluders: 0,
    maxMagnitude: 10,
  });
  const vectors = new Map(epoch.members.map((name) => [name, noised([1, -2])]));
  const { contributions } = await driveContributions(epoch, vectors);
  const said = contributions.get('tenant-00')!;
  const bytes = Uint8Array.from(said.vector!.read(0, 16));
  expect(Buffer.from(bytes).toString('hex')).toBe('000000000000f03f00000000000000c0');
  bytes[6] = 0xe0; // 1.0 becomes 0.5
  expect(epoch.coordinator.malformed(plain.summing[0]!, { ...said, vector: inMemory(bytes) })).toBeTypeOf('string');
});
