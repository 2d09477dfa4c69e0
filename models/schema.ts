import { z } from 'zod';

/**
 * What a model reads of a table: public, part of the signed plan, the same for every tenant.
 *
 * Bounds and categories come from the data dictionary, never from pooled data: they would be a release
 * without an entry in the ledger.
 */
export interface FeatureSchema {
  /** who is one customer: all rows with the same value in `column` (at most `maxRows`), or each row by itself */
  readonly customer: CustomerKey | 'row';
  /** what is to be predicted: `column` holds exactly `positive` or `negative` */
  readonly label?: Label;
  /** at least one; their order is the order of the model's inputs */
  readonly features: readonly Feature[];
  /** one customer in `oneIn` is kept from training, to evaluate on; null keeps none */
  readonly holdout: Holdout | null;
}

export interface CustomerKey {
  readonly column: string;
  /** most rows one customer may have; batches are padded to it */
  readonly maxRows: number;
}

export interface Label {
  readonly column: string;
  readonly positive: string;
  readonly negative: string;
}

export interface Holdout {
  readonly oneIn: number;
}

export type Feature = NumberFeature | CategoryFeature;

/** One input: `minimum` … `maximum` scaled to −1 … 1; what lies outside is clamped. */
export interface NumberFeature {
  readonly kind: 'number';
  readonly column: string;
  readonly minimum: number;
  readonly maximum: number;
  /** an empty cell is refused, or read as this number */
  readonly missing: 'refuse' | number;
}

/** One input per category, 1 for the cell's category and 0 for the others; all 0 for `zero`. */
export interface CategoryFeature {
  readonly kind: 'category';
  readonly column: string;
  readonly categories: readonly string[];
  /** an empty cell is refused, or read as all zeros */
  readonly missing: 'refuse' | 'zero';
  /** a category that is not listed is refused, or read as all zeros */
  readonly unknown: 'refuse' | 'zero';
}

/** Widest model input a schema may ask for; a plan comes over the network and must not order gigabytes. */
export const maxWidth = 65_536;

const text = z.string().min(1).max(256);

const numberFeature = z
  .strictObject({
    kind: z.literal('number'),
    column: text,
    minimum: z.number(),
    maximum: z.number(),
    missing: z.union([z.literal('refuse'), z.number()]),
  })
  .refine((f) => f.minimum < f.maximum, { path: ['maximum'], error: 'must be above minimum' })
  .refine((f) => f.missing === 'refuse' || (f.minimum <= f.missing && f.missing <= f.maximum), {
    path: ['missing'],
    error: 'must be "refuse" or a number between minimum and maximum',
  });

const categoryFeature = z
  .strictObject({
    kind: z.literal('category'),
    column: text,
    categories: z.array(text).min(1).max(4096),
    missing: z.enum(['refuse', 'zero']),
    unknown: z.enum(['refuse', 'zero']),
  })
  .superRefine((feature, context) => refuseRepeats(feature.categories, ['categories'], context));

const label = z
  .strictObject({ column: text, positive: text, negative: text })
  .refine((l) => l.positive !== l.negative, { path: ['negative'], error: 'must differ from positive' });

/** Checks a schema that came from a file or a peer. Messages carry the path of the field. */
export const featureSchema: z.ZodType<FeatureSchema> = z
  .strictObject({
    customer: z.union([z.literal('row'), z.strictObject({ column: text, maxRows: z.int().min(1).max(1000) })]),
    label: label.exactOptional(),
    features: z
      .array(z.discriminatedUnion('kind', [numberFeature, categoryFeature]))
      .min(1)
      .max(4096),
    holdout: z.nullable(z.strictObject({ oneIn: z.int().min(2).max(1_000_000) })),
  })
  .superRefine(checkColumns);

/** Numbers the model reads per row. */
export function inputWidth(schema: FeatureSchema): number {
  return schema.features.reduce((width, feature) => width + featureWidth(feature), 0);
}

/** One name per input, in order: `column` for a number, `column=category` for a category. */
export function inputNames(schema: FeatureSchema): string[] {
  return schema.features.flatMap((feature) =>
    feature.kind === 'number'
      ? [feature.column]
      : feature.categories.map((category) => `${feature.column}=${category}`),
  );
}

/** Inputs one feature takes. */
export function featureWidth(feature: Feature): number {
  return feature.kind === 'number' ? 1 : feature.categories.length;
}

/** A column may be a feature once, and never a feature and the label or customer key as well. */
function checkColumns(schema: FeatureSchema, context: z.RefinementCtx): void {
  const columns = schema.features.map((feature) => feature.column);
  refuseRepeats(columns, ['features'], context, 'column');
  const reserved = [schema.label?.column, schema.customer === 'row' ? undefined : schema.customer.column];
  for (const [index, column] of columns.entries()) {
    if (!reserved.includes(column)) continue;
    const message = `"${column}" is the label or the customer column and cannot be a feature`;
    context.addIssue({ code: 'custom', path: ['features', index, 'column'], message });
  }
  if (inputWidth(schema) > maxWidth) {
    context.addIssue({ code: 'custom', path: ['features'], message: `need more than ${maxWidth} inputs together` });
  }
}

function refuseRepeats(values: readonly string[], path: string[], context: z.RefinementCtx, field?: string): void {
  for (const [index, value] of values.entries()) {
    if (values.indexOf(value) === index) continue;
    const at = field === undefined ? [...path, index] : [...path, index, field];
    context.addIssue({ code: 'custom', path: at, message: `"${value}" is listed twice` });
  }
}
