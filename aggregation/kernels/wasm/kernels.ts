import type { Kernels, RingKernels } from '../kernels.ts';
import { HE_RING, HE_RING_101, MASK_RING, type Ring, SLOTS_46, SLOTS_48 } from '../rings.ts';
import { arenaOf } from './arena.ts';
import type { Exports } from './exports.ts';
import { latticeOn } from './lattice.ts';
import { narrowPrime, widePrime } from './primes.ts';
import { ringOn } from './ring.ts';
import { slotsOn } from './slots.ts';
import { wordsOn } from './words.ts';

/** What of the standard is used here: TypeScript knows it only together with the DOM. */
declare const WebAssembly: {
  instantiate(module: Uint8Array): Promise<{ readonly instance: { readonly exports: unknown } }>;
};

/**
 * The kernels of a compiled module, over a memory of their own.
 *
 * @returns also that memory: a test looks into it
 * @throws WebAssembly.CompileError when this machine has no SIMD
 */
export async function wasmKernels(module: Uint8Array): Promise<{ kernels: Kernels; memory: Uint8Array }> {
  const { instance } = await WebAssembly.instantiate(module);
  const wasm = instance.exports as Exports;
  const arena = arenaOf(wasm.memory);
  const ring = (of: Ring): RingKernels => {
    const kernelsOf = of.wordsPerResidue === 2 ? widePrime : narrowPrime;
    return ringOn(
      arena,
      of,
      of.primes.map((prime) => kernelsOf(wasm, arena, prime)),
    );
  };
  const kernels: Kernels = {
    name: 'wasm',
    words: wordsOn(wasm, arena),
    slots: slotsOn(wasm, arena, SLOTS_48),
    slots46: slotsOn(wasm, arena, SLOTS_46),
    heRing: ring(HE_RING),
    heRing101: ring(HE_RING_101),
    maskRing: ring(MASK_RING),
    lattice: latticeOn(wasm, arena),
  };
  return { kernels, memory: arena.bytes };
}
