import { createCipheriv } from 'node:crypto';

/**
 * Vectors over Z_2^32, Z_2^48 or Z_2^64: what is masked, added and unmasked.
 *
 * A coordinate is two, three or four limbs of 16 bits, each in a 32-bit word of its own. Adding is then one loop over
 * limbs without a carry, for every ring the same; carries are made up for when the vector is read, or after so many
 * additions that a word could overflow. What leaves the top limb is dropped: that is "modulo 2^bits".
 */
export type RingBits = 32 | 48 | 64;

/** Largest |coordinate| that is told apart from all others: two-sided, and exact in a double. */
export const laneOf = (bits: RingBits): number => (bits === 64 ? Number.MAX_SAFE_INTEGER : 2 ** (bits - 1) - 1);

/** The narrowest ring that sums up to ±`maxMagnitude` fit; undefined when none does. */
export const ringFor = (maxMagnitude: number): RingBits | undefined =>
  ([32, 48, 64] as const).find((bits) => maxMagnitude <= laneOf(bits));

/** Bytes of a vector on the wire: each coordinate in exactly its bits, little-endian. */
export const ringBytes = (bits: RingBits, dimension: number): number => (bits / 8) * dimension;

export interface RingVector {
  /** @param values - integers within the ring's lane, as many as the vector has */
  addValues(values: Float64Array): void;
  /** @param bytes - a vector as `bytes()` gives it, `ringBytes` long */
  addBytes(bytes: Uint8Array): void;
  /** Adds or subtracts the stream of an AES-128 key (16 bytes), used for this and nothing else. */
  mask(key: Uint8Array, sign: 1 | -1): void;
  bytes(): Uint8Array;
  /** Two-sided values; beyond the lane of Z_2^64 they are rounded, and then at least 2^53. */
  values(): Float64Array;
}

/** The zero vector. */
export function ringVector(bits: RingBits, dimension: number): RingVector {
  const perValue = bits / 16;
  const limbs = new Int32Array(perValue * dimension);
  let added = 0;
  const adding = (): void => {
    if (added === MOST_ADDED) normalised();
    added++;
  };
  const normalised = (): Int32Array => {
    carry(limbs, perValue);
    added = 1; // what is carried is as large as one summand
    return limbs;
  };

  return {
    addValues(values) {
      adding();
      for (let i = 0, at = 0; i < dimension; i++, at += perValue) addValue(limbs, at, perValue, values[i]!);
    },
    addBytes(bytes) {
      adding();
      // a copy of its own: what arrives may lie at any offset of a larger buffer
      addWords(limbs, new Uint16Array(new Uint8Array(bytes).buffer), 0);
    },
    mask(key, sign) {
      adding();
      maskWith(limbs, key, sign);
    },
    bytes: () => new Uint8Array(new Uint16Array(normalised()).buffer),
    values() {
      const words = normalised();
      const values = new Float64Array(dimension);
      for (let i = 0; i < dimension; i++) values[i] = valueAt(words, i * perValue, perValue);
      return values;
    },
  };
}

/** Each summand is below 2^16 in absolute value, and a word holds 2^31. */
const MOST_ADDED = 2 ** 15 - 1;

/** Every limb to [0, 2^16), lowest first. */
function carry(limbs: Int32Array, perValue: number): void {
  for (let at = 0; at < limbs.length; at += perValue) {
    let over = 0;
    for (let limb = at; limb < at + perValue; limb++) {
      const sum = limbs[limb]! + over;
      limbs[limb] = sum & 0xffff;
      over = sum >> 16; // rounds down: a borrow, where the sum is negative
    }
  }
}

/** In two's complement: `high` is the part above 2^32 rounded down, so `low` is never negative. */
function addValue(limbs: Int32Array, at: number, perValue: number, value: number): void {
  const high = Math.floor(value / 2 ** 32);
  const low = value - high * 2 ** 32;
  limbs[at]! += low & 0xffff;
  limbs[at + 1]! += low >>> 16;
  if (perValue > 2) limbs[at + 2]! += high & 0xffff;
  if (perValue > 3) limbs[at + 3]! += (high >> 16) & 0xffff;
}

function valueAt(words: Int32Array, at: number, perValue: number): number {
  let value = (words[at + perValue - 1]! << 16) >> 16; // the top limb carries the sign
  for (let limb = perValue - 2; limb >= 0; limb--) value = value * 2 ** 16 + words[at + limb]!;
  return value;
}

/** Small enough that the stream's memory is used again before it leaves the cache. */
const CHUNK_WORDS = 2 ** 12;
const ZEROS = new Uint8Array(2 * CHUNK_WORDS);

/** AES-128-CTR from counter 0 (NIST SP 800-38A §6.5). */
function maskWith(limbs: Int32Array, key: Uint8Array, sign: 1 | -1): void {
  const cipher = createCipheriv('aes-128-ctr', key, ZEROS.subarray(0, 16));
  for (let at = 0; at < limbs.length; at += CHUNK_WORDS) {
    const stream = cipher.update(ZEROS.subarray(0, 2 * Math.min(CHUNK_WORDS, limbs.length - at)));
    const words = new Uint16Array(stream.buffer, stream.byteOffset, stream.length / 2);
    if (sign === 1) addWords(limbs, words, at);
    else subtractWords(limbs, words, at);
    stream.fill(0);
  }
}

function addWords(limbs: Int32Array, words: Uint16Array, from: number): void {
  for (let i = 0; i < words.length; i++) limbs[from + i]! += words[i]!;
}

function subtractWords(limbs: Int32Array, words: Uint16Array, from: number): void {
  for (let i = 0; i < words.length; i++) limbs[from + i]! -= words[i]!;
}
