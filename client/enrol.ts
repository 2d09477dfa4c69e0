import { enrolmentDigest, enrolmentProof, invitationHash } from '../aggregation/enrolment.ts';
import type { Identity } from '../aggregation/identity.ts';
import { hex } from '../aggregation/plan.ts';
import { coordinatorOf, refusal, request } from './coordinator-http.ts';
import type { Policy } from './policy.ts';

/**
 * Registers this tenant's key with a one-time code. The code itself never leaves.
 *
 * @throws CommandError with what the coordinator said
 */
export async function enrol(identity: Identity, code: string, policy: Policy): Promise<void> {
  const { tenant } = policy;
  const { url } = await coordinatorOf(policy.coordinator);
  const key = hex(identity.publicKey);
  const proof = enrolmentProof(invitationHash(code), { tenant, key });
  const signature = hex(identity.sign(enrolmentDigest({ tenant, key, proof })));
  const { status, body } = await request(`${url}/enrolments`, { tenant, key, proof, signature });
  if (status !== 200) throw refusal(url, status, body);
}
