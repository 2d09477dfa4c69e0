import type { Noised } from '../../privacy/steps.ts';
import type { BitBudget, SecureSumName, StoredVector, SumShape, TenantId } from '../secure-sum.ts';

/**
 * How a vector is hidden under masks, so that masked vectors add up to a masked sum:
 *
 *   sum({ a: hide(x, masks of a), b: hide(y, masks of b), … }, what of the masks is left) = x + y + …
 *
 * Who shares which mask with whom, who survived and whose masks are left is decided around it (`pairwise.ts`); a cover sees
 * keys, and never whose they are.
 */
export interface Cover extends CoverFacts {
  /**
   * @param values - `shape.dimension` integers within ±`largest(shape)`
   * @param masks - of this tenant, and what it does with each
   */
  hide(values: Noised, masks: Iterable<MaskKey>, occasion: Occasion): Promise<Uint8Array>;
  /** What is wrong with a vector of the right length; undefined when nothing is. */
  malformed(vector: StoredVector, shape: SumShape): string | undefined;
  /**
   * @param vectors - each of the right length and well-formed
   * @param masks - what is left of all masks, with the sign that takes it out. May throw while it is read.
   * @returns `shape.dimension` integers; what they are when the masks do not fit is for the caller to find out
   * @throws ProtocolBroken when no sum comes out
   */
  sum(
    vectors: ReadonlyMap<TenantId, StoredVector>,
    masks: Iterable<MaskKey>,
    occasion: Occasion,
  ): Promise<Float64Array>;
}

/** What a plan must know of a cover, before anything is loaded that it computes with. */
export interface CoverFacts {
  /** of the protocol that it makes; part of everything said in it */
  readonly name: SecureSumName;
  /** Largest |coordinate| that is told apart from every other, of a contribution and of the sum, for a plan of this shape. */
  largest(shape: SumShape): number;
  budget(shape: SumShape): BitBudget;
  /** Bytes of a hidden vector. */
  vectorBytes(shape: SumShape): number;
}

/** A mask of one vector. Its owner and who takes it out derive the same key, and use it for this alone. */
export interface MaskKey {
  /** 16 uniform bytes; whoever reads the key overwrites it after use */
  readonly key: Uint8Array;
  readonly sign: 1 | -1;
}

/** What everyone knows of the one sum that vectors are hidden for. */
export interface Occasion {
  /** 32 bytes: the round, all its keys, its cohort; never twice */
  readonly identity: Uint8Array;
  readonly shape: SumShape;
}
