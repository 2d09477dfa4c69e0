import type { Kernels } from '../kernels.ts';
import { lattice } from './lattice.ts';
import { narrowLoops } from './narrow-ring.ts';
import { ringOf } from './ring.ts';
import { slots } from './slots.ts';
import { wideLoops } from './wide-ring.ts';
import { words } from './words.ts';

/** The kernels in plain TypeScript: what runs where WebAssembly could not be compiled, for the `reason` given. */
export const typescriptKernels = (reason?: string): Kernels => ({
  name: 'typescript',
  ...(reason === undefined ? {} : { reason }),
  words,
  slots,
  heRing: ringOf(wideLoops),
  maskRing: ringOf(narrowLoops),
  lattice,
});
