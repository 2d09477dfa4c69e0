import { choose } from './neighbours.ts';
import type { Opening, SumTrust } from './secure-sum.ts';

/**
 * Who opens a sum, as a person reads it in a plan or a report. Of a committee also the one thing that chance decides about
 * it: whether a round that is down to its smallest cohort, whoever is lost, still has its openers.
 */
export function whoOpens(trust: SumTrust, { needed, among }: Opening): string {
  if (among === 0) return 'nobody has to open';
  if (among >= trust.tenants) return `${needed} of ${among} tenants open`;
  const lost = trust.tenants - trust.minCohort;
  const chance = chanceOfTooFew(trust, { needed, among });
  return `${needed} of a committee of ${among} open; ${lost} lost leave too few ${chance === 0 ? 'in no case' : `with a chance of ${chance.toPrecision(2)}`}`;
}

/** Of all tenants, N − n_min are lost at random: the chance that fewer of the committee are left than are needed. */
export function chanceOfTooFew({ tenants, minCohort }: SumTrust, { needed, among }: Opening): number {
  const lost = tenants - minCohort;
  let ways = 0n;
  for (let ofThem = among - needed + 1; ofThem <= Math.min(lost, among); ofThem++)
    ways += choose(among, ofThem) * choose(tenants - among, lost - ofThem);
  return Number((ways << 200n) / choose(tenants, lost)) / 2 ** 200; // hypergeometric, cut at 200 bits
}
