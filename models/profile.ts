import { blockLength, type KMeansShape } from './k-means.ts';
import { type FeatureSchema, featureWidth, type NumberFeature } from './schema.ts';

/** A number with its 95 % half-width from the noise that privacy added; 1.96 standard errors. */
export interface Estimate {
  readonly value: number;
  readonly plusMinus: number;
}

/** What an opened sum says about one segment. */
export interface Segment {
  /** the segment's number: which centre */
  readonly segment: number;
  /** customers in the sum that were nearest to it */
  readonly customers: Estimate;
  /** share of positive labels, 0 … 1; absent when the schema has no label */
  readonly positiveRate?: Estimate;
  /** for a number its mean in the column's units; for a category the share that has it, 0 … 1 */
  readonly features: readonly { readonly name: string; readonly mean: Estimate }[];
}

/** Smallest noisy count of a segment that is shown: below it the means are mostly noise. */
export const smallestShown = 100;

const z95 = 1.96;

/**
 * Describes the segments of a k-means round. Costs no privacy: it reads only what was opened.
 *
 * A mean is a ratio of two noisy sums S / n; to first order its variance is σ² (1 + (S/n)²) / n² (delta method).
 * The intervals hold the noise, not the chance of who the customers are.
 *
 * @param sums - the opened sum of the last round, in `KMeansShape` blocks
 * @param noiseStdDev - σ of each coordinate, in customers
 * @returns segments with at least `smallestShown` customers, and how many were too small
 */
export function profile(
  sums: Float64Array,
  noiseStdDev: number,
  schema: FeatureSchema,
  shape: KMeansShape,
): { readonly segments: readonly Segment[]; readonly tooSmall: number } {
  const block = blockLength(shape);
  const all = Array.from({ length: shape.clusters }, (_, segment) =>
    describe(sums.subarray(segment * block, (segment + 1) * block), segment, noiseStdDev, schema, shape),
  );
  const segments = all.filter((segment) => segment.customers.value >= smallestShown);
  return { segments, tooSmall: all.length - segments.length };
}

function describe(
  block: Float64Array,
  segment: number,
  noiseStdDev: number,
  schema: FeatureSchema,
  shape: KMeansShape,
): Segment {
  const count = block[0]!;
  const mean = (at: number) => ratio(block[at]!, count, noiseStdDev);
  const customers = { value: count, plusMinus: z95 * noiseStdDev };
  const features = describeFeatures(schema, (input) => mean(1 + input));
  if (!shape.labelled) return { segment, customers, features };
  return { segment, customers, features, positiveRate: clamp(mean(1 + shape.width), 0, 1) };
}

function describeFeatures(schema: FeatureSchema, mean: (input: number) => Estimate): Segment['features'] {
  let input = 0;
  return schema.features.flatMap((feature) => {
    const first = input;
    input += featureWidth(feature);
    if (feature.kind === 'number') return [{ name: feature.column, mean: inUnits(mean(first), feature) }];
    return feature.categories.map((category, offset) => ({
      name: `${feature.column}=${category}`,
      mean: clamp(mean(first + offset), 0, 1),
    }));
  });
}

function ratio(sum: number, count: number, noiseStdDev: number): Estimate {
  const value = sum / count;
  return { value, plusMinus: (z95 * noiseStdDev * Math.sqrt(1 + value * value)) / Math.abs(count) };
}

/** From the box's −1 … 1 to the column's minimum … maximum. */
function inUnits(scaled: Estimate, { minimum, maximum }: NumberFeature): Estimate {
  const half = (maximum - minimum) / 2;
  const value = minimum + (scaled.value + 1) * half;
  return clamp({ value, plusMinus: scaled.plusMinus * half }, minimum, maximum);
}

function clamp({ value, plusMinus }: Estimate, low: number, high: number): Estimate {
  return { value: Math.min(high, Math.max(low, value)), plusMinus };
}
