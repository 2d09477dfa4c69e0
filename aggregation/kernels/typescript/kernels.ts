import type { Kernels } from '../kernels.ts';
import { HE_RING, HE_RING_101, SLOTS_46, SLOTS_48 } from '../rings.ts';
import { lattice } from './lattice.ts';
import { narrowLoops } from './narrow-ring.ts';
import { ringOf } from './ring.ts';
import { slotsModulo } from './slots.ts';
import { wideLoops } from './wide-ring.ts';
import { words } from './words.ts';

/** The kernels in plain TypeScript: what runs where WebAssembly could not be compiled, for the `reason` given. */
export const typescriptKernels = (reason?: string): Kernels => ({
  name: 'typescript',
  ...(reason === undefined ? {} : { reason }),
  words,
  slots: slotsModulo(SLOTS_48),
  slots46: slotsModulo(SLOTS_46),
  heRing: ringOf(wideLoops(HE_RING)),
  heRing101: ringOf(wideLoops(HE_RING_101)),
  maskRing: ringOf(narrowLoops),
  lattice,
});
