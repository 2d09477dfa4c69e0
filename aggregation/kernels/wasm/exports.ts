/** What the compiled module exports: `assembly/` says what each does. Addresses and counts are numbers, u64 bigints. */
export interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };

  encodeWords(values: number, words: number, count: number, bytes: number): number;
  decodeWords(words: number, values: number, count: number, bytes: number): void;
  add32(sum: number, term: number, length: number): void;
  add48(sum: number, term: number, length: number): void;
  add64(sum: number, term: number, length: number): void;
  subtract32(sum: number, term: number, length: number): void;
  subtract48(sum: number, term: number, length: number): void;
  subtract64(sum: number, term: number, length: number): void;

  maskSlots(slots: number, words: number, count: number, adds: number, t: number, cut: bigint): number;
  encodeSingle(values: number, slots: number, count: number, most: number, t: number): number;
  encodeDouble(values: number, slots: number, count: number, most: number, t: number, upper: number): number;
  decodeSingle(slots: number, values: number, count: number, t: number): void;
  decodeDouble(slots: number, values: number, count: number, t: number, upper: number): void;

  cutNarrow(residues: number, from: number, mask: number, q: number): number;
  addNarrow(sum: number, term: number, q: number): void;
  subtractNarrow(sum: number, term: number, q: number): void;
  toNttNarrow(residues: number, powers: number, companions: number, q: number): void;
  fromNttNarrow(
    residues: number,
    powers: number,
    companions: number,
    q: number,
    scale: number,
    companion: number,
  ): void;
  multiplyAddNarrow(sum: number, a: number, b: number, q: number, bits: number): void;
  packNarrow(residues: number, packed: number, bits: number): void;
  addPackedNarrow(sum: number, packed: number, bits: number, q: number): number;

  cutWide(residues: number, from: number, mask: bigint, q: bigint): number;
  addWide(sum: number, term: number, q: bigint): void;
  subtractWide(sum: number, term: number, q: bigint): void;
  toNttWide(residues: number, powers: number, companions: number, bits: bigint, gap: bigint): void;
  fromNttWide(
    residues: number,
    powers: number,
    companions: number,
    bits: bigint,
    gap: bigint,
    scale: bigint,
    companion: bigint,
  ): void;
  multiplyAddWide(sum: number, a: number, b: number, bits: bigint, gap: bigint): void;
  packWide(residues: number, packed: number, bits: number): void;
  addPacked45(sum: number, packed: number, q: bigint): number;
  addPacked47(sum: number, packed: number, q: bigint): number;
  addPacked56(sum: number, packed: number, q: bigint): number;
  addPacked58(sum: number, packed: number, q: bigint): number;

  inLanes(values: number, count: number, most: number): number;
  splitLanes(values: number, limbs: number, count: number): void;
  joinLanes(limbs: number, count: number): void;
  residuesOf(
    limbs: number,
    errors: number,
    residues: number,
    q: number,
    b1: number,
    b2: number,
    b3: number,
    t: number,
  ): void;
  openLimbs(residues: number, limbs: number, garner: number, weights: number, low: number): void;
  centredBinomial(bytes: number, samples: number, count: number): void;
}
