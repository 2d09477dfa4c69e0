import type { Table } from '../../models/encode.ts';
import type { Encoded } from '../../models/encoded.ts';
import { groupRows } from '../../models/encoded.ts';
import type { FeatureSchema } from '../../models/schema.ts';

/** Customers of a made-up telephone company. */
export const schema: FeatureSchema = {
  customer: 'row',
  label: { column: 'left', positive: 'yes', negative: 'no' },
  features: [
    { kind: 'number', column: 'months', minimum: 0, maximum: 80, missing: 'refuse' },
    { kind: 'number', column: 'bill', minimum: 10, maximum: 110, missing: 60 },
    { kind: 'category', column: 'contract', categories: ['month', 'year'], missing: 'zero', unknown: 'refuse' },
  ],
  holdout: null,
};

export function tableOf(columns: readonly string[], rows: readonly (readonly (string | null)[])[]): Table {
  return { file: 'customers.csv', columns, rows, line: (row) => row + 2 };
}

/** Encoded rows from plain numbers; one row is one customer. */
export function encodedOf(rows: readonly (readonly number[])[], labels: readonly number[]): Encoded {
  const customers = Int32Array.from(rows.keys());
  return {
    ...groupRows(customers, rows.length),
    width: rows[0]!.length,
    maxRows: 1,
    inputs: Float32Array.from(rows.flat()),
    labels: Float32Array.from(labels),
    heldOut: new Uint8Array(rows.length),
  };
}

/** Uniform doubles in [0, 1): fixed, so that a failure can be repeated. */
export function uniformFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Normal deviates with standard deviation 1. */
export function gaussianFrom(seed: number): () => number {
  const uniform = uniformFrom(seed);
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

export function numbers(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => i);
}
