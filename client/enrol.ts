import { enrolmentDigest, enrolmentProof, invitationHash } from '../aggregation/enrolment.ts';
import { CommandError, EXIT, exitOf } from '../aggregation/exit.ts';
import type { Identity } from '../aggregation/identity.ts';
import { hex } from '../aggregation/plan.ts';

/**
 * Registers this tenant's key with a one-time code.
 * @param fingerprint - the coordinator's, pinned in the policy (the code itself never leaves)
 * @throws CommandError with what the coordinator said
 */
export async function enrol(
  identity: Identity,
  tenant: string,
  code: string,
  url: string,
  fingerprint: string,
): Promise<void> {
  const found = (await request(`${url}/federation`)) as { fingerprint: string };
  if (found.fingerprint !== fingerprint)
    throw new CommandError(EXIT.refused, `${url} has fingerprint ${found.fingerprint}, the policy pins ${fingerprint}`);
  const key = hex(identity.publicKey);
  const proof = enrolmentProof(invitationHash(code), { tenant, key });
  const signature = hex(identity.sign(enrolmentDigest({ tenant, key, proof })));
  await request(`${url}/enrolments`, { tenant, key, proof, signature });
}

async function request(url: string, body?: object): Promise<unknown> {
  const init = body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch {
    throw new CommandError(EXIT.network, `nobody answers at ${url}; is the coordinator running?`);
  }
  const answer = (await response.json().catch(() => ({}))) as { detail?: string };
  if (!response.ok)
    throw new CommandError(exitOf(response.status), answer.detail ?? `${url} answered ${response.status}`);
  return answer;
}
