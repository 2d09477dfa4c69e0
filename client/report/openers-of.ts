import { protocolNamed } from '../../aggregation/protocols.ts';
import { SECURE_SUMS } from '../../aggregation/secure-sum.ts';
import type { TaskFigures } from './figures.ts';

/** Who opened a task's sums, in front of "units": "4 of 5", or "11 of a committee of 16 of 40". */
export function openersOf({ trust, roster }: Pick<TaskFigures['plan'], 'trust' | 'roster'>): string {
  const tenants = roster.length;
  const name = SECURE_SUMS.find((one) => one === trust.secureSum);
  const { needed, among } = name ? protocolNamed(name).opening({ tenants, ...trust }) : { needed: 0, among: 0 };
  return among > 0 && among < tenants
    ? `${needed} of a committee of ${among} of ${tenants}`
    : `${trust.threshold} of ${tenants}`;
}
