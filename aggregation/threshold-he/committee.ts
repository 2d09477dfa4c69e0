import { shuffled } from '../neighbours.ts';
import type { Opening, SumTrust, TenantId } from '../secure-sum.ts';
import { digest } from '../transcript.ts';

/**
 * Who holds shares of keys and opens. Up to 16 tenants everybody, with the plan's threshold. Above, a committee drawn from
 * what all announced: dealing to all would cost each of N tenants N letters of 54 KB.
 *
 *   openers     11, or as many more as are needed to outnumber g + c
 *   committee   16, or as much more: five in sixteen may be lost
 *
 * g = N − n_min tenants may be lost, or be pinned by nobody, and c collude. So a coalition has too few shares *whoever is
 * drawn*: who announces last can draw again and again, as one that picks its own key for a roster can, and gains nothing.
 * Chance decides only whether a round that loses tenants still finds its openers.
 */
export function committeeFor({ tenants, threshold, minCohort, colluders }: SumTrust): Opening {
  const everyone = { needed: threshold, among: tenants };
  if (tenants <= SMALLEST_COMMITTEE) return everyone;
  // g + c < t, as 2t > N + c and t ≤ n_min: never more than the plan's threshold
  const needed = Math.min(threshold, Math.max(FEWEST_OPENERS, tenants - minCohort + colluders + 1));
  const wanted = Math.max(SMALLEST_COMMITTEE, Math.ceil((needed * SMALLEST_COMMITTEE) / FEWEST_OPENERS));
  if (wanted >= tenants && tenants <= MOST_IN_COMMITTEE) return everyone;
  return { needed, among: Math.min(wanted, MOST_IN_COMMITTEE) };
}

const SMALLEST_COMMITTEE = 16;
const FEWEST_OPENERS = 11;

/** The flooding of as many openers leaves a sum legible (`smudge.ts`). */
export const MOST_IN_COMMITTEE = 64;

/**
 * The committee of an epoch, sorted: of fewer members than it would hold, all.
 *
 * @param members - those that announced keys, sorted
 * @param identity - of the epoch, which everyone confirmed
 */
export function committeeOf(members: readonly TenantId[], trust: SumTrust, identity: Uint8Array): TenantId[] {
  const { among } = committeeFor(trust);
  if (members.length <= among) return [...members];
  return shuffled(members, digest('parley/threshold-he/committee/v1', identity)).slice(0, among).sort();
}
