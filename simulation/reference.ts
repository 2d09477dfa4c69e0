import type { Settings } from '../aggregation/settings.ts';
import type { Backend } from '../models/backend.ts';
import { encode, type Table } from '../models/encode.ts';
import { heldOutCustomers, pool, subset, trainingCustomers } from '../models/encoded.ts';
import { customerScores } from '../models/evaluation.ts';
import { exactMetrics } from '../models/metrics.ts';
import { initialParameters, networkOf } from '../models/model.ts';
import { scores } from '../models/network.ts';
import { trainPlain } from '../models/plain-training.ts';

/**
 * What is gained by training together: every unit alone, and all rows pooled without privacy, judged on all held-out
 * customers. Only someone who has every unit's rows can compute this: a demonstration, never a federation.
 */
export interface Reference {
  readonly rocAuc: number;
  readonly prAuc: number;
  readonly accuracy: number;
}

export interface Judge {
  /** all customers nobody trains on */
  readonly customers: number;
  /** of any parameters of the model in the settings */
  judge(parameters: Float64Array): Promise<Reference>;
  /** a model of one unit's own, or of all units' pooled rows, trained without privacy */
  trained(unit?: string): Promise<Reference>;
}

export function judgeOf(settings: Settings, tables: ReadonlyMap<string, Table>, backend: Backend): Judge {
  const { work, features } = settings;
  if (work.kind !== 'train' || work.model.kind === 'k-means') throw new Error('only training tasks are judged');
  const { model } = work;
  const units = new Map([...tables].map(([unit, table]) => [unit, encode(features, table)]));
  const all = pool([...units.values()]);
  const heldOut = subset(all, heldOutCustomers(all));
  const net = networkOf(model, all.width);

  const judge = async (parameters: Float64Array): Promise<Reference> => {
    const everyone = Int32Array.from(heldOut.heldOut.keys());
    const judged = customerScores(heldOut, await scores(backend, net, parameters, heldOut.inputs), everyone);
    return exactMetrics(judged.scores, judged.labels);
  };
  return {
    customers: heldOut.customers,
    judge,
    trained: async (unit) => {
      const rows = unit === undefined ? all : units.get(unit)!;
      const start = initialParameters(model, all.width);
      return judge(await trainPlain(backend, net, start, subset(rows, trainingCustomers(rows))));
    },
  };
}
