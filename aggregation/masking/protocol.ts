import type { SecureSum } from '../secure-sum.ts';
import { pairwise } from './pairwise.ts';
import { ringCover } from './ring-cover.ts';

/** The cheapest sum: pairwise masks straight on the values. */
export const masking: SecureSum = pairwise(ringCover, async () => ringCover);
