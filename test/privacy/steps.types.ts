/**
 * Proofs that a step cannot be skipped. Nothing here runs: the compiler reads it, and complains when a line under
 * `@ts-expect-error` would compile.
 */
import { clip } from '../../privacy/clip.ts';
import { type GhostClipped, ghostClipped, quantize, quantizeChunks } from '../../privacy/grid.ts';
import { addNoise, drawNoise } from '../../privacy/noise.ts';
import { secureRandom } from '../../privacy/random.ts';
import type { Clipped, CustomerVectors, Noised, Quantized } from '../../privacy/steps.ts';

declare const vectors: CustomerVectors;
declare const seal: (values: Noised) => void;
const numbers = new Float64Array(3);
const share = drawNoise(6, 3, secureRandom());

// The one way through.
const clipped: Clipped = clip(vectors, 1);
const quantized: Quantized = quantize(clipped, 1000);
const noised: Noised = addNoise(quantized, share);
seal(noised);
seal(addNoise(quantizeChunks(ghostClipped({ clipNorm: 1, dimension: 3, chunks: [] }), 1000), share));

// @ts-expect-error vectors that were never clipped do not go to the grid
quantize(vectors, 1000);
// @ts-expect-error chunks whose promise nobody gave do not go to the grid
quantizeChunks({ clipNorm: 1, dimension: 3, chunks: [] }, 1000);
// @ts-expect-error clipped customers are not chunk sums
quantizeChunks(clipped, 1000);
// @ts-expect-error chunk sums are not customers
quantize({} as GhostClipped, 1000);
// @ts-expect-error vectors are not put under noise before they are on the grid
addNoise(clipped, share);
// @ts-expect-error any numbers are not a sum on the grid
addNoise(numbers, share);
// @ts-expect-error the share's values are not an argument anybody can make up
addNoise(quantized, numbers);
// @ts-expect-error a sum without noise is not sealed
seal(quantized);
// @ts-expect-error clipped vectors are not sealed
seal(clipped);
// @ts-expect-error any numbers are not sealed
seal(numbers);
// @ts-expect-error noise twice: a noised sum is not a sum on the grid
addNoise(noised, share);
// @ts-expect-error arithmetic loses the brand: what was computed from a sum is no sum
seal(noised.map((x) => 2 * x));
