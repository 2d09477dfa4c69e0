import type { Arithmetic } from './arithmetic.ts';
import { type Polynomial, zero } from './polynomial.ts';

/** A tenant's own key, and what is encrypted under it. */
export interface OwnKey {
  /** s in NTT form. Whoever deals it overwrites it afterwards. */
  readonly secret: Polynomial;
  /**
   * m − (a·s + t·e) with fresh e, in NTT form: a BGV ciphertext's first half, its second half being `a`.
   *
   * @param slots - 4096 integers in [0, t)
   * @param a - uniform and used once, or two vectors encrypted under it show their difference
   * @throws RangeError when the key was forgotten
   */
  encrypt(slots: Float64Array, a: Polynomial): Polynomial;
  forget(): void;
}

/** A fresh one. */
export function ownKey({ seal, ring }: Pick<Arithmetic, 'seal' | 'ring'>): OwnKey {
  const secret = seal.secretKey();
  const negated = zero();
  ring.subtract(negated, secret);
  let forgotten = false;
  return {
    secret,
    encrypt(slots, a) {
      if (forgotten) throw new RangeError('this key is forgotten'); // under zeros the slots would be in the clear
      const ciphertext = seal.withError(slots);
      ring.multiplyAdd(ciphertext, a, negated);
      return ciphertext;
    },
    forget() {
      forgotten = true;
      secret.fill(0);
      negated.fill(0);
    },
  };
}
