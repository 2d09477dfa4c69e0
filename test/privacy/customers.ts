import type { CustomerVectors } from '../../privacy/steps.ts';

/** Customers whose vectors are these rows, as they are. */
export function customersOf(rows: readonly (readonly number[])[], dimension: number): CustomerVectors {
  return { count: rows.length, dimension, read: (index, into) => into.set(rows[index]!) };
}

export function norm(vector: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < vector.length; i++) sum += vector[i]! ** 2;
  return Math.sqrt(sum);
}
