import { ROLES, type Role } from '../aggregation/act.ts';
import { CommandError, EXIT } from '../aggregation/exit.ts';
import { newToken } from './access/new-token.ts';
import type { PendingView } from './http/outcome.ts';
import { get, type OperatorOptions, post } from './operator-http.ts';
import { isPending, pendingText } from './pending-answer.ts';

/** What an operator types: `parley token create | list | revoke`. */
export interface CreateOptions extends OperatorOptions {
  readonly role: string;
  /** whose it will be */
  readonly name: string;
  /** 1 to 365 */
  readonly days: number;
}

/** `token list` shows these. */
interface TokenView {
  readonly id: string;
  readonly role: Role;
  readonly holder: string;
  /** Unix ms */
  readonly expiresAt: number;
  readonly revokedAt?: number;
}

/** The token is made here, and shown here, once: the coordinator is told its hash. */
export async function createToken(options: CreateOptions): Promise<void> {
  const role = ROLES.find((one) => one === options.role);
  if (role === undefined) throw new CommandError(EXIT.usage, `"${options.role}" is no role: ${ROLES.join(', ')}`);
  if (options.days < 1 || options.days > 365)
    throw new CommandError(EXIT.usage, `a token counts for 1 to 365 days, not ${options.days}`);
  const { token, id, secretHash } = newToken();
  const asked = { id, secretHash, role, holder: options.name, days: options.days };
  const answer = (await post('/tokens', asked, options)) as TokenView | PendingView;
  if (options.json) return console.log(JSON.stringify({ ...answer, token }));
  console.log(`Token of ${options.name}, ${role}, for ${options.days} days (shown once, kept nowhere):\n  ${token}`);
  if (isPending(answer)) console.log(pendingText(answer, options));
}

export async function listTokens(options: OperatorOptions): Promise<void> {
  const tokens = (await get('/tokens', options)) as TokenView[];
  console.log(options.json ? JSON.stringify(tokens) : tokens.map((token) => line(token, Date.now())).join('\n'));
}

export async function revokeToken(id: string, options: OperatorOptions): Promise<void> {
  const token = (await post(`/tokens/${encodeURIComponent(id)}/revoke`, {}, options)) as TokenView;
  console.log(options.json ? JSON.stringify(token) : line(token, Date.now()));
}

function line({ id, role, holder, expiresAt, revokedAt }: TokenView, now: number): string {
  const day = (time: number): string => new Date(time).toISOString().slice(0, 10);
  const state =
    revokedAt !== undefined
      ? `revoked ${day(revokedAt)}`
      : `${expiresAt > now ? 'until' : 'expired'} ${day(expiresAt)}`;
  return `${id}  ${role.padEnd(8)}  ${state.padEnd(18)}  ${holder}`;
}
