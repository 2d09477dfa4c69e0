import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type KeyAgreement,
  ProtocolBroken,
  type SecureSum,
  type SumShape,
  type TenantId,
} from '../../aggregation/secure-sum.ts';
import { inMemory } from '../../aggregation/stored-vector.ts';
import type { Noised } from '../../privacy/steps.ts';
import {
  type DrivenEpoch,
  driveContributions,
  driveKeying,
  driveOpening,
  driveRound,
  driveShares,
  noised,
} from './secure-sum-driver.ts';

/**
 * What every secure sum keeps. Run it with each implementation, and each size of lane.
 *
 * @param largest - largest |coordinate| a sum in this lane holds
 * @param widest - and in the protocol's widest lane
 * @param keyAgreement - where not the usual one
 */
export function secureSumContract(
  protocol: SecureSum,
  largest: number,
  widest: number = largest,
  keyAgreement?: KeyAgreement,
): void {
  const opens = protocol.summing.some(({ gate }) => gate === 'open');
  const shapeOf = (tenants: number, threshold: number, dimension: number): SumShape => ({
    dimension,
    tenants,
    threshold,
    minCohort: threshold,
    colluders: 0,
    maxMagnitude: largest,
    ...(keyAgreement ? { keyAgreement } : {}),
  });
  const varied = (cohort: readonly TenantId[], dimension: number, seed: number) =>
    variedUpTo(Math.min(2 ** 40, Math.floor(largest / 16)), cohort, dimension, seed);

  describe(`${protocol.name}${keyAgreement ? ` with ${keyAgreement}` : ''} as a secure sum up to ${largest}`, () => {
    describe.each([
      { tenants: 5, threshold: 4, dimension: 5000 },
      { tenants: 3, threshold: 2, dimension: 4096 },
      { tenants: 16, threshold: 11, dimension: 1 },
    ])('of $tenants tenants, $threshold to open, $dimension coordinates', ({ tenants, threshold, dimension }) => {
      let epoch: DrivenEpoch;
      beforeAll(async () => {
        epoch = await driveKeying(protocol, shapeOf(tenants, threshold, dimension));
      });
      afterAll(() => epoch.forget());

      test('opens to exactly the sum, round after round', async () => {
        for (let round = 1; round <= 2; round++) {
          const vectors = varied(epoch.members, dimension, round);
          expect(await driveRound(epoch, vectors)).toEqual(sumOf(vectors, dimension));
        }
      });

      test('is exact where sums are largest, in both directions', async () => {
        const share = Math.floor(largest / tenants);
        const rest = largest - share * (tenants - 1);
        for (const sign of [1, -1]) {
          const vectors = new Map(
            epoch.members.map((name, i) => [name, noised(new Float64Array(dimension).fill(sign * (i ? share : rest)))]),
          );
          expect(await driveRound(epoch, vectors)).toEqual(new Float64Array(dimension).fill(sign * largest));
        }
      });

      test('lets large vectors cancel', async () => {
        const vectors = new Map(epoch.members.map((name) => [name, noised(new Float64Array(dimension))]));
        vectors.set(epoch.members[0]!, noised(new Float64Array(dimension).fill(largest)));
        vectors.set(epoch.members.at(-1)!, noised(new Float64Array(dimension).fill(-largest)));
        expect((await driveRound(epoch, vectors)).every((value) => value === 0)).toBe(true);
      });

      test('sums over the cohort that contributed, when others were not ready', async () => {
        const cohort = epoch.members.slice(tenants - threshold);
        const vectors = varied(cohort, dimension, 3);
        expect(await driveRound(epoch, vectors)).toEqual(sumOf(vectors, dimension));
      });

      test('opens with the last tenants present as well as with the first', async () => {
        const vectors = varied(epoch.members, dimension, 4);
        const round = await driveContributions(epoch, vectors);
        const first = await driveOpening(epoch, round);
        const last = await driveOpening(epoch, round, epoch.members.slice(tenants - threshold));
        expect(last).toEqual(first);
        expect(first).toEqual(sumOf(vectors, dimension));
      });

      test('gives a sum one identity that everyone computes', async () => {
        const round = await driveContributions(epoch, varied(epoch.members, dimension, 5));
        const hash = await epoch.coordinator.sumHash(round.contributions);
        expect(hash).toHaveLength(32);
        const reversed = new Map([...round.shown].reverse());
        for (const tenant of round.rounds.values()) expect(await tenant.sumHash(reversed)).toEqual(hash);
        const other = await driveContributions(epoch, varied(epoch.members, dimension, 6));
        expect(await epoch.coordinator.sumHash(other.contributions)).not.toEqual(hash);
      });

      test('sends the bytes it states', async () => {
        const round = await driveContributions(epoch, varied(epoch.members, dimension, 7));
        await driveShares(epoch, round, epoch.coordinator.openers(epoch.members));
        expect(protocol.bytesPerRound(epoch.shape)).toBe(round.sent.get(epoch.members[0]!));
      });

      test.runIf(opens)('opens for as few as the threshold, not for one fewer', async () => {
        const few = epoch.members.slice(-threshold);
        expect(epoch.coordinator.openers(few)).toEqual(few);
        expect(epoch.coordinator.openers(few.slice(1))).toEqual([]);
        const vectors = varied(epoch.members, dimension, 8);
        const round = await driveContributions(epoch, vectors);
        const shares = await driveShares(epoch, round, few);
        const opened = await epoch.coordinator.open(round.contributions, shares, round.record);
        expect(opened).toEqual(sumOf(vectors, dimension));
        const fewer = new Map([...shares].slice(1));
        await expect(epoch.coordinator.open(round.contributions, fewer, round.record)).rejects.toThrow(ProtocolBroken);
      });
    });

    test('holds its rounds without the members that never announced themselves', async () => {
      const epoch = await driveKeying(protocol, shapeOf(6, 4, 7), ['tenant-00', 'tenant-03']);
      const vectors = varied(epoch.members, 7, 9);
      expect(epoch.members).toHaveLength(4);
      expect(await driveRound(epoch, vectors)).toEqual(sumOf(vectors, 7));
      epoch.forget();
    });

    test('sums any integers of any cohort', async () => {
      const epoch = await driveKeying(protocol, shapeOf(5, 3, 6));
      const most = Math.floor(largest / 5);
      const coordinate = fc.oneof(
        fc.integer({ min: -3, max: 3 }),
        fc.maxSafeInteger().map((n) => n % most),
      );
      const vector = fc.array(coordinate, { minLength: 6, maxLength: 6 }).map(noised);
      const cohort = fc.subarray([...epoch.members], { minLength: 3 });
      const all = fc.array(vector, { minLength: 5, maxLength: 5 });
      const sumsExactly = fc.asyncProperty(cohort, all, async (names, values) => {
        const vectors = new Map(names.map((name, i) => [name, values[i]!]));
        expect(await driveRound(epoch, vectors)).toEqual(sumOf(vectors, 6));
      });
      await fc.assert(sumsExactly, { numRuns: 10 });
      epoch.forget();
    });

    test('takes only whole numbers of its lane, as many as planned', async () => {
      const epoch = await driveKeying(protocol, shapeOf(3, 2, 3));
      for (const bad of [
        [1, 2],
        [1, 2, 3, 4],
        [0, 0.5, 0],
        [0, Number.NaN, 0],
        [0, 0, Infinity],
        [-largest - 1, 0, 0],
      ]) {
        const vectors = varied(epoch.members, 3, 10).set(epoch.members[1]!, noised(bad));
        await expect(driveContributions(epoch, vectors)).rejects.toThrow(RangeError);
      }
      epoch.forget();
    });

    test('opens no sum larger than planned', async () => {
      const epoch = await driveKeying(protocol, { ...shapeOf(3, 2, 5), maxMagnitude: 100 });
      const vectors = new Map(epoch.members.map((name) => [name, noised([0, 0, -33, 0, 0])]));
      expect((await driveRound(epoch, vectors))[2]).toBe(-99);
      vectors.set(epoch.members[0]!, noised([0, 0, -35, 0, 0]));
      await expect(driveRound(epoch, vectors)).rejects.toThrow(ProtocolBroken);
      epoch.forget();
    });

    test('states its bits: the largest sum fits, one more does not', () => {
      const fits = ({ needed, available }: { needed: number; available: number }) => needed <= available;
      expect(fits(protocol.budget(shapeOf(5, 4, 10)))).toBe(true);
      expect(fits(protocol.budget({ ...shapeOf(5, 4, 10), maxMagnitude: widest + 1 }))).toBe(
        widest === Number.MAX_SAFE_INTEGER, // where doubles end, so does the question
      );
      expect(fits(protocol.budget({ ...shapeOf(5, 4, 10), maxMagnitude: 4 * widest }))).toBe(false);
    });

    test('refuses a contribution of the wrong length before it is stored', async () => {
      const epoch = await driveKeying(protocol, shapeOf(3, 2, 20));
      const { contributions } = await driveContributions(epoch, varied(epoch.members, 20, 11));
      const stage = protocol.summing.find(({ gate }) => gate === 'contribute')!;
      const said = contributions.get(epoch.members[0]!)!;
      const { open, sealed, vector } = said;
      const bytes = vector!.read(0, vector!.length);
      expect(epoch.coordinator.malformed(stage, said)).toBeUndefined();
      for (const wrong of [
        { open, sealed },
        { open, sealed, vector: inMemory(bytes.subarray(1)) },
        { open, sealed, vector: inMemory(new Uint8Array([...bytes, 0])) },
        { open: new Uint8Array([...open, 0]), sealed, vector: vector! },
        { open, sealed: new Map([['tenant-01', bytes]]), vector: vector! },
      ]) {
        expect(epoch.coordinator.malformed(stage, wrong)).toBeTypeOf('string');
      }
      epoch.forget();
    });
  });
}

/** Different for every tenant, coordinate and seed; both signs, up to `most`. */
function variedUpTo(most: number, cohort: readonly TenantId[], dimension: number, seed: number): Map<TenantId, Noised> {
  return new Map(
    cohort.map((name, i) => {
      const value = (k: number) => ((k * 2_654_435_761 + i * 40_503 + seed * 977) % (2 * most)) - most;
      return [name, noised(Float64Array.from({ length: dimension }, (_, k) => value(k)))];
    }),
  );
}

export function sumOf(vectors: ReadonlyMap<TenantId, Noised>, dimension: number): Float64Array {
  const sum = new Float64Array(dimension);
  for (const vector of vectors.values()) for (let k = 0; k < dimension; k++) sum[k]! += vector[k]!;
  return sum;
}
