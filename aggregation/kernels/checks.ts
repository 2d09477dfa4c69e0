import type { WordBits } from './kernels.ts';
import { type LaneBits, type LatticeLaneBits, largestInLane, type SlotLaneBits, valuesPerPolynomial } from './lanes.ts';
import { DEGREE, type SlotModulus } from './rings.ts';

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

/** @throws RangeError when `slots` are not as many as `values` values take */
export function checkSlots(values: number, bits: SlotLaneBits, slots: number, modulus: SlotModulus): void {
  if (bits !== modulus.bits / 2 && bits !== modulus.bits) {
    throw new RangeError(`a lane in a slot has ${modulus.bits / 2} or ${modulus.bits} bits, got ${bits}`);
  }
  const needed = bits === modulus.bits ? values : Math.ceil(values / 2);
  if (slots !== needed) throw new RangeError(`${values} values of ${bits} bits take ${needed} slots, got ${slots}`);
}

/** @throws RangeError when a polynomial cannot hold as many values */
export function checkLimbs(values: number, bits: LatticeLaneBits): void {
  if (bits !== 23 && bits !== 46) throw new RangeError(`a lane in a coefficient has 23 or 46 bits, got ${bits}`);
  const most = valuesPerPolynomial(bits);
  if (values > most) throw new RangeError(`a polynomial holds ${most} values of ${bits} bits, got ${values}`);
}

/** @throws RangeError when there is not one error a coefficient */
export function checkErrors(errors: Int8Array): void {
  if (errors.length !== DEGREE) throw new RangeError(`there are ${DEGREE} coefficients, got ${errors.length} errors`);
}

/** @throws RangeError saying so; no lane saturates, because noise that did would be biased */
export function outsideLane(bits: LaneBits, modulus?: SlotModulus): never {
  throw new RangeError(
    `every value must be an integer within ±${largestInLane(bits, modulus)}, as ${bits} bits hold; one is not`,
  );
}

/** @throws RangeError saying so */
export function noIntegers(): never {
  throw new RangeError('every value must be an integer that a double holds exactly; one is not');
}
