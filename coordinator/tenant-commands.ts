import { CommandError, EXIT } from '../aggregation/exit.ts';
import type { PendingView } from './http/outcome.ts';
import type { FederationTenant } from './http/public-routes.ts';
import { get, type OperatorOptions, post } from './operator-http.ts';
import { isPending, pendingText } from './pending-answer.ts';

/*
 * What an operator types: `parley tenant invite | list | revoke | raise`.
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
  const rows = tenants.map(({ tenant, fingerprint, enrolledAt, connected, raises }) =>
    [
      `${tenant.padEnd(32)} ${fingerprint}  since ${day(enrolledAt)}  ${connected ? 'connected' : 'not connected'}`,
      ...raises.map((raise) => `  asks for a higher budget: ${raiseText(raise)}; parley tenant raise ${tenant}`),
    ].join('\n'),
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

/** `parley tenant raise`: of each pool that it asks more for. */
export async function raise(tenant: string, options: OperatorOptions): Promise<void> {
  const raises = (await tenantsOf(options)).find((one) => one.tenant === tenant)?.raises ?? [];
  if (raises.length === 0)
    throw new CommandError(
      EXIT.refused,
      `${tenant} asks for no higher budget: its client states one when it connects with a higher limit in its policy`,
    );
  for (const one of raises) {
    const { pool } = one;
    const path = `/tenants/${encodeURIComponent(tenant)}/raise`;
    const answer = (await post(path, { pool }, options)) as { tenant: string; pool: string } | PendingView;
    if (!options.json) console.log(`${tenant}: ${raiseText(one)}`);
    if (isPending(answer)) console.log(pendingText(answer, options));
    else console.log(options.json ? JSON.stringify(answer) : 'counts from now on');
  }
}

const raiseText = ({ pool, from, to }: FederationTenant['raises'][number]): string =>
  `${pool} from ε ${from.epsilon}, δ ${from.delta} to ε ${to.epsilon}, δ ${to.delta}`;

/** Who is in the federation. @throws CommandError where that is not told to whoever asks */
export async function tenantsOf(options: OperatorOptions): Promise<readonly FederationTenant[]> {
  const { tenants } = (await get('/federation', options)) as { tenants?: readonly FederationTenant[] };
  if (tenants !== undefined) return tenants;
  throw new CommandError(
    EXIT.refused,
    `${options.coordinator} tells its roster to those alone who show a token: --token-file, PARLEY_TOKEN or --folder`,
  );
}
