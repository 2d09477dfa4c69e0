import { CommandError, EXIT } from '../aggregation/exit.ts';
import type { PendingView } from './http/outcome.ts';
import type { FederationTenant } from './http/public-routes.ts';
import { get, type OperatorOptions, post } from './operator-http.ts';
import { isPending, pendingText } from './pending-answer.ts';

/*
 * What an operator types: `parley tenant invite | list | revoke`.
 */

export async function invite(tenant: string, options: OperatorOptions): Promise<void> {
  const answer = (await post('/invitations', { tenant }, options)) as Invited | PendingView;
  if (isPending(answer)) return console.log(pendingText(answer, options));
  if (options.json) return console.log(JSON.stringify(answer));
  return console.log(invitedText(answer));
}

/** What comes of an invitation. */
export interface Invited {
  readonly tenant: string;
  readonly code: string;
  /** fingerprint */
  readonly coordinator: string;
}

export const invitedText = ({
  tenant,
  code,
  coordinator,
}: Invited): string => `One-time code for ${tenant}, valid for seven days (shown once):
  ${code}
The coordinator's fingerprint, for the tenant's policy (read it out, do not mail it with the code):
  ${coordinator}`;

/** `parley tenant list` */
export async function listTenants(options: OperatorOptions): Promise<void> {
  const tenants = await tenantsOf(options);
  if (options.json) return console.log(JSON.stringify(tenants));
  const day = (at: number): string => new Date(at).toISOString().slice(0, 10);
  const rows = tenants.map(
    ({ tenant, fingerprint, enrolledAt, connected }) =>
      `${tenant.padEnd(32)} ${fingerprint}  since ${day(enrolledAt)}  ${connected ? 'connected' : 'not connected'}`,
  );
  return console.log(rows.join('\n') || 'no tenants yet; parley tenant invite NAME');
}

/** `parley tenant revoke` */
export async function revoke(tenant: string, options: OperatorOptions): Promise<void> {
  const answer = (await post(`/tenants/${encodeURIComponent(tenant)}/revoke`, {}, options)) as
    | { tenant: string }
    | PendingView;
  if (isPending(answer)) return console.log(pendingText(answer, options));
  if (options.json) return console.log(JSON.stringify(answer));
  return console.log(`The key of ${tenant} is revoked: nothing signed with it is heard any more, running tasks go on without it.
To have it back under its name, with a new key: parley tenant invite ${tenant}`);
}

/** Who is in the federation. @throws CommandError where that is not told to whoever asks */
export async function tenantsOf(options: OperatorOptions): Promise<readonly FederationTenant[]> {
  const { tenants } = (await get('/federation', options)) as { tenants?: readonly FederationTenant[] };
  if (tenants !== undefined) return tenants;
  throw new CommandError(
    EXIT.refused,
    `${options.coordinator} tells its roster to those alone who show a token: --token-file, PARLEY_TOKEN or --folder`,
  );
}
