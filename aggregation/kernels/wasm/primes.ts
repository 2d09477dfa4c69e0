import type { RingPrime } from '../rings.ts';
import { companion, transformTable } from '../tables.ts';
import type { Arena } from './arena.ts';
import type { Exports } from './exports.ts';
import type { PrimeKernels } from './ring.ts';

/** The kernels of a prime of two words, with its tables put into memory. */
export function widePrime(wasm: Exports, arena: Arena, prime: RingPrime): PrimeKernels {
  const { bits, gap, value: q } = prime;
  const { powers, inverses, scale } = transformTable(prime);
  const keep = (of: readonly bigint[]): number => arena.keep(BigUint64Array.from(of));
  const its = (w: bigint): bigint => companion(w, q, 64);
  const forward = [keep(powers), keep(powers.map(its))] as const;
  const backward = [keep(inverses), keep(inverses.map(its))] as const;
  const shape = [BigInt(bits), BigInt(gap)] as const;
  const mask = 2n ** BigInt(bits) - 1n;
  const addPacked = { 45: wasm.addPacked45, 47: wasm.addPacked47, 56: wasm.addPacked56, 58: wasm.addPacked58 }[bits];
  if (addPacked === undefined) throw new RangeError(`no kernel unpacks residues of ${bits} bits`);
  return {
    cut: (residues, from) => wasm.cutWide(residues, from, mask, q),
    add: (sum, term) => wasm.addWide(sum, term, q),
    subtract: (sum, term) => wasm.subtractWide(sum, term, q),
    toNtt: (residues) => wasm.toNttWide(residues, ...forward, ...shape),
    fromNtt: (residues) => wasm.fromNttWide(residues, ...backward, ...shape, scale, its(scale)),
    multiplyAdd: (sum, a, b) => wasm.multiplyAddWide(sum, a, b, ...shape),
    pack: (residues, packed) => wasm.packWide(residues, packed, bits),
    addPacked: (sum, packed) => addPacked(sum, packed, q) !== 0,
  };
}

/** The same of a prime of one word. */
export function narrowPrime(wasm: Exports, arena: Arena, prime: RingPrime): PrimeKernels {
  const { bits, value } = prime;
  const q = Number(value);
  const { powers, inverses, scale } = transformTable(prime);
  const keep = (of: readonly bigint[]): number => arena.keep(Uint32Array.from(of, Number));
  const its = (w: bigint): bigint => companion(w, value, 32);
  const forward = [keep(powers), keep(powers.map(its))] as const;
  const backward = [keep(inverses), keep(inverses.map(its))] as const;
  const scaling = [Number(scale), Number(its(scale))] as const;
  const mask = 2 ** bits - 1;
  return {
    cut: (residues, from) => wasm.cutNarrow(residues, from, mask, q),
    add: (sum, term) => wasm.addNarrow(sum, term, q),
    subtract: (sum, term) => wasm.subtractNarrow(sum, term, q),
    toNtt: (residues) => wasm.toNttNarrow(residues, ...forward, q),
    fromNtt: (residues) => wasm.fromNttNarrow(residues, ...backward, q, ...scaling),
    multiplyAdd: (sum, a, b) => wasm.multiplyAddNarrow(sum, a, b, q, bits),
    pack: (residues, packed) => wasm.packNarrow(residues, packed, bits),
    addPacked: (sum, packed) => wasm.addPackedNarrow(sum, packed, bits, q) !== 0,
  };
}
