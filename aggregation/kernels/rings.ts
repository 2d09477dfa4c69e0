/** A prime 2^bits − gap that is 1 modulo 8192, so that it has an 8192nd root of unity. */
export interface RingPrime {
  readonly bits: number;
  readonly gap: number;
  readonly value: bigint;
}

/** Z_q[X]/(X^4096 + 1), q being the product of the primes. */
export interface Ring {
  readonly primes: readonly RingPrime[];
  /** 32-bit words of one residue */
  readonly wordsPerResidue: 1 | 2;
}

/** Coefficients of a polynomial, in either ring. */
export const DEGREE = 4096;

/** 32-bit words of a polynomial, in either ring: two primes of two words, or four of one. */
export const POLYNOMIAL_WORDS: number = 4 * DEGREE;

/** The primes Microsoft SEAL chooses for 47 and 58 bits at degree 4096. */
export const HE_RING: Ring = {
  primes: [
    { bits: 47, gap: 81_919, value: 140_737_488_273_409n },
    { bits: 58, gap: 581_631, value: 288_230_376_151_130_113n },
  ],
  wordsPerResidue: 2,
};

/** The same for 45 and 56 bits: of 101 bits, as SEAL's table has it for 128-bit security against quantum computers. */
export const HE_RING_101: Ring = {
  primes: [
    { bits: 45, gap: 204_799, value: 35_184_371_884_033n },
    { bits: 56, gap: 286_719, value: 72_057_594_037_641_217n },
  ],
  wordsPerResidue: 2,
};

/**
 * The two largest primes of 27 and of 26 bits: 105.997 bits together, below the 106 that ePrint 2024/463 (table 5.2)
 * gives degree 4096 for 128-bit security.
 */
export const MASK_RING: Ring = {
  primes: [
    { bits: 27, gap: 40_959, value: 134_176_769n },
    { bits: 27, gap: 106_495, value: 134_111_233n },
    { bits: 26, gap: 24_575, value: 67_084_289n },
    { bits: 26, gap: 65_535, value: 67_043_329n },
  ],
  wordsPerResidue: 1,
};

/** Bits of one limb of a lattice-mask coefficient; four of them lie below its errors. */
export const LIMB_BITS = 23;
export const LIMBS = 4;

/** What the slots of `threshold-he`'s plaintexts count in: the prime SEAL chooses for as many bits. */
export interface SlotModulus {
  readonly bits: 46 | 48;
  readonly value: number;
}

/** 2^48 − 16383, beside `HE_RING`. */
export const SLOTS_48: SlotModulus = { bits: 48, value: 281_474_976_694_273 };
export const SLOT_MODULUS: number = SLOTS_48.value;

/** 2^46 − 507903, beside `HE_RING_101`. */
export const SLOTS_46: SlotModulus = { bits: 46, value: 70_368_743_669_761 };

/** Bytes of a packed polynomial: 53,760 in the ring of `threshold-he`, or 51,712, and 54,272 in that of the lattice mask. */
export const packedBytes = ({ primes }: Ring): number => (DEGREE * primes.reduce((sum, { bits }) => sum + bits, 0)) / 8;

/** @throws RangeError when one of them is no polynomial */
export function checkPolynomials(...polynomials: readonly Uint32Array[]): void {
  for (const { length } of polynomials) {
    if (length !== POLYNOMIAL_WORDS) throw new RangeError(`a polynomial has ${POLYNOMIAL_WORDS} words, got ${length}`);
  }
}

/** @throws RangeError when `into` has no room for a packed polynomial at `at` */
export function checkRoom(ring: Ring, into: Uint8Array, at: number): void {
  if (!(Number.isInteger(at) && at >= 0 && at + packedBytes(ring) <= into.length)) {
    throw new RangeError(`${packedBytes(ring)} bytes at ${at} do not fit into ${into.length}`);
  }
}
