import type { Kernels, RingKernels, SlotKernels } from '../kernels/kernels.ts';
import { loadKernels } from '../kernels/load-kernels.ts';
import { type Profile, QUANTUM } from './parameters.ts';
import { type Seal, startSeal } from './seal.ts';

/** What the scheme computes with: SEAL for what SEAL draws, encodes and decrypts, the kernels for everything else. */
export interface Arithmetic {
  readonly seal: Seal;
  readonly ring: RingKernels;
  readonly slots: SlotKernels;
  readonly profile: Profile;
}

/** @throws Error when SEAL does not run here */
export async function arithmetic(profile: Profile): Promise<Arithmetic> {
  const [seal, kernels] = await Promise.all([startSeal(profile), loadKernels()]);
  return { seal, ...kernelsFor(profile, kernels), profile };
}

/** Those of the kernels that compute in this ring. */
export const kernelsFor = (profile: Profile, kernels: Kernels): Pick<Arithmetic, 'ring' | 'slots'> =>
  profile === QUANTUM
    ? { ring: kernels.heRing101, slots: kernels.slots46 }
    : { ring: kernels.heRing, slots: kernels.slots };
