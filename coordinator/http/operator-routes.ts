import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { settingsSchema } from '../../aggregation/settings.ts';
import type { Approvals } from '../access/approvals.ts';
import type { Coordinator } from '../coordinator.ts';
import { viewOf } from '../task-view.ts';
import { operatorOf } from './access-rule.ts';
import { sendOutcome } from './outcome.ts';
import { sendProblem } from './problem.ts';
import { json } from './public-routes.ts';

/** What changes the federation. Where its rule asks for more people than one, the answer is 202, and it waits (`approvals.ts`). */
export function operatorRoutes(app: FastifyInstance, coordinator: Coordinator, approvals: Approvals): void {
  const config = { access: 'operator' } as const;

  app.post<{ Body: { tenant: string } }>(
    '/invitations',
    {
      config,
      schema: { summary: 'Invite a tenant: a one-time code', body: json(z.strictObject({ tenant: z.string() })) },
    },
    (request, reply) =>
      sendOutcome(
        reply,
        approvals,
        approvals.ask({ kind: 'invitation', tenant: request.body.tenant }, operatorOf(request)),
      ),
  );

  app.post<{ Params: { tenant: string } }>(
    '/tenants/:tenant/revoke',
    {
      config,
      schema: {
        summary: "Take a tenant's key away",
        params: json(z.object({ tenant: z.string().max(32) })),
        response: { 200: json(z.object({ tenant: z.string() })) },
      },
    },
    (request, reply) =>
      sendOutcome(
        reply,
        approvals,
        approvals.ask({ kind: 'revocation', tenant: request.params.tenant }, operatorOf(request)),
      ),
  );

  app.post<{ Params: { tenant: string }; Body: { pool: string } }>(
    '/tenants/:tenant/raise',
    {
      config,
      schema: {
        summary: 'Let a tenant have the higher budget that it asks for',
        params: json(z.object({ tenant: z.string().max(32) })),
        body: json(z.strictObject({ pool: z.string().max(32) })),
        response: { 200: json(z.object({ tenant: z.string(), pool: z.string() })) },
      },
    },
    (request, reply) => {
      const [{ tenant }, { pool }] = [request.params, request.body];
      const raise = coordinator.raises().find((one) => one.tenant === tenant && one.pool === pool);
      if (raise === undefined)
        return sendProblem(reply, 409, 'Nothing to approve', `${tenant} asks for no higher ${pool} budget`);
      return sendOutcome(
        reply,
        approvals,
        approvals.ask({ kind: 'budget', tenant, pool, ...raise.to }, operatorOf(request)),
      );
    },
  );

  app.post('/tasks', { config, schema: { summary: 'Start a task' } }, (request, reply) => {
    const parsed = settingsSchema.safeParse(request.body);
    if (!parsed.success) {
      const issue = parsed.error.issues[0]!;
      return sendProblem(reply, 422, 'Not a task', `${issue.path.join('.')}: ${issue.message}`, issue.path.join('.'));
    }
    return sendOutcome(reply, approvals, approvals.ask({ kind: 'task', settings: parsed.data }, operatorOf(request)));
  });

  app.post<{ Params: { task: string } }>(
    '/tasks/:task/stop',
    { config, schema: { summary: 'Stop a task; one person is enough' } },
    async (request, reply) => {
      const conductor = coordinator.task(request.params.task);
      if (conductor === undefined) return sendProblem(reply, 404, 'Not found', 'no such task');
      await conductor.stop('stopped-by-operator');
      return viewOf(conductor, coordinator.present());
    },
  );
}
