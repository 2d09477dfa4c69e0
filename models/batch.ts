import { type Encoded, rowsOfCustomer } from './encoded.ts';

/**
 * The rows one training step reads, padded to a size that says nothing about how many were drawn.
 * Slot s is customer s of the batch and owns rows s · maxRows … (s + 1) · maxRows − 1.
 */
export interface Batch {
  readonly rows: number;
  /** inputs of a row */
  readonly width: number;
  /** rows × width, padding is 0 */
  readonly inputs: Float32Array;
  /** 0 or 1 per row, padding is 0 */
  readonly labels: Float32Array;
  /** 1 for a row that counts, 0 for padding */
  readonly weights: Float32Array;
  /** the slot of each row, padding included */
  readonly customerOfRow: Int32Array;
  /** slots, those that hold no customer included */
  readonly customers: number;
}

/**
 * Lays out the drawn customers in a batch of always `maxBatch` slots.
 *
 * @param customers - numbers of customers in `encoded`, −1 for a slot without one; may be empty
 * @throws RangeError when more than `maxBatch` customers are given, or `encoded` has no labels
 */
export function padBatch(encoded: Encoded, customers: Int32Array, maxBatch: number): Batch {
  const { labels, maxRows, width } = encoded;
  if (customers.length > maxBatch) throw new RangeError(`a batch holds at most ${maxBatch} customers`);
  if (labels === null) throw new RangeError('training needs labels: name the label column in the schema');
  const rows = maxBatch * maxRows;
  const inputs = new Float32Array(rows * width);
  const batchLabels = new Float32Array(rows);
  const weights = new Float32Array(rows);
  for (const [slot, customer] of customers.entries()) {
    if (customer < 0) continue;
    for (const [offset, row] of rowsOfCustomer(encoded, customer).entries()) {
      const at = slot * maxRows + offset;
      inputs.set(encoded.inputs.subarray(row * width, (row + 1) * width), at * width);
      batchLabels[at] = labels[row]!;
      weights[at] = 1;
    }
  }
  const customerOfRow = Int32Array.from({ length: rows }, (_, row) => Math.floor(row / maxRows));
  return { rows, width, inputs, labels: batchLabels, weights, customerOfRow, customers: maxBatch };
}
