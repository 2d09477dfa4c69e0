/**
 * The steps a number takes before it may leave a tenant, as types.
 *
 *   CustomerVectors ──clip──▶ Clipped ──quantize──▶ Quantized ──addNoise──▶ Noised ──seal──▶ Sealed
 *
 * Each brand exists only for the compiler and is granted in exactly one function, named above
 * (`Sealed` belongs to `aggregation/secure-sum.ts`). Skipping a step does not compile;
 * `test/privacy/steps.types.ts` holds the proofs.
 */
declare const step: unique symbol;

/**
 * One real vector for each customer of a batch: what that customer alone would add to the sum.
 * Read lazily, so that a batch never needs `count · dimension` numbers in memory at once.
 */
export interface CustomerVectors {
  /** customers in the batch; rows past the sampled ones are padding and read as zero */
  readonly count: number;
  /** coordinates of each vector */
  readonly dimension: number;
  /** Writes customer `index`'s vector into `into` (length `dimension`). May hold NaN or infinities; `clip` answers for them. */
  read(index: number, into: Float64Array): void;
}

/** Every vector has L2 norm ≤ clipNorm; non-finite vectors have become zero. Granted by `clip`. */
export type Clipped = CustomerVectors & { readonly clipNorm: number; readonly [step]: 'clipped' };

/**
 * The sum of a batch on the integer grid: length `dimension`, integers exact in a double (below 2^53).
 * Adding or removing one customer moves it by at most the grid's sensitivity in L2. Granted by `quantize`.
 */
export type Quantized = Float64Array & { readonly [step]: 'quantized' };

/** As `Quantized`, carrying this tenant's share of the noise. Granted by `addNoise`. */
export type Noised = Float64Array & { readonly [step]: 'noised' };
