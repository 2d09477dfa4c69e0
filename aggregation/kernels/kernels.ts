import type { LatticeLaneBits, SlotLaneBits } from './lanes.ts';
import type { Ring, SlotModulus } from './rings.ts';

/**
 * The loops every secure sum spends its time in: masking, transforming, packing. Two implementations give the same
 * bytes: WebAssembly with SIMD (`assembly/`) and plain TypeScript (`typescript/`), each other's test.
 *
 *   values ──words.encode──▶ words mod 2^32|48|64 ──words.mask──▶ masked words            masking
 *   values ──slots.encode──▶ slots mod t ──slots.mask──▶ masked slots                     threshold-he
 *   values ──lattice.encode──▶ coefficients ──maskRing.toNtt, multiplyAdd, pack──▶ bytes  lattice-mask
 *
 * Every operation is synchronous and leaves nothing in memory of its own: what the WebAssembly ones copied in is
 * overwritten before they return. Not in their power: registers, the stack, what a `ByteSource` keeps, and
 * in TypeScript the temporary integers of `heRing`'s products and transforms. All count on a little-endian machine.
 */
export interface Kernels {
  readonly name: 'wasm' | 'typescript';
  /** why it is not WebAssembly, to be logged once */
  readonly reason?: string;
  readonly words: WordKernels;
  /** modulo the 48-bit prime of `threshold-he`, and the 46-bit one */
  readonly slots: SlotKernels;
  readonly slots46: SlotKernels;
  /** modulo the 47- and 58-bit primes of `threshold-he`, and those of 45 and 56 bits */
  readonly heRing: RingKernels;
  readonly heRing101: RingKernels;
  /** modulo the four small primes of the lattice mask */
  readonly maskRing: RingKernels;
  readonly lattice: LatticeKernels;
}

/** Where mask bytes come from: a key stream. Same key, same bytes, however they are asked for. */
export interface ByteSource {
  /** Overwrites `bytes` with the next ones, and any copy made on the way. They may lie in WebAssembly memory: keep no view. */
  fill(bytes: Uint8Array): void;
}

/** One mask of a vector: added here, subtracted by whoever shares the stream. Each has a stream of its own. */
export interface Mask {
  readonly stream: ByteSource;
  readonly adds: boolean;
}

/** Bits of a word; a word takes an eighth as many bytes, lowest first. */
export type WordBits = 32 | 48 | 64;

/** Vectors over the integers modulo 2^bits, as bytes: any length that is whole words, at any offset. */
export interface WordKernels {
  /**
   * Writes each value modulo 2^bits.
   * @throws RangeError when a value is no integer within ±(2^53 − 1), or the lengths do not fit
   */
  encode(bits: WordBits, values: Float64Array, into: Uint8Array): void;
  /** Each word as the integer in [−2^(bits−1), 2^(bits−1)) it stands for; beyond 2^53 the nearest double. */
  decode(bits: WordBits, words: Uint8Array, into: Float64Array): void;
  /** sum += term. @throws RangeError when the lengths differ */
  add(bits: WordBits, sum: Uint8Array, term: Uint8Array): void;
  /** sum −= term. @throws RangeError when the lengths differ */
  subtract(bits: WordBits, sum: Uint8Array, term: Uint8Array): void;
  /** sum ± the key stream of every mask, read from the start of `sum` to its end. */
  mask(bits: WordBits, sum: Uint8Array, masks: readonly Mask[]): void;
}

/** Vectors over the integers modulo t, as doubles in [0, t). */
export interface SlotKernels {
  readonly modulus: SlotModulus;
  /**
   * Adds, modulo t, numbers drawn uniformly below t from the key stream of every mask: 6 bytes at a time, lowest
   * first, cut to the bits of t, those not below t passed over.
   */
  mask(slots: Float64Array, masks: readonly Mask[]): void;
  /**
   * One value a slot (lanes of all its bits) or two (of half: first + second·2^24, or 2^23), modulo t.
   * @throws RangeError when a value is no integer within ±`largestInLane(bits, modulus)`, or `slots` has not exactly the length
   *   it takes; what `slots` then holds is of no use
   */
  encode(values: Float64Array, bits: SlotLaneBits, slots: Float64Array): void;
  /** The reverse, of a sum modulo t: exact for every value within ±`largestInLane(bits, modulus)`. */
  decode(slots: Float64Array, bits: SlotLaneBits, values: Float64Array): void;
}

/**
 * Polynomials of degree below 4096 over the residues of a `Ring`'s primes: 16,384 words of 32 bits, prime after
 * prime, a residue of the wide primes being two words, low first. Every residue is below its prime, in and out.
 * NTT form is evaluation at the odd powers of each prime's smallest primitive 8192nd root of unity, in bit-reversed
 * order; for `heRing` these are, word for word, the values Microsoft SEAL computes.
 *
 * @throws RangeError each of them, for a polynomial of another length
 */
export interface RingKernels {
  readonly ring: Ring;
  /** Uniform residues: each from 4 (8) bytes, cut to the bits of its prime; what is not below it drawn again after all. */
  uniform(source: ByteSource): Uint32Array;
  /** sum += term, in either form */
  add(sum: Uint32Array, term: Uint32Array): void;
  /** sum −= term, in either form */
  subtract(sum: Uint32Array, term: Uint32Array): void;
  /** sum ± a uniform polynomial of every mask, drawn as by `uniform` */
  mask(sum: Uint32Array, masks: readonly Mask[]): void;
  /** coefficients to NTT form, in place */
  toNtt(polynomial: Uint32Array): void;
  /** NTT form to coefficients, in place */
  fromNtt(polynomial: Uint32Array): void;
  /** sum += a·b, all in NTT form */
  multiplyAdd(sum: Uint32Array, a: Uint32Array, b: Uint32Array): void;
  /** Writes `packedBytes(ring)` bytes at `at`: every residue in exactly the bits of its prime. */
  pack(polynomial: Uint32Array, into: Uint8Array, at: number): void;
  /** What `pack` wrote; undefined when the length is another or a residue is not below its prime. */
  unpack(bytes: Uint8Array): Uint32Array | undefined;
  /**
   * sum += every packed polynomial.
   * @returns the position of the first that is none, `sum` then being unchanged; undefined when all are
   */
  addPacked(sum: Uint32Array, packed: readonly Uint8Array[]): number | undefined;
}

/** Plaintexts of the lattice mask: four limbs of 23 bits a coefficient, errors above them at t = 2^92. */
export interface LatticeKernels {
  /**
   * The coefficients, modulo the primes of `maskRing`, of Σ value_l·2^(bits·l) + t·error: a 23-bit lane is one limb, a
   * 46-bit lane two. Up to 16,384 (8,192) values; what is left is zero.
   *
   * @param errors - 4096, one a coefficient
   * @throws RangeError when a value is no integer within ±`largestInLane(bits)`, there are too many, or not as many
   *   errors as coefficients
   */
  encode(values: Float64Array, bits: LatticeLaneBits, errors: Int8Array): Uint32Array;
  /**
   * The reverse, of a sum, into up to as many values: exact for every value within ±`largestInLane(bits)` while
   * |Σ errors| ≤ `LARGEST_ERROR_SUM`.
   */
  decode(coefficients: Uint32Array, bits: LatticeLaneBits, values: Float64Array): void;
  /** Differences of two counts among 42 bits: σ = √21 ≈ 4.58, within ±42. Takes 16 bytes each. */
  centredBinomial(source: ByteSource, into: Int8Array): void;
}
