import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type FromClient, PART_BYTES } from '../../aggregation/wire.ts';
import type { Speak } from '../../client/connection.ts';
import type { Answer } from '../../client/conversation.ts';
import { upload } from '../../client/upload.ts';

const where = { task: 'a'.repeat(64), epoch: 1, round: 2, stage: 'contribute', attempt: 1 };
const say: Answer['say'] = {
  type: 'say',
  ...where,
  open: new Uint8Array(3),
  sealed: [],
  signature: new Uint8Array(64),
};
const vector = randomBytes(6 * PART_BYTES + 10);

/** What arrives, in order. */
function wire(): { speak: Speak; arrived: FromClient[]; bytes: () => Buffer; kinds: () => string } {
  const arrived: FromClient[] = [];
  const speak: Speak = (message) => arrived.push(message);
  const bytes = () => Buffer.concat(arrived.flatMap((one) => (one.type === 'part' ? [one.bytes] : [])));
  return { speak, arrived, bytes, kinds: () => arrived.map(({ type }) => (type === 'part' ? 'p' : 's')).join('') };
}

describe('an answer on its way', () => {
  test('without a vector is the statement alone', () => {
    const { speak, arrived } = wire();
    upload(speak, { say }, 0);
    expect(arrived).toEqual([{ ...say, open: expect.anything(), signature: expect.anything() }]);
  });

  test('with a short vector is one part and the statement, without waiting', () => {
    const { speak, bytes, kinds } = wire();
    upload(speak, { say, vector: vector.subarray(0, 500) }, 0);
    expect(kinds()).toBe('ps');
    expect(bytes()).toEqual(vector.subarray(0, 500));
  });

  test('keeps at most two parts under way, and says the statement once, after the last', () => {
    const { speak, bytes, kinds } = wire();
    const sending = upload(speak, { say, vector }, 0);
    expect(kinds()).toBe('pp');
    sending.heard({ ...where, length: PART_BYTES });
    expect(kinds()).toBe('ppp');
    sending.heard({ ...where, length: 3 * PART_BYTES });
    expect(kinds()).toBe('ppppp');
    sending.heard({ ...where, length: 5 * PART_BYTES });
    expect(kinds()).toBe('ppppppps');
    sending.heard({ ...where, length: 6 * PART_BYTES });
    expect(kinds()).toBe('ppppppps');
    expect(bytes()).toEqual(vector);
  });

  test('begins where the coordinator’s disk ends', () => {
    const { speak, arrived, bytes } = wire();
    upload(speak, { say, vector }, 5 * PART_BYTES);
    expect(arrived[0]).toMatchObject({ type: 'part', at: 5 * PART_BYTES });
    expect(bytes()).toEqual(vector.subarray(5 * PART_BYTES));
  });

  test('does not move for what the coordinator has of another answer', () => {
    const { speak, kinds } = wire();
    const sending = upload(speak, { say, vector }, 0);
    for (const other of [{ round: 1 }, { stage: 'share' }, { attempt: 2 }])
      sending.heard({ ...where, ...other, length: 4 * PART_BYTES });
    expect(kinds()).toBe('pp');
  });

  test('is this vector and no other, in its place and once, whatever a coordinator says that it has', () => {
    const length = fc.oneof(
      fc.integer({ min: 0, max: 8 }).map((parts) => parts * PART_BYTES),
      fc.integer({ min: 0, max: vector.length + 10 }),
      fc.constant(2 ** 31),
    );
    const told = fc.record({
      length,
      ...Object.fromEntries(['round', 'attempt'].map((of) => [of, fc.constantFrom(1, 2)])),
    });
    fc.assert(
      fc.property(length, fc.array(told, { maxLength: 12 }), (have, lies) => {
        const { speak, arrived } = wire();
        const sending = upload(speak, { say, vector }, have);
        for (const lie of lies) sending.heard({ ...where, ...lie });
        let next = have;
        for (const [i, one] of arrived.entries()) {
          if (one.type !== 'part') {
            expect(one).toMatchObject(where);
            expect([next >= vector.length, i]).toEqual([true, arrived.length - 1]); // after all of it, and nothing more
            continue;
          }
          expect([one.at, one.round, one.attempt]).toEqual([next, say.round, say.attempt]);
          expect(Buffer.compare(one.bytes, vector.subarray(next, next + PART_BYTES))).toBe(0);
          next += PART_BYTES;
        }
        expect(arrived.filter(({ type }) => type === 'part').length).toBeLessThanOrEqual(7);
      }),
      { numRuns: 60 },
    );
  });
});
