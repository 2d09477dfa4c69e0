import { checkSlots, outsideLane } from '../checks.ts';
import type { SlotKernels } from '../kernels.ts';
import { largestInLane } from '../lanes.ts';
import type { SlotModulus } from '../rings.ts';
import type { Arena } from './arena.ts';
import type { Exports } from './exports.ts';

/** Slots at a time, and bytes of key stream for each. */
const CHUNK = 8192;
const BYTES = 6;

export function slotsOn(wasm: Exports, arena: Arena, modulus: SlotModulus): SlotKernels {
  const { bytes } = arena;
  const t = modulus.value;
  const cut = 2n ** BigInt(modulus.bits) - 1n;
  const upper = 2 ** (modulus.bits / 2); // what the second of two values counts
  return {
    modulus,
    mask(sum, masks) {
      const size = Math.min(CHUNK, sum.length);
      arena.use(8 * size + BYTES * size, (at) => {
        const words = at + 8 * size;
        for (let from = 0; from < sum.length; from += size) {
          const part = bytesOf(sum.subarray(from, from + size));
          bytes.set(part, at);
          for (const { stream, adds } of masks) {
            // asks for as many as are still missing: no byte of the stream is read and not looked at
            for (let done = 0, count = part.length / 8; done < count; ) {
              stream.fill(bytes.subarray(words, words + BYTES * (count - done)));
              done += wasm.maskSlots(at + 8 * done, words, count - done, Number(adds), t, cut);
            }
          }
          part.set(bytes.subarray(at, at + part.length));
        }
      });
    },
    encode(values, bits, slots) {
      checkSlots(values.length, bits, slots.length, modulus);
      const most = largestInLane(bits, modulus);
      const each = bits === modulus.bits ? 1 : 2;
      const encode = each === 2 ? wasm.encodeDouble : wasm.encodeSingle;
      const size = Math.min(CHUNK, slots.length);
      arena.use(8 * (each + 1) * (size + 1), (at) => {
        const to = at + 8 * each * (size + 1);
        for (let from = 0; from < slots.length; from += size) {
          const source = bytesOf(values.subarray(each * from, each * (from + size)));
          const part = bytesOf(slots.subarray(from, from + size));
          bytes.set(source, at);
          bytes.fill(0, at + source.length, at + source.length + 8); // the missing half of an odd last pair
          if (!encode(at, to, part.length / 8, most, t, upper)) outsideLane(bits, modulus);
          part.set(bytes.subarray(to, to + part.length));
        }
      });
    },
    decode(slots, bits, values) {
      checkSlots(values.length, bits, slots.length, modulus);
      const each = bits === modulus.bits ? 1 : 2;
      const decode = each === 2 ? wasm.decodeDouble : wasm.decodeSingle;
      const size = Math.min(CHUNK, slots.length);
      arena.use(8 * (each + 1) * (size + 1), (at) => {
        const to = at + 8 * (size + 1);
        for (let from = 0; from < slots.length; from += size) {
          const source = bytesOf(slots.subarray(from, from + size));
          const part = bytesOf(values.subarray(each * from, each * (from + size)));
          bytes.set(source, at);
          decode(at, to, source.length / 8, t, upper);
          part.set(bytes.subarray(to, to + part.length));
        }
      });
    },
  };
}

const bytesOf = (values: Float64Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
