import type { RandomSource } from '../../privacy/random.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { type LatticeLaneBits, largestInLane } from '../kernels/lanes.ts';
import { DEGREE } from '../kernels/rings.ts';
import type { Cover, CoverFacts } from '../masking/cover.ts';
import { addAll, maskAll } from '../masking/ring.ts';
import { ProtocolBroken, type SumShape } from '../secure-sum.ts';
import { arePolynomials, decryptSum } from './decrypt-sum.ts';
import { encrypt } from './encrypt.ts';
import { oneTimeKey } from './one-time-key.ts';
import { KEY_BITS, KEY_BYTES, LARGEST_IN_KEY, lanesFor, POLYNOMIAL_BYTES, polynomials } from './parameters.ts';

/**
 * Masks on a key, and the vector encrypted under the key:
 *
 *   hidden vector   s + Σ ± PRG(mask)  modulo 2^32, 16 KiB  ‖  a_j·s + t·e_j + m_j for every polynomial j
 *   sum             masks off: Σ s.   Σ (a_j·s + t·e_j + m_j) − a_j·Σ s = Σ m_j + t·Σ e_j
 *
 * A mask is 16 KiB long, however long the vector is: whoever is lost costs the coordinator no more than that.
 *
 * @param random - keys come from it, one for each vector that is hidden
 */
export const latticeCover = (kernels: Kernels, random: Pick<RandomSource, 'fill'>): Cover => ({
  ...latticeFacts,
  async hide(values, masks, { identity, shape }) {
    const vector = new Uint8Array(latticeFacts.vectorBytes(shape));
    const [hiddenKey, ciphertext] = [vector.subarray(0, KEY_BYTES), vector.subarray(KEY_BYTES)];
    const key = oneTimeKey(kernels, random);
    try {
      await encrypt(kernels, values, { bits: bitsOf(shape), occasion: identity, key }, ciphertext);
      kernels.words.encode(KEY_BITS, key.coefficients, hiddenKey);
      await maskAll(kernels.words, KEY_BITS, hiddenKey, masks);
    } finally {
      key.forget();
    }
    return vector;
  },
  malformed: (vector) => (arePolynomials(kernels, vector, KEY_BYTES) ? undefined : 'a residue is not below its prime'),
  async sum(vectors, masks, { identity, shape }) {
    const words = await addAll(kernels.words, KEY_BITS, vectors.values(), KEY_BYTES);
    await maskAll(kernels.words, KEY_BITS, words, masks);
    const keySum = new Float64Array(DEGREE);
    kernels.words.decode(KEY_BITS, words, keySum);
    if (keySum.some((coefficient) => Math.abs(coefficient) > LARGEST_IN_KEY * vectors.size))
      throw new ProtocolBroken('what the masks leave is no sum of keys');
    return decryptSum(kernels, {
      bits: bitsOf(shape),
      dimension: shape.dimension,
      occasion: identity,
      ciphertexts: vectors,
      from: KEY_BYTES,
      keySum,
    });
  },
});

export const latticeFacts: CoverFacts = {
  name: 'lattice-mask',
  largest: (shape) => largestInLane(bitsOf(shape)),
  budget(shape) {
    const { maxMagnitude } = shape;
    const [bits, lane] = [bitsOf(shape), largestInLane(bitsOf(shape))];
    return {
      needed: Math.log2(2 * maxMagnitude + 1),
      available: Math.log2(2 * lane + 1),
      explanation:
        maxMagnitude > lane
          ? `sums up to ±${maxMagnitude} do not fit lanes of ±${lane}: use a coarser grid or fewer customers a round`
          : `sums up to ±${maxMagnitude} fit lanes of ${bits} bits, ${(POLYNOMIAL_BYTES * bits) / 92 / DEGREE} bytes a value`,
    };
  },
  vectorBytes: (shape) => KEY_BYTES + POLYNOMIAL_BYTES * polynomials(bitsOf(shape), shape.dimension),
};

/** The narrowest lanes that do, or the widest where none does and nothing is hidden. */
const bitsOf = ({ maxMagnitude }: SumShape): LatticeLaneBits => lanesFor(maxMagnitude) ?? 46;
