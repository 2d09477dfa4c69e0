import { createCipheriv } from 'node:crypto';
import { hkdf } from '../key-agreement.ts';
import type { TenantId } from '../secure-sum.ts';
import { PLAIN_MODULUS } from './parameters.ts';
import { addInto, type Residues, subtractFrom, uniform, type Words } from './residues.ts';

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

/** slots += masks modulo t; slots are integers in [0, t) and stay there. */
export function maskValues(slots: Float64Array, over: MaskOver): void {
  for (const { stream, adds } of streams(over)) {
    const draw = below48(stream);
    for (let i = 0; i < slots.length; i++) {
      const mask = draw();
      const value = slots[i]! + (adds ? mask : PLAIN_MODULUS - mask);
      slots[i] = value - PLAIN_MODULUS * Number(value >= PLAIN_MODULUS);
    }
  }
}

/** Each polynomial += masks modulo q. */
export function maskShares(polynomials: readonly Residues[], over: MaskOver): void {
  for (const { stream, adds } of streams(over)) {
    for (const polynomial of polynomials) (adds ? addInto : subtractFrom)(polynomial, uniform(stream));
  }
}

function* streams({ me, set, secrets, purpose, binding }: MaskOver): Iterable<{ stream: Words; adds: boolean }> {
  for (const other of set) {
    if (other === me) continue;
    const key = hkdf(secrets.get(other)!, binding, Buffer.from(`parley/threshold-he/mask/v1/${purpose}`), 16);
    yield { stream: keyStream(key), adds: me < other };
    key.fill(0);
  }
}

const BLOCK = 1 << 14;
const ZEROS = new Uint8Array(4 * BLOCK);

/** AES-128-CTR from counter 0 (NIST SP 800-38A §6.5): the key is used for this stream alone. */
export function keyStream(key: Uint8Array): Words {
  const cipher = createCipheriv('aes-128-ctr', key, ZEROS.subarray(0, 16));
  return {
    fill(words) {
      const into = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
      for (let at = 0; at < into.length; at += ZEROS.length) {
        into.set(cipher.update(ZEROS.subarray(0, Math.min(ZEROS.length, into.length - at))), at);
      }
    },
  };
}

/** Uniform modulo t: 48 bits at a time, those not below t (16 383 of 2^48) passed over. */
function below48(stream: Words): () => number {
  const words = new Uint32Array(3 * 2048);
  const parts = new Uint16Array(words.buffer);
  let next = parts.length;
  return () => {
    for (;;) {
      if (next === parts.length) {
        stream.fill(words);
        next = 0;
      }
      const value = parts[next]! + parts[next + 1]! * 0x10000 + parts[next + 2]! * 0x100000000;
      next += 3;
      if (value < PLAIN_MODULUS) return value;
    }
  };
}
