import type { LedgerHead } from '../privacy/ledger.ts';
import { type Checkpoint, signCheckpoint } from '../privacy/transparency/checkpoint.ts';
import { type CosignedCheckpoint, cosign, verifyCosigned } from '../privacy/transparency/cosignature.ts';
import { rootOf } from '../privacy/transparency/merkle.ts';
import { type TrustPolicy, thresholdPolicy } from '../privacy/transparency/trust-policy.ts';
import { verifyTrusted } from '../privacy/transparency/trusted-checkpoint.ts';
import { ED25519, ED25519_COSIGNATURE, type VerifierKey } from '../privacy/transparency/verifier-key.ts';
import { fingerprint, type Identity, isSignedBy } from './identity.ts';
import type { Plan, Roster } from './plan.ts';

/**
 * The federation's ledger as a transparency log: the coordinator signs checkpoints, every tenant is a witness.
 *
 *   coordinator: signed note over (size, root) ──▶ tenant: it continues what I saw ──▶ cosignature, a line under the note
 *
 * A tenant cosigns with the key it has in the roster, under its name there. What a cosignature says: "I have verified every
 * entry up to this size, and this tree continues each one I was shown before." It does not say that the entries are wise.
 */

/** The log's name: its key's fingerprint. */
export const originOf = (coordinatorKey: Uint8Array): string => `parley:${fingerprint(coordinatorKey)}`;

export const logKey = (coordinatorKey: Uint8Array): VerifierKey => ({
  name: originOf(coordinatorKey),
  type: ED25519,
  publicKey: coordinatorKey,
});

export const witnessKey = ({ tenant, key }: Roster[number]): VerifierKey => ({
  name: tenant,
  type: ED25519_COSIGNATURE,
  publicKey: Uint8Array.from(Buffer.from(key, 'hex')),
});

/** The coordinator's signed note over this head. */
export function signedHead(head: LedgerHead, identity: Identity): string {
  const key = logKey(identity.publicKey);
  const checkpoint = { origin: key.name, size: head.size, root: rootOf(head), extensions: [] };
  return signCheckpoint(checkpoint, { key, sign: identity.sign });
}

/** What a note by the coordinator says. @throws TransparencyRefused when it is not one, or signed by another key */
export function checkpointIn(note: string, coordinatorKey: Uint8Array): Checkpoint {
  return verifyCosigned(note, { logKeys: [logKey(coordinatorKey)], witnesses: [], verify: isSignedBy }).checkpoint;
}

/**
 * A tenant's cosignature under a note it has verified: a line to put there.
 *
 * @param now - Unix ms
 */
export function cosigned(note: string, tenant: string, identity: Identity, now: number): string {
  const key = witnessKey({ tenant, key: Buffer.from(identity.publicKey).toString('hex') });
  return cosign(note, Math.floor(now / 1000), { key, sign: identity.sign });
}

/** Whom a plan needs as witnesses: as many of its roster as open its sums, so that two quorums share an honest tenant. */
export function quorumOf({ roster, derived }: Plan, coordinatorKey: Uint8Array): TrustPolicy {
  return thresholdPolicy(logKey(coordinatorKey), roster.map(witnessKey), derived.threshold);
}

/** The checkpoint in a note that the plan's quorum has cosigned, and who did. @throws TransparencyRefused when it has not */
export function witnessedBy(plan: Plan, note: string, coordinatorKey: Uint8Array): CosignedCheckpoint {
  return verifyTrusted(note, quorumOf(plan, coordinatorKey), isSignedBy);
}
