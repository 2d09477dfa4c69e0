import { countFloor, type KMeansShape, nextCentres } from '../models/k-means.ts';
import { initialParameters, parameterHash } from '../models/model.ts';
import { emptyAverage, step, type TailAverage, tailAverage } from '../models/optimiser.ts';
import { inputWidth } from '../models/schema.ts';
import { dequantize } from '../privacy/grid.ts';
import type { Plan } from './plan.ts';

/**
 * How a task moves from one opened sum to the next: the same arithmetic at the coordinator and at every
 * client, on doubles in a stated order. A client that computes other parameters than it is told refuses them.
 */
export interface Progress {
  /** sums taken in */
  readonly steps: number;
  /** what the next round starts from */
  readonly parameters: Float64Array;
  /** mean of the last iterates, so far */
  readonly tail: TailAverage;
  /** the last sum, in real units; what a profile or an evaluation is read from */
  readonly lastSum: Float64Array;
}

export function begin(start: Float64Array): Progress {
  return { steps: 0, parameters: start, tail: emptyAverage, lastSum: new Float64Array(0) };
}

/** What the task starts from: public, a function of the settings. An evaluation starts from the model it is given. */
export function startParameters(settings: Plan['settings']): Float64Array {
  const { work, features } = settings;
  if (work.kind === 'evaluate') throw new Error('an evaluation starts from the released model');
  const spec = work.kind === 'train' ? work.model : ({ kind: 'k-means', clusters: work.clusters } as const);
  return initialParameters(spec, inputWidth(features));
}

/**
 * Takes in one opened sum (grid units, length `dimension`).
 * @throws RangeError when the result is not finite
 */
export function takeIn(plan: Plan, before: Progress, sum: Float64Array): Progress {
  const { settings, derived } = plan;
  const lastSum = dequantize(sum, derived.clipNorm, settings.privacy.gridSteps);
  const parameters = next(plan, before.parameters, lastSum);
  const steps = before.steps + 1;
  const tail = isAveraged(plan, steps) ? tailAverage(before.tail, parameters) : before.tail;
  return { steps, parameters, tail, lastSum };
}

function next(plan: Plan, parameters: Float64Array, sum: Float64Array): Float64Array {
  const { work } = plan.settings;
  switch (work.kind) {
    case 'train':
      return step(parameters, sum, work);
    case 'segment':
      return nextCentres(sum, parameters, clusterShape(plan), countFloor(sumNoise(plan)));
    case 'evaluate':
      return parameters;
  }
}

/** Standard deviation of each coordinate of an opened sum in real units, when every tenant of the roster contributed. */
export function sumNoise({ derived, settings, roster }: Plan, contributions: number = roster.length): number {
  return (derived.shareStdDev * Math.sqrt(contributions) * derived.clipNorm) / settings.privacy.gridSteps;
}

/** @throws Error when the plan does not segment */
export function clusterShape({ settings: { work, features } }: Plan): KMeansShape {
  if (work.kind !== 'segment') throw new Error(`a plan to ${work.kind} has no clusters`);
  return { clusters: work.clusters, width: inputWidth(features), labelled: features.label !== undefined };
}

const isAveraged = ({ settings: { work } }: Plan, steps: number): boolean =>
  work.kind === 'train' && steps > work.rounds - work.averageLast;

/** What is released when all steps are taken: the mean of the last iterates, or the last one. */
export function released({ settings: { work } }: Plan, { parameters, tail }: Progress): Float64Array {
  return work.kind === 'train' ? tail.mean : parameters;
}

/** Identifies what a round starts from; the last one identifies what was released. */
export function progressHash(plan: Plan, progress: Progress, steps: number): string {
  return parameterHash(progress.steps === steps ? released(plan, progress) : progress.parameters);
}
