import { roundsOf } from '../../aggregation/plan.ts';
import { begin, type Progress, progressHash, startParameters, takeIn } from '../../aggregation/progress.ts';
import { protocolNamed } from '../../aggregation/protocols.ts';
import type { TenantId } from '../../aggregation/secure-sum.ts';
import { contribution } from '../../client/contribution.ts';
import type { Backend } from '../../models/backend.ts';
import { encode } from '../../models/encode.ts';
import { trainingCustomers } from '../../models/encoded.ts';
import { secureRandom } from '../../privacy/random.ts';
import { toyTable } from '../support-client/toy-task.ts';
import type { Books } from './books.ts';
import { drawsIn, noNoise } from './numbered-noise.ts';

/**
 * Trains the model again, in the clear and without a federation, over the tenants that each round is said to hold: every opened
 * sum must be theirs, to the last digit, and hold one draw of noise of each, never one that another sum held.
 */
export async function wrongSums({ plan, rounds, sums, entries }: Books, backend: Backend): Promise<string[]> {
  const { summing } = protocolNamed(plan.settings.secureSum.protocol);
  const contribute = summing.findIndex(({ gate }) => gate === 'contribute');
  const roster = plan.roster.map(({ tenant }) => tenant);
  const problems: string[] = [];
  const drawn = new Set<string>();
  let progress: Progress = begin(startParameters(plan.settings));
  for (const { round, sum } of sums) {
    const cohort = [
      ...(rounds
        .find((one) => one.round === round)
        ?.said.get(contribute)
        ?.keys() ?? []),
    ];
    const expected = new Float64Array(plan.derived.dimension);
    for (const tenant of cohort) {
      const own = await exact(tenant, plan, progress.parameters, backend);
      for (const [i, value] of own.entries()) expected[i]! += value;
    }
    if (sum.some((value, i) => i > 0 && value !== expected[i]))
      problems.push(`round ${round} opened another sum than that of ${cohort}`);
    for (const [i, draw] of drawsIn(sum[0]! - expected[0]!, roster.length).entries()) {
      const tenant = roster[i]!;
      if (draw > 0 !== cohort.includes(tenant))
        problems.push(`round ${round}: ${tenant} is in the sum, or is not, wrongly`);
      if (draw > 0 && drawn.has(`${tenant} ${draw}`)) problems.push(`round ${round}: noise of ${tenant} again`);
      drawn.add(`${tenant} ${draw}`);
    }
    progress = takeIn(plan, progress, sum);
    const release = entries.find((entry) => entry.kind === 'release' && entry.round === round);
    if (release?.kind !== 'release' || release.modelHash !== progressHash(plan, progress, roundsOf(plan)))
      problems.push(`round ${round} was released as another model than its sum leads to`);
  }
  return problems;
}

async function exact(tenant: TenantId, plan: Books['plan'], parameters: Float64Array, backend: Backend) {
  const encoded = encode(plan.settings.features, toyTable(tenant));
  const customers = { encoded, pool: trainingCustomers(encoded) };
  const { shareStdDev, dimension } = plan.derived;
  const random = secureRandom();
  return contribution(plan, customers, parameters, noNoise(shareStdDev, dimension), { backend, random });
}
