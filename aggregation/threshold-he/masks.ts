import type { Mask } from '../kernels/kernels.ts';
import { hkdf } from '../key-agreement.ts';
import { keyStream } from '../key-stream.ts';
import type { TenantId } from '../secure-sum.ts';

/**
 * Masks that cancel over exactly one set of tenants (Bonawitz et al. 2017, §4.0.1, without self-masks): every
 * pair shares a secret, stretches it, and the one that comes first by name adds what the other subtracts.
 *
 * Used twice: on the values, over the cohort, modulo t; and on the opening shares, over the openers, modulo q.
 * `binding` names the occasion and the whole set, so two tenants that were told different sets draw masks that
 * do not cancel.
 */
export interface MaskOver {
  readonly me: TenantId;
  readonly set: readonly TenantId[];
  /** 32 bytes each, known to this tenant and that one only */
  readonly secrets: ReadonlyMap<TenantId, Uint8Array>;
  readonly purpose: 'values' | 'shares';
  /** 32 bytes, never the same for two masked messages */
  readonly binding: Uint8Array;
}

/** This tenant's masks with all others of the set, from the start of their streams. For one message. */
export const masksOver = ({ me, set, secrets, purpose, binding }: MaskOver): Mask[] =>
  set
    .filter((other) => other !== me)
    .map((other) => {
      const key = hkdf(secrets.get(other)!, binding, Buffer.from(`parley/threshold-he/mask/v1/${purpose}`), 16);
      const stream = keyStream(key); // the key is used for this stream alone
      key.fill(0);
      return { stream, adds: me < other };
    });
