import { secureRandom } from '../../privacy/random.ts';
import { loadKernels } from '../kernels/load-kernels.ts';
import { pairwise } from '../masking/pairwise.ts';
import type { SecureSum } from '../secure-sum.ts';
import { latticeCover, latticeFacts } from './cover.ts';

/**
 * Sums under one-time lattice keys: each tenant encrypts its vector under a fresh key, and only the key, 16 KiB, goes
 * through pairwise masks. The ciphertexts add up to one that the sum of the survivors' keys opens (the key-additive
 * masks of ACORN, ePrint 2022/1461, LERNA, ASIACRYPT 2023, and Willow, ePrint 2024/936).
 *
 * What it promises against whom, and why: SECURITY.md.
 */
export const latticeMask: SecureSum = pairwise(latticeFacts, async () => latticeCover(await loadKernels(), random));

const random = secureRandom();
