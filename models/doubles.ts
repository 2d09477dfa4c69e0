import { endianness } from 'node:os';

const isLittleEndian = endianness() === 'LE';

/**
 * Doubles as they are stored, sent and hashed: 8 bytes each, little-endian.
 *
 * @returns on a little-endian machine the vector's own memory, not a copy: what is as long as a model is not doubled to be read
 */
export function doubleBytes(values: Float64Array): Uint8Array {
  const own = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return isLittleEndian ? own : turned(own);
}

/** The reverse, in memory of its own. @throws RangeError when the length is not a multiple of 8 */
export function doublesFrom(bytes: Uint8Array): Float64Array {
  if (bytes.length % 8 !== 0) throw new RangeError(`${bytes.length} bytes are no doubles of 8 bytes each`);
  const copy = isLittleEndian ? Uint8Array.from(bytes) : turned(bytes);
  return new Float64Array(copy.buffer);
}

/** Each 8 bytes in reverse order. */
function turned(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.from(bytes).swap64());
}
