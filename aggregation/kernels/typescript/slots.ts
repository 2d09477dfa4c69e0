import { checkSlots, outsideLane } from '../checks.ts';
import type { Mask, SlotKernels } from '../kernels.ts';
import { largestInLane } from '../lanes.ts';
import type { SlotModulus } from '../rings.ts';

/** Values of key stream read at once. */
const CHUNK = 8192;
const BYTES = 6;

export function slotsModulo(modulus: SlotModulus): SlotKernels {
  const t = modulus.value;
  const upper = 2 ** (modulus.bits / 2); // what the second of two values counts
  /** From ±(t − 1)/2 to [0, t), and back. */
  const reduced = (value: number): number => value + t * Number(value < 0);
  const centred = (slot: number): number => slot - t * Number(slot > (t - 1) / 2);
  return {
    modulus,
    mask(sum, masks) {
      const bytes = new Uint8Array(BYTES * Math.min(CHUNK, sum.length));
      try {
        for (const mask of masks) maskOnce(sum, mask, bytes, modulus);
      } finally {
        bytes.fill(0);
      }
    },
    encode(values, bits, into) {
      checkSlots(values.length, bits, into.length, modulus);
      const most = largestInLane(bits, modulus);
      const checked = (value: number): number => {
        if (value !== Math.floor(value) || Math.abs(value) > most) outsideLane(bits, modulus); // NaN is not equal to itself
        return value;
      };
      if (bits === modulus.bits) for (let i = 0; i < into.length; i++) into[i] = reduced(checked(values[i]!));
      else {
        for (let i = 0; i < into.length; i++) {
          into[i] = reduced(checked(values[2 * i]!) + checked(values[2 * i + 1] ?? 0) * upper);
        }
      }
    },
    decode(sum, bits, values) {
      checkSlots(values.length, bits, sum.length, modulus);
      if (bits === modulus.bits) for (let i = 0; i < sum.length; i++) values[i] = centred(sum[i]!);
      else {
        for (let i = 0; i < sum.length; i++) {
          const slot = centred(sum[i]!);
          const second = Math.floor(slot / upper + 0.5);
          values[2 * i] = slot - second * upper;
          values[2 * i + 1] = second; // past the end of an odd vector: dropped
        }
      }
    },
  };
}

/** Asks for as many as are still missing, until none is: no byte of the stream is read and not looked at. */
function maskOnce(sum: Float64Array, { stream, adds }: Mask, buffer: Uint8Array, modulus: SlotModulus): void {
  const view = new DataView(buffer.buffer);
  const t = modulus.value;
  const cut = 2 ** (modulus.bits - 32) - 1;
  for (let done = 0; done < sum.length; ) {
    const bytes = buffer.subarray(0, BYTES * (sum.length - done));
    stream.fill(bytes);
    for (let at = 0; at < bytes.length; at += BYTES) {
      const drawn = view.getUint32(at, true) + (view.getUint16(at + 4, true) & cut) * 0x100000000;
      if (drawn >= t) continue;
      const value = sum[done]! + (adds ? drawn : t - drawn);
      sum[done++] = value - t * Number(value >= t);
    }
  }
}
