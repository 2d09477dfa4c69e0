import type { Lanes, WordBits } from './kernels.ts';
import { DEGREE, LIMB_BITS, LIMBS, SLOT_MODULUS } from './rings.ts';

/*
 * What the callers of either implementation have to keep, checked for both. No message holds a value.
 */

/** @throws RangeError when `bytes` are not exactly `count` words */
export function checkWords(bits: WordBits, bytes: Uint8Array, count: number): void {
  if (bits !== 32 && bits !== 48 && bits !== 64) throw new RangeError(`a word has 32, 48 or 64 bits, got ${bits}`);
  if (bytes.length !== (count * bits) / 8) {
    throw new RangeError(`${count} words of ${bits} bits take ${(count * bits) / 8} bytes, got ${bytes.length}`);
  }
}

/** @throws RangeError when a vector is not whole words, or the two differ in length */
export function checkPair(bits: WordBits, sum: Uint8Array, term: Uint8Array): void {
  checkWords(bits, sum, Math.floor((sum.length * 8) / bits));
  if (sum.length !== term.length) throw new RangeError(`${sum.length} bytes and ${term.length} are no two vectors`);
}

/** @throws RangeError when the lanes are none of these widths, or the offset does not fit into half of one */
export function checkLanes({ bits, offset }: Lanes<number>, widths: readonly number[]): void {
  if (!widths.includes(bits)) throw new RangeError(`a lane has ${widths.join(' or ')} bits, got ${bits}`);
  const most = Math.min(2 ** (bits - 1), (SLOT_MODULUS + 1) / 2) - 1; // a slot holds t − 1, a little below 48 bits
  if (!(Number.isInteger(offset) && offset > 0 && offset <= most)) {
    throw new RangeError(`offset must be an integer from 1 to ${most} in ${bits} bits, got ${offset}`);
  }
}

/** @throws RangeError when `slots` are not as many as `values` values take */
export function checkSlots(values: number, lanes: Lanes<24 | 48>, slots: number): void {
  checkLanes(lanes, [24, 48]);
  const needed = lanes.bits === 24 ? Math.ceil(values / 2) : values;
  if (slots !== needed)
    throw new RangeError(`${values} values of ${lanes.bits} bits take ${needed} slots, got ${slots}`);
}

/** @throws RangeError when a polynomial cannot hold as many values */
export function checkLimbs(values: number, lanes: Lanes<23 | 46>): void {
  checkLanes(lanes, [LIMB_BITS, 2 * LIMB_BITS]);
  const most = (DEGREE * LIMBS * LIMB_BITS) / lanes.bits;
  if (values > most)
    throw new RangeError(`a polynomial holds ${most} values in ${lanes.bits} bits each, got ${values}`);
}

/** @throws RangeError when there is not one error a coefficient */
export function checkErrors(errors: Int8Array): void {
  if (errors.length !== DEGREE) throw new RangeError(`there are ${DEGREE} coefficients, got ${errors.length} errors`);
}

/** @throws RangeError saying so */
export function noIntegers(): never {
  throw new RangeError('every value must be an integer that a double holds exactly; one is not');
}
