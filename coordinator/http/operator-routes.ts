import { timingSafeEqual } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { fingerprint } from '../../aggregation/identity.ts';
import { settingsSchema } from '../../aggregation/plan.ts';
import { sha256 } from '../../aggregation/transcript.ts';
import type { Coordinator } from '../coordinator.ts';
import { viewOf } from '../task-view.ts';
import { type BackupPlace, backupRoutes } from './backup-routes.ts';
import { sendProblem } from './problem.ts';
import { json } from './public-routes.ts';

/** What changes something: for the holder of the operator's token. */
export function operatorRoutes(
  app: FastifyInstance,
  coordinator: Coordinator,
  token: string,
  place: BackupPlace,
): void {
  const expected = sha256(token);
  app.addHook('onRequest', async (request, reply) => {
    const [scheme, given = ''] = (request.headers.authorization ?? '').split(' ');
    if (scheme !== 'Bearer' || !timingSafeEqual(sha256(given), expected))
      await sendProblem(
        reply,
        401,
        'Not authorised',
        "this needs the operator's token; it lies in the coordinator's folder",
      );
  });

  backupRoutes(app, coordinator, place);

  app.post<{ Body: { tenant: string } }>(
    '/invitations',
    { schema: { summary: 'Invite a tenant: a one-time code', body: json(z.strictObject({ tenant: z.string() })) } },
    (request) => ({
      tenant: request.body.tenant,
      code: coordinator.enrolment.invite(request.body.tenant),
      coordinator: fingerprint(coordinator.publicKey),
    }),
  );

  app.post<{ Params: { tenant: string } }>(
    '/tenants/:tenant/revoke',
    {
      schema: {
        summary: "Take a tenant's key away",
        params: json(z.object({ tenant: z.string().max(32) })),
        response: { 200: json(z.object({ tenant: z.string() })) },
      },
    },
    ({ params }) => {
      coordinator.revoke(params.tenant);
      return { tenant: params.tenant };
    },
  );

  app.post('/tasks', { schema: { summary: 'Start a task' } }, (request, reply) => {
    const parsed = settingsSchema.safeParse(request.body);
    if (!parsed.success) {
      const issue = parsed.error.issues[0]!;
      return sendProblem(reply, 422, 'Not a task', `${issue.path.join('.')}: ${issue.message}`, issue.path.join('.'));
    }
    return viewOf(coordinator.propose(parsed.data), coordinator.present());
  });

  app.post<{ Params: { task: string } }>(
    '/tasks/:task/stop',
    { schema: { summary: 'Stop a task' } },
    async (request, reply) => {
      const conductor = coordinator.task(request.params.task);
      if (conductor === undefined) return sendProblem(reply, 404, 'Not found', 'no such task');
      await conductor.stop('stopped-by-operator');
      return viewOf(conductor, coordinator.present());
    },
  );
}
