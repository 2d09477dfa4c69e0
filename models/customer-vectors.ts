/**
 * One vector for each slot of a batch: what that customer alone would add to a sum, not yet clipped. Slots without a
 * customer read as zero. Read lazily, so that a batch never needs count × dimension numbers at once.
 *
 * The same shape as `CustomerVectors` in `privacy/steps.ts`, which clips it; the two rooms do not know each other.
 */
export interface CustomerVectors {
  readonly count: number;
  readonly dimension: number;
  /** Writes slot `index`'s vector into `into` (length `dimension`). May hold NaN or infinities. */
  read(index: number, into: Float64Array): void;
}
