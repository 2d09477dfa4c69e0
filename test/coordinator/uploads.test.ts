import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sha256 } from '../../aggregation/transcript.ts';
import { PART_BYTES } from '../../aggregation/wire.ts';
import type { EventStore } from '../../coordinator/store/event-store.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import { storedVector, Uploads } from '../../coordinator/uploads.ts';

const TASK = 'a'.repeat(64);
const place = { epoch: 1, round: 2, stage: 'contribute', attempt: 1 };
const elsewhere = { ...place, round: 3 };
const LENGTH = 2 * PART_BYTES + 1000;
const vector = randomBytes(LENGTH);
const partAt = (at: number) => ({ at, bytes: vector.subarray(at, at + PART_BYTES) });
const STARTS = [0, PART_BYTES, 2 * PART_BYTES];

let store: EventStore;
let uploads: Uploads;
beforeEach(() => {
  store = openSqliteStore(':memory:');
  uploads = new Uploads(store, TASK);
});
afterEach(() => store.close());

const sendAll = (to: Uploads = uploads, from = 0): boolean[] =>
  STARTS.filter((at) => at >= from).map((at) => to.take(place, 'amber', partAt(at), LENGTH));
const keep = (from: Uploads = uploads): void => store.commit(() => from.keep(place, 'amber'));

describe('a vector sent in parts', () => {
  test('is complete with its last part, and then has the hash of all of it', () => {
    expect(uploads.take(place, 'amber', partAt(0), LENGTH)).toBe(true);
    expect(uploads.complete(place, 'amber')).toBeUndefined();
    expect(uploads.held(place, 'amber')).toBe(PART_BYTES);
    expect(sendAll(uploads, PART_BYTES)).toEqual([true, true]);
    expect(uploads.complete(place, 'amber')).toMatchObject({ length: LENGTH, hash: sha256(vector) });
  });

  test('reads the same before and after its last part is on disk, at any stretch', () => {
    sendAll();
    const before = uploads.complete(place, 'amber')!;
    keep();
    const after = storedVector(store, TASK, place, 'amber', { length: LENGTH, hash: before.hash });
    const at = fc.integer({ min: 0, max: LENGTH });
    const reads = fc.property(at, at, (one, other) => {
      const [from, to] = [Math.min(one, other), Math.max(one, other)];
      for (const stored of [before, after])
        expect(Buffer.compare(stored.read(from, to), vector.subarray(from, to))).toBe(0);
    });
    fc.assert(reads, {
      examples: [
        [0, LENGTH],
        [PART_BYTES, 2 * PART_BYTES],
        [PART_BYTES - 1, PART_BYTES + 1],
      ],
    });
  });

  test('goes on after a restart from what was on disk', () => {
    uploads.take(place, 'amber', partAt(0), LENGTH);
    uploads.take(place, 'amber', partAt(PART_BYTES), LENGTH);
    const later = new Uploads(store, TASK);
    expect(later.held(place, 'amber')).toBe(2 * PART_BYTES);
    expect(sendAll(later, later.held(place, 'amber'))).toEqual([true]);
    expect(later.complete(place, 'amber')?.hash).toEqual(sha256(vector));
  });

  test('without a statement loses nothing but its last part', () => {
    sendAll();
    uploads.drop(place, 'amber');
    expect(uploads.complete(place, 'amber')).toBeUndefined();
    expect(uploads.held(place, 'amber')).toBe(2 * PART_BYTES);
    expect(sendAll(uploads, 2 * PART_BYTES)).toEqual([true]);
  });

  test('that is not the one that was signed is erased, alone, and may be sent again', () => {
    const wrong = { at: 0, bytes: new Uint8Array(PART_BYTES) };
    uploads.take(place, 'amber', wrong, LENGTH);
    uploads.take(place, 'blue', partAt(0), LENGTH);
    uploads.take(elsewhere, 'amber', partAt(0), LENGTH);
    uploads.refuse(place, 'amber'); // half of it: nothing is known yet
    expect(uploads.held(place, 'amber')).toBe(PART_BYTES);
    expect(sendAll()).toEqual([false, true, true]);
    uploads.refuse(place, 'amber');
    const onDisk = new Uploads(store, TASK);
    for (const there of [uploads, onDisk]) {
      expect(there.held(place, 'amber')).toBe(0);
      expect(there.held(place, 'blue')).toBe(PART_BYTES);
      expect(there.held(elsewhere, 'amber')).toBe(PART_BYTES);
    }
    expect(sendAll()).toEqual([true, true, true]);
    expect(uploads.complete(place, 'amber')?.hash).toEqual(sha256(vector));
  });

  test('that counts is not erased, whatever its tenant says afterwards', () => {
    sendAll();
    const { hash } = uploads.complete(place, 'amber')!;
    keep();
    uploads.drop(place, 'amber');
    uploads.refuse(place, 'amber');
    expect(storedVector(store, TASK, place, 'amber', { length: LENGTH, hash }).read(0, LENGTH)).toHaveLength(LENGTH);
  });

  test('is read from disk once, however often its tenant speaks of it out of turn', () => {
    uploads.take(place, 'amber', partAt(0), LENGTH);
    uploads.take(place, 'amber', partAt(PART_BYTES), LENGTH);
    let reads = 0;
    const counted: EventStore = Object.create(store, {
      part: {
        value: (...args: Parameters<EventStore['part']>) => {
          reads++;
          return store.part(...args);
        },
      },
    });
    const later = new Uploads(counted, TASK);
    for (let again = 0; again < 10; again++) {
      expect(later.complete(place, 'amber')).toBeUndefined(); // a statement that comes too early
      later.drop(place, 'amber');
      expect(later.take(place, 'amber', partAt(0), LENGTH)).toBe(false); // a part that is there
    }
    expect(reads).toBe(3); // the two, and that there is no third
    expect(sendAll(later, 2 * PART_BYTES)).toEqual([true]);
    expect(later.complete(place, 'amber')?.hash).toEqual(sha256(vector));
  });

  test('leaves nothing in memory after its round, whether it was said or not', () => {
    sendAll();
    uploads.sweep(place.round - 1);
    expect(uploads.complete(place, 'amber')).toBeDefined();
    uploads.sweep(place.round);
    expect(uploads.complete(place, 'amber')).toBeUndefined();
  });

  test('is erased after its round, and after its task', () => {
    for (const done of [place.round, Number.MAX_SAFE_INTEGER]) {
      sendAll();
      keep();
      const stored = storedVector(store, TASK, place, 'amber', { length: LENGTH, hash: sha256(vector) });
      uploads.sweep(place.round - 1);
      expect(stored.read(0, LENGTH)).toHaveLength(LENGTH);
      uploads.sweep(done);
      uploads.forget();
      expect(() => stored.read(0, 1)).toThrow('event store damaged');
      expect(uploads.held(place, 'amber')).toBe(0);
      uploads = new Uploads(store, TASK);
    }
  });
});

test('vectors of many tenants are erased a few parts at a time, over restarts too, and those of the next round stay', () => {
  const tenants = Array.from({ length: 14 }, (_, i) => `tenant-${i}`);
  const left = (at: typeof place): number =>
    tenants.flatMap((tenant) => STARTS.filter((start) => store.part(TASK, at, tenant, start) !== undefined)).length;
  for (const tenant of tenants)
    for (const at of STARTS)
      for (const there of [place, elsewhere])
        store.putPart(TASK, there, tenant, at, vector.subarray(at, at + PART_BYTES));
  const sweeps = [1, 2, 3].map(() => {
    new Uploads(store, TASK).sweep(place.round); // once in each life
    return left(place);
  });
  expect(sweeps).toEqual([10, 0, 0]);
  expect(left(elsewhere)).toBe(42);
});

describe('a part is not taken', () => {
  const refused: readonly [what: string, at: number, bytes: Uint8Array][] = [
    ['again', 0, partAt(0).bytes],
    ['before the one that comes next', 2 * PART_BYTES, partAt(2 * PART_BYTES).bytes],
    ['when it is shorter than a part', PART_BYTES, partAt(PART_BYTES).bytes.subarray(1)],
    ['when it is empty', PART_BYTES, new Uint8Array(0)],
    ['when it is longer than a part', PART_BYTES, vector.subarray(0, PART_BYTES + 1)],
    ['at a place between two', 1, vector.subarray(1, 1 + PART_BYTES)],
  ];
  test.each(refused)('%s, and nothing has changed', (_, at, bytes) => {
    uploads.take(place, 'amber', partAt(0), LENGTH);
    expect(uploads.take(place, 'amber', { at, bytes }, LENGTH)).toBe(false);
    expect(uploads.held(place, 'amber')).toBe(PART_BYTES);
    expect(sendAll(uploads, PART_BYTES)).toEqual([true, true]);
    expect(uploads.complete(place, 'amber')?.hash).toEqual(sha256(vector));
  });
  test('beyond the vector, or where a stage has none', () => {
    sendAll();
    expect(uploads.take(place, 'amber', partAt(2 * PART_BYTES), LENGTH)).toBe(false);
    expect(uploads.take(elsewhere, 'amber', partAt(0), 0)).toBe(false);
    expect(uploads.take(elsewhere, 'amber', { at: 0, bytes: new Uint8Array(0) }, 0)).toBe(false);
  });
  test('of a tenant or a round for those of another', () => {
    sendAll();
    expect(uploads.complete(place, 'blue')).toBeUndefined();
    expect(uploads.complete(elsewhere, 'amber')).toBeUndefined();
  });
});
