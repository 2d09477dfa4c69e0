import { checkSlots, outsideLane } from '../checks.ts';
import type { Mask, SlotKernels } from '../kernels.ts';
import { largestInLane } from '../lanes.ts';
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
  encode(values, bits, into) {
    checkSlots(values.length, bits, into.length);
    const most = largestInLane(bits);
    const checked = (value: number): number => {
      if (value !== Math.floor(value) || Math.abs(value) > most) outsideLane(bits); // NaN is not equal to itself
      return value;
    };
    if (bits === 48) for (let i = 0; i < into.length; i++) into[i] = reduced(checked(values[i]!));
    else {
      for (let i = 0; i < into.length; i++) {
        into[i] = reduced(checked(values[2 * i]!) + checked(values[2 * i + 1] ?? 0) * TWO_24);
      }
    }
  },
  decode(sum, bits, values) {
    checkSlots(values.length, bits, sum.length);
    if (bits === 48) for (let i = 0; i < sum.length; i++) values[i] = centred(sum[i]!);
    else {
      for (let i = 0; i < sum.length; i++) {
        const slot = centred(sum[i]!);
        const second = Math.floor(slot / TWO_24 + 0.5);
        values[2 * i] = slot - second * TWO_24;
        values[2 * i + 1] = second; // past the end of an odd vector: dropped
      }
    }
  },
};

/** From ±(t − 1)/2 to [0, t), and back. */
const reduced = (value: number): number => value + SLOT_MODULUS * Number(value < 0);
const centred = (slot: number): number => slot - SLOT_MODULUS * Number(slot > (SLOT_MODULUS - 1) / 2);

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
