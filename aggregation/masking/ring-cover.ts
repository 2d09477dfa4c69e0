import type { WordKernels } from '../kernels/kernels.ts';
import type { SumShape } from '../secure-sum.ts';
import type { Cover, CoverFacts } from './cover.ts';
import { addAll, laneOf, maskAll, ringBytes, ringFor } from './ring.ts';

/** Masks straight on the values, modulo a power of two (Bonawitz et al. 2017, §4): x + Σ ± PRG(key) modulo 2^bits. */
export const ringCover = (words: WordKernels): Cover => ({
  ...ringFacts,
  async hide(values, masks, { shape }) {
    const vector = new Uint8Array(ringFacts.vectorBytes(shape));
    words.encode(bitsOf(shape), values, vector);
    await maskAll(words, bitsOf(shape), vector, masks);
    return vector;
  },
  malformed: () => undefined, // every word is some masked value
  async sum(vectors, masks, { shape }) {
    const sum = await addAll(words, bitsOf(shape), vectors.values(), ringFacts.vectorBytes(shape));
    await maskAll(words, bitsOf(shape), sum, masks);
    const values = new Float64Array(shape.dimension);
    words.decode(bitsOf(shape), sum, values);
    return values;
  },
});

export const ringFacts: CoverFacts = {
  name: 'masking',
  largest: (shape) => laneOf(bitsOf(shape)),
  budget(shape) {
    const { maxMagnitude } = shape;
    const [bits, lane] = [bitsOf(shape), laneOf(bitsOf(shape))];
    return {
      needed: Math.log2(2 * maxMagnitude + 1),
      available: Math.log2(2 * lane + 1),
      explanation:
        maxMagnitude > lane
          ? `sums up to ±${maxMagnitude} are not exact in doubles, up to ±${lane}: use a coarser grid or fewer customers a round`
          : `sums up to ±${maxMagnitude} are masked modulo 2^${bits}, ${bits / 8} bytes a value`,
    };
  },
  vectorBytes: (shape) => ringBytes(bitsOf(shape), shape.dimension),
};

/** The narrowest ring that does, or the widest where none does and nothing is hidden. */
const bitsOf = ({ maxMagnitude }: SumShape) => ringFor(maxMagnitude) ?? 64;
