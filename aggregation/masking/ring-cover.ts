import { setImmediate } from 'node:timers/promises';
import type { SumShape } from '../secure-sum.ts';
import type { Cover } from './cover.ts';
import { laneOf, ringBytes, ringFor, ringVector } from './ring.ts';

/** Masks straight on the values, modulo a power of two (Bonawitz et al. 2017, §4): x + Σ ± PRG(key) modulo 2^bits. */
export const ringCover: Cover = {
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
  vectorBytes,
  async hide(values, masks, { shape }) {
    const vector = ringVector(bitsOf(shape), shape.dimension);
    vector.addValues(values);
    for (const { key, sign } of masks) {
      vector.mask(key, sign);
      key.fill(0);
      await setImmediate(); // long vectors let the connection answer its heartbeat
    }
    return vector.bytes();
  },
  malformed: () => undefined,
  async sum(vectors, masks, { shape }) {
    const sum = ringVector(bitsOf(shape), shape.dimension);
    for (const vector of vectors.values()) sum.addBytes(vector.read(0, vectorBytes(shape)));
    for (const { key, sign } of masks) {
      sum.mask(key, sign);
      key.fill(0);
      await setImmediate(); // as above
    }
    return sum.values();
  },
};

/** The narrowest ring that does, or the widest where none does and nothing is hidden. */
const bitsOf = ({ maxMagnitude }: SumShape) => ringFor(maxMagnitude) ?? 64;

function vectorBytes(shape: SumShape): number {
  return ringBytes(bitsOf(shape), shape.dimension);
}
