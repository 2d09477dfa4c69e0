import { checkSlots, noIntegers } from '../checks.ts';
import type { Mask, SlotKernels } from '../kernels.ts';
import { SLOT_MODULUS } from '../rings.ts';

/** Values of key stream read at once. */
const CHUNK = 8192;
const BYTES = 6;
const TWO_24 = 2 ** 24;

export const slots: SlotKernels = {
  mask(sum, masks) {
    const bytes = new Uint8Array(BYTES * Math.min(CHUNK, sum.length));
    try {
      for (const mask of masks) maskOnce(sum, mask, bytes);
    } finally {
      bytes.fill(0);
    }
  },
  encode(values, lanes, into) {
    checkSlots(values.length, lanes, into.length);
    const { bits, offset } = lanes;
    const lane = (value: number): number => {
      if (value !== Math.floor(value)) noIntegers(); // NaN is not equal to itself
      return Math.min(Math.max(value, -offset), offset) + offset;
    };
    if (bits === 48) for (let i = 0; i < into.length; i++) into[i] = lane(values[i]!);
    else {
      for (let i = 0; i < into.length; i++) {
        into[i] = lane(values[2 * i]!) + lane(values[2 * i + 1] ?? 0) * TWO_24;
      }
    }
  },
  decode(sum, lanes, values) {
    checkSlots(values.length, lanes, sum.length);
    const { bits, offset } = lanes;
    if (bits === 48) for (let i = 0; i < sum.length; i++) values[i] = sum[i]! - offset;
    else {
      for (let i = 0; i < sum.length; i++) {
        const second = Math.floor(sum[i]! / TWO_24);
        values[2 * i] = sum[i]! - second * TWO_24 - offset;
        values[2 * i + 1] = second - offset; // past the end of an odd vector: dropped
      }
    }
  },
};

/** Asks for as many as are still missing, until none is: no byte of the stream is read and not looked at. */
function maskOnce(sum: Float64Array, { stream, adds }: Mask, buffer: Uint8Array): void {
  const view = new DataView(buffer.buffer);
  for (let done = 0; done < sum.length; ) {
    const bytes = buffer.subarray(0, BYTES * (sum.length - done));
    stream.fill(bytes);
    for (let at = 0; at < bytes.length; at += BYTES) {
      const drawn = view.getUint32(at, true) + view.getUint16(at + 4, true) * 0x100000000;
      if (drawn >= SLOT_MODULUS) continue;
      const value = sum[done]! + (adds ? drawn : SLOT_MODULUS - drawn);
      sum[done++] = value - SLOT_MODULUS * Number(value >= SLOT_MODULUS);
    }
  }
}
