import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Approvals } from '../access/approvals.ts';
import { operatorOf } from './access-rule.ts';
import { pendingView, sendOutcome } from './outcome.ts';
import { json } from './public-routes.ts';

const rule = z.strictObject({ approvals: z.union([z.literal(1), z.literal(2)]) });
const params = json(z.object({ id: z.string().regex(/^[0-9a-f]{16}$/) }));

/** What waits for a second person, and how many people the federation asks for. */
export function approvalRoutes(app: FastifyInstance, approvals: Approvals): void {
  const config = { access: 'operator' } as const;

  app.get('/approvals', { config, schema: { summary: 'Acts that wait for approval' } }, () =>
    approvals.pending().map((one) => pendingView(one, approvals)),
  );

  app.post<{ Params: { id: string } }>(
    '/approvals/:id/approve',
    { config, schema: { summary: 'Approve an act; what the last approves is done at once', params } },
    (request, reply) => sendOutcome(reply, approvals, approvals.approve(request.params.id, operatorOf(request))),
  );

  app.post<{ Params: { id: string } }>(
    '/approvals/:id/reject',
    { config, schema: { summary: 'Drop an act that waits', params } },
    (request) => {
      approvals.reject(request.params.id);
      return { rejected: request.params.id };
    },
  );

  app.get(
    '/approval-rule',
    {
      config: { access: 'readable' },
      schema: { summary: 'How many people must approve', response: { 200: json(rule) } },
    },
    () => ({ approvals: approvals.needed() }),
  );

  app.put<{ Body: z.infer<typeof rule> }>(
    '/approval-rule',
    { config, schema: { summary: 'How many people must approve, from now on', body: json(rule) } },
    (request, reply) =>
      sendOutcome(reply, approvals, approvals.ask({ kind: 'approval-rule', ...request.body }, operatorOf(request))),
  );
}
