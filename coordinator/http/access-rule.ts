import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import type { Callers } from '../access/callers.ts';
import { IssuerUnavailable } from '../access/oidc.ts';
import { type Access, type Bearer, type Caller, mayReach, NOBODY } from '../access/roles.ts';
import { sendProblem } from './problem.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** who may call this route; one without is not registered */
    access?: Access;
  }
  interface FastifyRequest {
    caller: Caller;
  }
}

export interface AccessRule {
  readonly callers: Callers;
  /** the ledger and what was released are for everybody */
  readonly openReading: boolean;
  /** pages that packages register, and that everybody may see */
  readonly openPages: readonly string[];
}

/**
 * From here on every route says who may call it, and nobody else does. A route that does not say cannot be registered: what is
 * forgotten is noticed at once, and is not open.
 *
 * @throws Error when a route without `config.access` is registered
 */
export function demandAccess(app: FastifyInstance, rule: AccessRule): void {
  app.decorateRequest('caller', null as never);
  app.addHook('onRoute', (route) => {
    const isPage = rule.openPages.some((page) => route.url === page || route.url.startsWith(`${page}/`));
    const access = route.config?.access ?? (isPage ? 'anyone' : undefined);
    if (access === undefined) throw new Error(`the route ${route.method} ${route.url} does not say who may call it`);
    describe(route, access, rule.openReading);
    const admission = (request: FastifyRequest, reply: FastifyReply) => admit(request, reply, access, rule);
    // last: whoever is shut out is counted by the rate limit before
    route.onRequest = [...[route.onRequest ?? []].flat(), admission];
    // and again when the body is here: its sender may take half a minute, and be shut out meanwhile
    if (![route.method].flat().includes('GET')) route.preHandler = [...[route.preHandler ?? []].flat(), admission];
  });
}

/** Of a route whose access is `operator`. */
export function operatorOf({ caller }: FastifyRequest): Bearer {
  if (caller.role !== 'operator') throw new Error('a route for operators was reached by somebody else');
  return caller;
}

async function admit(request: FastifyRequest, reply: FastifyReply, access: Access, rule: AccessRule): Promise<unknown> {
  const roles = mayReach(access, rule.openReading);
  const { authorization } = request.headers;
  try {
    const caller = await rule.callers.callerOf({ authorization, method: request.method, path: request.url });
    request.caller = caller.role === undefined ? NOBODY : caller;
    if (roles.includes(request.caller.role)) return;
    if (caller.role === undefined) return refuse(reply, caller.status, caller.detail);
    if (caller.role === 'nobody') return refuse(reply, 401, `this needs ${whoseToken(roles)}${HOW}`);
    return refuse(reply, 403, `this is for ${whoseToken(roles)}; yours is ${aRole(caller.role)}`);
  } catch (error) {
    if (!(error instanceof IssuerUnavailable)) throw error;
    request.caller = NOBODY;
    if (roles.includes('nobody')) return;
    return sendProblem(reply.header('retry-after', 30), 503, 'Nobody to ask', ISSUER);
  }
}

const HOW = ': commands take one by --token-file, PARLEY_TOKEN or --folder';
const ISSUER = "the issuer of this token does not answer, so it cannot be checked; the coordinator's own tokens work";

const aRole = (role: string): string => (role === 'tenant' ? "a tenant's key" : `the token of ${an(role)}`);
const an = (role: string): string => `${/^[aeiou]/.test(role) ? 'an' : 'a'} ${role}`;

const whoseToken = (roles: readonly string[]): string => roles.map(aRole).join(', or ');

function refuse(reply: FastifyReply, status: 401 | 403, detail: string): FastifyReply {
  // RFC 9110 §15.5.2
  if (status === 401) reply.header('www-authenticate', 'Bearer realm="parley", Parley realm="parley"');
  return sendProblem(reply, status, status === 401 ? 'Not authorised' : 'Not allowed', detail);
}

/** What the API's own page says about it. */
function describe(route: RouteOptions, access: Access, openReading: boolean): void {
  const roles = mayReach(access, openReading);
  const isOpen = roles.includes('nobody');
  const security = isOpen ? [] : [{ token: [] }, ...(roles.includes('tenant') ? [{ tenant: [] }] : [])];
  const description = isOpen ? 'For anyone.' : `For ${roles.join(', ')}.`;
  route.schema = { description, security, ...route.schema };
}

/** How it is shown, for OpenAPI. */
export const SECURITY_SCHEMES = {
  token: { type: 'http', scheme: 'bearer', description: 'A token (plt_…), or a JWT of the configured issuer' },
  tenant: { type: 'apiKey', in: 'header', name: 'Authorization', description: 'Parley key="…", time=…, signature="…"' },
} as const;
