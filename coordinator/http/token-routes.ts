import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { ROLES } from '../../aggregation/act.ts';
import type { AccessControl } from '../access/access.ts';
import type { StoredToken } from '../store/event-store.ts';
import { operatorOf } from './access-rule.ts';
import { sendOutcome } from './outcome.ts';
import { json } from './public-routes.ts';

const id = z.string().regex(/^[0-9a-f]{16}$/);
/** What a person sees of a name is all of it: nothing that terminals obey, and nothing invisible that makes another person of it. */
const SEEN = /^(?:(?!\p{Default_Ignorable_Code_Point})[\p{L}\p{M}\p{N}\p{P}\p{S} ])+$/u;
/** Whoever makes a token makes its secret, and tells its hash: nobody else has seen it, approvers and coordinator included. */
const newToken = z.strictObject({
  id,
  secretHash: z.string().regex(/^[0-9a-f]{64}$/),
  role: z.enum(ROLES),
  holder: z.string().max(100).regex(SEEN),
  days: z.int().min(1).max(365),
});
const shown = z.object({
  id: z.string(),
  role: z.enum(ROLES),
  holder: z.string(),
  createdAt: z.number(),
  expiresAt: z.number(),
  revokedAt: z.number().optional(),
});

/** The tokens that open this API. Names of people are in here, so it is the operators' alone. */
export function tokenRoutes(app: FastifyInstance, { tokens, approvals }: AccessControl): void {
  const config = { access: 'operator' } as const;

  app.get(
    '/tokens',
    { config, schema: { summary: 'Tokens that were handed out', response: { 200: json(z.array(shown)) } } },
    () => tokens.list().map(shownOf),
  );

  app.post<{ Body: z.infer<typeof newToken> }>(
    '/tokens',
    { config, schema: { summary: 'Let a token count, known by its hash', body: json(newToken) } },
    (request, reply) =>
      sendOutcome(reply, approvals, approvals.ask({ kind: 'token', ...request.body }, operatorOf(request))),
  );

  app.post<{ Params: { id: string } }>(
    '/tokens/:id/revoke',
    {
      config,
      schema: {
        summary: 'Let a token count no longer; one person is enough',
        params: json(z.object({ id })),
        response: { 200: json(shown) },
      },
    },
    ({ params }) => shownOf(tokens.revoke(params.id)),
  );
}

const shownOf = ({ secretHash: _, revokedAt, ...token }: StoredToken): object =>
  revokedAt === null ? token : { ...token, revokedAt };
