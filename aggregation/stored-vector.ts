import {
  type Heard,
  ProtocolBroken,
  type Received,
  type ReceivedAll,
  type StoredVector,
  type TenantId,
} from './secure-sum.ts';
import { hashOnce } from './transcript.ts';

/** A vector that is in memory anyway. */
export const inMemory = (bytes: Uint8Array): StoredVector => ({
  length: bytes.length,
  hash: hashOnce(bytes),
  read: (from, to) => bytes.subarray(from, to),
});

/** What every tenant hears of these answers: nothing sealed, of vectors their hashes. */
export const asHeard = (received: ReceivedAll): Map<TenantId, Heard> =>
  new Map(
    [...received].map(([name, { open, vector }]) => [name, vector ? { open, vectorHash: vector.hash } : { open }]),
  );

/** The vector that was checked when it came in. @throws ProtocolBroken when it is not there, or not of this length */
export function vectorOf({ vector }: Received, length: number, from: TenantId): StoredVector {
  if (vector?.length !== length) throw new ProtocolBroken('its vector is missing or has the wrong length', from);
  return vector;
}

/** Stretches of at most `most`, in order, that make up `length`. */
export function* stretches(length: number, most: number): Iterable<{ readonly from: number; readonly to: number }> {
  for (let from = 0; from < length; from += most) yield { from, to: Math.min(length, from + most) };
}
