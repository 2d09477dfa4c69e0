import { released } from '../aggregation/progress.ts';
import { unitOf } from '../aggregation/settings.ts';
import type { Model } from '../models/artifact.ts';
import type { Conductor } from './conductor.ts';

/** The model file of a finished task that releases one. */
export function artifactOf(conductor: Conductor | undefined): Model | undefined {
  if (conductor === undefined || conductor.state.phase !== 'finished') return undefined;
  const { plan, progress, id } = conductor;
  const { work, features, privacy } = plan.settings;
  if (work.kind === 'evaluate') return undefined;
  return {
    spec: work.kind === 'train' ? work.model : { kind: 'k-means', clusters: work.clusters },
    schema: features,
    parameters: released(plan, progress),
    taskHash: id,
    guarantee: {
      ...plan.derived.epsilon,
      delta: privacy.delta,
      unit: unitOf(plan.settings),
      neighbouring: privacy.neighbouring,
    },
  };
}
