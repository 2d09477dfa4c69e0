/**
 * What was done to customers' data, in the terms accounting needs and no others.
 *
 * An event is a fact: it is stored, and every ε is derived from stored events, so the two cannot drift apart. Kinds have
 * the names of Google's dp_accounting (dp_event.py, without the suffix), so a ledger can be checked with it.
 *
 *   SelfComposed ×105
 *     └─ PoissonSampled 0.1
 *          └─ DiscreteGaussian σ² Δ       what one training plan of a hundred rounds looks like
 *
 * Promise: a kind is never redefined and never removed; a new one is added beside it. A reader that does not know a kind
 * reads `Unsupported`, which costs ∞.
 */
import { z } from 'zod';
import { EVERYBODY, type SamplingRate } from './poisson.ts';

export type PrivacyEvent =
  /** An integer vector sum that one customer moves by at most `sensitivity` (L2), with discrete Gaussian noise. */
  | DiscreteGaussian
  /** A real vector sum that one customer moves by at most C, with N(0, (noiseMultiplier · C)²) in each coordinate. */
  | { readonly type: 'Gaussian'; readonly noiseMultiplier: number }
  /** As `Gaussian`, where the customer moves the sum by as much as chance decides: several tenants that sample each for itself. */
  | MixtureOfGaussians
  /** `event` on a batch that every customer joins independently with probability rate / 2^32. */
  | { readonly type: 'PoissonSampled'; readonly rate: SamplingRate; readonly event: PrivacyEvent }
  /** `event`, `count` times; later runs may depend on what earlier ones gave. */
  | { readonly type: 'SelfComposed'; readonly event: PrivacyEvent; readonly count: number }
  /** All of `events`, one after the other. */
  | { readonly type: 'Composed'; readonly events: readonly PrivacyEvent[] }
  /** Released without protection: costs ∞. */
  | { readonly type: 'NonPrivate' }
  /** Nothing happened: costs 0. */
  | { readonly type: 'NoOp' }
  /** Something this version cannot price: costs ∞. */
  | { readonly type: 'Unsupported' };

export interface DiscreteGaussian {
  readonly type: 'DiscreteGaussian';
  /** σ² of the noise in the sum, all shares together, in squared grid steps */
  readonly noiseVariance: number;
  /** L2, in grid steps */
  readonly sensitivity: number;
  /** coordinates; for the record, the price does not depend on it */
  readonly dimension?: number;
}

export interface MixtureOfGaussians {
  readonly type: 'MixtureOfGaussians';
  /** of the noise in each coordinate, in the unit of the sensitivities */
  readonly standardDeviation: number;
  /** L2, by which the customer moves the sum, with the probability at the same place in `samplingProbs` */
  readonly sensitivities: readonly number[];
  /** sum 1 */
  readonly samplingProbs: readonly number[];
}

const positive = z.number().positive();
const whole = z.int().positive();

/** An event this version knows, field by field; anything else is an error. For what we write. */
export const knownEvent: z.ZodType<PrivacyEvent> = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('DiscreteGaussian'),
    noiseVariance: positive,
    sensitivity: positive,
    dimension: whole.exactOptional(),
  }),
  z.strictObject({ type: z.literal('Gaussian'), noiseMultiplier: positive }),
  z
    .strictObject({
      type: z.literal('MixtureOfGaussians'),
      standardDeviation: positive,
      sensitivities: z.array(z.number().nonnegative()).min(1).readonly(),
      samplingProbs: z.array(z.number().min(0).max(1)).readonly(),
    })
    .refine(
      ({ sensitivities, samplingProbs }) =>
        sensitivities.length === samplingProbs.length &&
        Math.abs(samplingProbs.reduce((sum, each) => sum + each, -1)) < 1e-9,
    ),
  z.strictObject({
    type: z.literal('PoissonSampled'),
    rate: whole.max(EVERYBODY),
    get event() {
      return knownEvent;
    },
  }),
  z.strictObject({
    type: z.literal('SelfComposed'),
    get event() {
      return knownEvent;
    },
    count: whole,
  }),
  z.strictObject({
    type: z.literal('Composed'),
    get events() {
      return z.array(knownEvent).readonly();
    },
  }),
  z.strictObject({ type: z.literal('NonPrivate') }),
  z.strictObject({ type: z.literal('NoOp') }),
  z.strictObject({ type: z.literal('Unsupported') }),
]);

/** An event as somebody else wrote it. Never fails: whatever is not known entirely reads as `Unsupported`, and costs ∞. */
export const privacyEvent: z.ZodType<PrivacyEvent> = knownEvent.catch({ type: 'Unsupported' });
