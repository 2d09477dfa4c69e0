import type { RingKernels, SlotKernels } from '../kernels/kernels.ts';
import { loadKernels } from '../kernels/load-kernels.ts';
import { type Seal, startSeal } from './seal.ts';

/** What the scheme computes with: SEAL for what SEAL draws, encodes and decrypts, the kernels for everything else. */
export interface Arithmetic {
  readonly seal: Seal;
  readonly ring: RingKernels;
  readonly slots: SlotKernels;
}

/** @throws Error when SEAL does not run here */
export async function arithmetic(): Promise<Arithmetic> {
  const [seal, { heRing, slots }] = await Promise.all([startSeal(), loadKernels()]);
  return { seal, ring: heRing, slots };
}
