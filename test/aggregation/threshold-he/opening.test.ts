import { describe, expect, test } from 'vitest';
import { ProtocolBroken, type Received, type StoredVector, type TenantId } from '../../../aggregation/secure-sum.ts';
import { asHeard } from '../../../aggregation/stored-vector.ts';
import { thresholdHe } from '../../../aggregation/threshold-he/protocol.ts';
import type { Noised } from '../../../privacy/steps.ts';
import {
  type DrivenEpoch,
  driveContributions,
  driveKeying,
  driveShares,
  NO_RECORD,
  noised,
} from '../../contracts/secure-sum-driver.ts';
import { bytesOf } from './insiders.ts';

const MIB = 2 ** 20;
/** 21 polynomials, more than are handled at a time; the last slot is half empty. */
const DIMENSION = 20 * 8192 + 5;

const keyed = () =>
  driveKeying(thresholdHe, {
    dimension: DIMENSION,
    tenants: 3,
    threshold: 2,
    minCohort: 2,
    colluders: 0,
    maxMagnitude: 2 ** 23 - 1,
  });
const vectorsOf = ({ members }: DrivenEpoch): Map<TenantId, Noised> =>
  new Map(
    members.map((name, i) => [
      name,
      noised(Float64Array.from({ length: DIMENSION }, (_, k) => ((k * 7919 + i * 104_729) % 4_000_001) - 2_000_000)),
    ]),
  );

/** The same vectors, saying what is read of them. */
function watched(said: ReadonlyMap<TenantId, Received>, reads: number[]): Map<TenantId, Received> {
  const watch = (vector: StoredVector): StoredVector => ({
    ...vector,
    read(from, to) {
      reads.push(to - from);
      return vector.read(from, to);
    },
  });
  return new Map([...said].map(([name, one]) => [name, { ...one, vector: watch(one.vector!) }]));
}

/** How often the event loop turned while this was under way: others were waiting for it before. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let over = false;
  const turn = (): void => {
    turns++;
    if (!over) setImmediate(turn);
  };
  setImmediate(turn);
  await work();
  over = true;
  return turns;
}

describe('a long vector', () => {
  test('is opened exactly, of each a MiB at a time, and the event loop turns meanwhile', async () => {
    const epoch = await keyed();
    const vectors = vectorsOf(epoch);
    const round = await driveContributions(epoch, vectors);
    const shares = await driveShares(epoch, round, epoch.coordinator.openers(epoch.members));
    const reads: number[] = [];
    const [contributions, opening] = [watched(round.contributions, reads), watched(shares, reads)];
    let opened: Float64Array = new Float64Array(0);
    const turns = await turnsDuring(async () => {
      opened = await epoch.coordinator.open(contributions, opening, NO_RECORD);
    });
    expect(turns).toBeGreaterThan(10); // after every MiB of each of five vectors
    const sum = new Float64Array(DIMENSION);
    for (const vector of vectors.values()) for (let k = 0; k < DIMENSION; k++) sum[k]! += vector[k]!;
    expect(opened).toEqual(sum);
    expect(Math.max(...reads)).toBeLessThanOrEqual(MIB);
    expect(reads).toHaveLength(2 * 5);

    const stage = thresholdHe.summing[1]!;
    const looked: number[] = [];
    const [said] = watched(round.contributions, looked).values();
    expect(epoch.coordinator.malformed(stage, said!)).toBeUndefined();
    expect(looked).toHaveLength(2);
    expect(Math.max(...looked)).toBeLessThanOrEqual(MIB);
    epoch.forget();
  });

  test('is refused for its last polynomial as for its first', async () => {
    const epoch = await keyed();
    const round = await driveContributions(epoch, vectorsOf(epoch));
    const shares = await driveShares(epoch, round, epoch.coordinator.openers(epoch.members));
    const [name, said] = [...shares][0]!;
    for (const at of [7, 20 * 53_760 + 7]) {
      const bent = bytesOf(said).fill(0xff, at, at + 64);
      const vector: StoredVector = {
        length: bent.length,
        hash: said.vector!.hash,
        read: (a, b) => bent.subarray(a, b),
      };
      expect(epoch.coordinator.malformed(thresholdHe.summing[2]!, { ...said, vector })).toMatch(/below its prime/);
      const bad = new Map(shares).set(name, { ...said, vector });
      const error = await epoch.coordinator
        .open(round.contributions, bad, NO_RECORD)
        .catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ name: 'ProtocolBroken', tenant: name });
      // a bit elsewhere is a polynomial still: then it does not open, and it is nobody's fault that shows
      const flipped = bytesOf(said);
      flipped[at]! ^= 1;
      const other = new Map(shares).set(name, {
        ...said,
        vector: { ...vector, read: (a, b) => flipped.subarray(a, b) },
      });
      await expect(epoch.coordinator.open(round.contributions, other, NO_RECORD)).rejects.toThrow(ProtocolBroken);
    }
    epoch.forget();
  });

  test('is contributed and opened by a tenant whose event loop turns meanwhile', async () => {
    const epoch = await keyed();
    const vectors = vectorsOf(epoch);
    const round = await driveContributions(epoch, vectors);
    const fresh = epoch.tenants.get(epoch.members[0]!)!.round(new Uint8Array(32));
    const ready = new Map(round.ready).set(
      epoch.members[0]!,
      await fresh.prepare(0, new Map()).then(({ open }) => ({ open })),
    );
    expect(await turnsDuring(() => fresh.contribute(vectors.get(epoch.members[0]!)!, ready))).toBeGreaterThan(0);
    const openers = epoch.coordinator.openers(epoch.members);
    const shown = asHeard(round.contributions);
    expect(await turnsDuring(() => round.rounds.get(openers[0]!)!.open(shown, openers))).toBeGreaterThan(0);
    epoch.forget();
  });
});
