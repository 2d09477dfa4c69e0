import { createHash } from 'node:crypto';
import { makePlan, type Plan } from '../../aggregation/plan.ts';
import { startParameters } from '../../aggregation/progress.ts';
import { vectorBytes, vectorFrom } from '../../aggregation/wire.ts';
import type { Conductor } from '../../coordinator/conductor.ts';
import type { Backend } from '../../models/backend.ts';
import { encode } from '../../models/encode.ts';
import { trainingCustomers } from '../../models/encoded.ts';
import type { RandomSource } from '../../privacy/random.ts';
import { createFederation } from '../federation.ts';
import type { CanaryTask } from './canaries.ts';
import type { Contribute } from './contribute.ts';

/** What an attacker has who sees every opened sum: one integer vector for each round. */
export interface OpenedSums {
  readonly plan: Plan;
  readonly sums: readonly Float64Array[];
  /** tenants in each of the sums */
  readonly contributions: number;
}

/**
 * Runs the task in a federation: production coordinator and clients, with this task's secure sum.
 *
 * @param onRound - told whenever the task changed
 * @throws Error when the task stops before its last round, or a tenant is missing from a sum
 */
export async function sumsOfFederation(
  { settings, tables }: CanaryTask,
  backend: Backend,
  onRound: (conductor: Conductor | undefined) => void = () => {},
): Promise<OpenedSums> {
  const failures: unknown[] = [];
  const federation = await createFederation({
    tables,
    schema: settings.features,
    backend,
    secureSum: [settings.secureSum.protocol],
    onClientEvent: (tenant, event) => {
      if (event.type === 'declined') failures.push(`${tenant} declined: ${event.reason}`);
    },
    onCoordinatorEvent: (event) => {
      if (event.type === 'task-failed') failures.push(event.error);
      if (event.type === 'task-changed') onRound(federation.coordinator.task(event.task));
    },
  });
  try {
    const { plan, state, id } = await federation.run(settings);
    if (state.phase !== 'finished')
      throw new Error(`the federation of the audit stopped: ${failures.map(String).join('; ') || state.phase}`);
    const opened = [...federation.coordinator.store.sums(id, 0)];
    if (opened.some(({ contributions }) => contributions !== tables.size))
      throw new Error('a tenant was missing from a sum of the audit: run it again on a machine less busy');
    const sums = opened.map(({ sum }) => vectorFrom(sum, plan.derived.dimension));
    return { plan, sums, contributions: tables.size };
  } finally {
    federation.close();
  }
}

/** Adds what `contribute` makes of each tenant's customers, without a federation around it: for controls, and for tests. */
export async function sumsOf(
  { settings, tables }: CanaryTask,
  contribute: Contribute,
  { backend, random }: { backend: Backend; random: RandomSource },
): Promise<OpenedSums> {
  const roster = [...tables.keys()].map((tenant, i) => ({ tenant, key: String(i).padStart(64, '0') }));
  const plan = makePlan(settings, roster, '0'.repeat(64), 0);
  const tenants = [...tables.values()].map((table) => {
    const encoded = encode(settings.features, table);
    return { encoded, pool: trainingCustomers(encoded) };
  });
  const parameters = startParameters(settings); // which the learning rate leaves where they are
  const sums: Float64Array[] = [];
  for (let round = 0; round < roundsIn(settings); round++) {
    const sum = new Float64Array(plan.derived.dimension);
    for (const customers of tenants) {
      const vector = await contribute(plan, customers, parameters, { backend, random, noise: random });
      for (let i = 0; i < sum.length; i++) sum[i]! += vector[i]!;
    }
    sums.push(sum);
  }
  return { plan, sums, contributions: tables.size };
}

/** SHA-256 of all sums in order, as little-endian doubles. */
export function hashOfSums({ sums }: OpenedSums): string {
  const hash = createHash('sha256');
  for (const sum of sums) hash.update(vectorBytes(sum));
  return hash.digest('hex');
}

const roundsIn = ({ work }: CanaryTask['settings']): number => (work.kind === 'evaluate' ? 1 : work.rounds);
