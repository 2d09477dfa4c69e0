/**
 * What a reader may act upon: a checkpoint that one of the logs it trusts signed, and the quorum of its witnesses cosigned.
 */
import { TransparencyRefused } from './canonical-text.ts';
import { type CosignedCheckpoint, verifyCosigned } from './cosignature.ts';
import { satisfied, type TrustPolicy } from './trust-policy.ts';
import type { Verify } from './verifier-key.ts';

/**
 * A checkpoint as the policy wants it: signed by one of its logs, cosigned by its quorum.
 *
 * @throws TransparencyRefused when it is not, or as `verifyCosigned`
 */
export function verifyTrusted(note: string, policy: TrustPolicy, verify: Verify): CosignedCheckpoint {
  const [logKeys, witnesses] = [policy.logs.map(({ key }) => key), policy.witnesses.map(({ key }) => key)];
  const cosigned = verifyCosigned(note, { logKeys, witnesses, verify });
  if (!satisfied(policy, cosigned.cosignedBy)) {
    const names = cosigned.cosignedBy.map(({ name }) => name).join(', ') || 'nobody';
    throw new TransparencyRefused(`checkpoint: cosigned by ${names}, which is not the quorum ${policy.quorum}`);
  }
  return cosigned;
}
