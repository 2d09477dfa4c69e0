import { describe, expect, test } from 'vitest';
import { featureSchema, inputNames, inputWidth } from '../../models/schema.ts';
import { schema } from './tables.ts';

const issues = (value: unknown) =>
  featureSchema.safeParse(value).error?.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`) ?? [];

describe('feature schema', () => {
  test('a schema that fits comes back as it was', () => {
    expect(featureSchema.parse(JSON.parse(JSON.stringify(schema)))).toEqual(schema);
  });

  test('a number is one input, a category one for each of its values, in order', () => {
    expect(inputNames(schema)).toEqual(['months', 'bill', 'contract=month', 'contract=year']);
    expect(inputWidth(schema)).toBe(4);
  });

  test('a field that is not known is refused, at every depth', () => {
    expect(issues({ ...schema, extra: 1 })).not.toEqual([]);
    expect(issues({ ...schema, features: [{ ...schema.features[0], extra: 1 }] })[0]).toMatch(/^features\.0/);
  });

  test('bounds out of order are refused where they stand', () => {
    const features = [{ kind: 'number', column: 'a', minimum: 3, maximum: 3, missing: 'refuse' }];
    expect(issues({ ...schema, features })).toEqual(['features.0.maximum: must be above minimum']);
  });

  test('a replacement for missing numbers outside the bounds is refused', () => {
    const features = [{ kind: 'number', column: 'a', minimum: 0, maximum: 1, missing: 2 }];
    expect(issues({ ...schema, features })[0]).toMatch(/^features\.0\.missing/);
  });

  test('bounds that are not finite are refused', () => {
    const features = [
      { kind: 'number', column: 'a', minimum: 0, maximum: Number.POSITIVE_INFINITY, missing: 'refuse' },
    ];
    expect(issues({ ...schema, features })[0]).toMatch(/^features\.0\.maximum/);
  });

  test('a category listed twice is refused', () => {
    const features = [{ kind: 'category', column: 'a', categories: ['x', 'y', 'x'], missing: 'zero', unknown: 'zero' }];
    expect(issues({ ...schema, features })).toEqual(['features.0.categories.2: "x" is listed twice']);
  });

  test('a column used twice is refused, as a feature, the label or the customer', () => {
    const [first] = schema.features;
    expect(issues({ ...schema, features: [first, first] })).toEqual(['features.1.column: "months" is listed twice']);
    const label = { column: 'months', positive: 'a', negative: 'b' };
    expect(issues({ ...schema, label })[0]).toMatch(/^features\.0\.column/);
    expect(issues({ ...schema, customer: { column: 'bill', maxRows: 2 } })[0]).toMatch(/^features\.1\.column/);
  });

  test('a label whose two values are the same is refused', () => {
    const label = { column: 'left', positive: 'a', negative: 'a' };
    expect(issues({ ...schema, label })).toEqual(['label.negative: must differ from positive']);
  });

  test('a hold-out of everybody is refused', () => {
    expect(issues({ ...schema, holdout: { oneIn: 1 } })[0]).toMatch(/^holdout\.oneIn/);
  });

  test('a schema wider than any machine should hold is refused', () => {
    const categories = Array.from({ length: 4096 }, (_, i) => `${i}`);
    const features = Array.from({ length: 17 }, (_, i) => {
      return { kind: 'category', column: `c${i}`, categories, missing: 'zero', unknown: 'zero' };
    });
    expect(issues({ ...schema, features })[0]).toMatch(/^features: /);
  });
});
