import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { fingerprint } from '../../aggregation/identity.ts';
import type { Coordinator } from '../coordinator.ts';
import { json } from './public-routes.ts';

const request = z.strictObject({
  tenant: z.string().max(32),
  proof: z.string().regex(/^[0-9a-f]{64}$/),
  key: z.string().regex(/^[0-9a-f]{64}$/),
  signature: z.string().regex(/^[0-9a-f]{128}$/),
});

/** How a tenant joins, with its one-time code. */
export function enrolmentRoutes(app: FastifyInstance, coordinator: Coordinator): void {
  app.post<{ Body: z.infer<typeof request> }>(
    '/enrolments',
    {
      schema: { summary: 'Join, with proof of a one-time code', body: json(request) },
      // a code has 128 random bits; this keeps the log readable when someone tries all the same
      config: { access: 'anyone', rateLimit: { max: 20, timeWindow: '1 minute' } },
    },
    ({ body }) => {
      coordinator.enrolment.enrol({ ...body, signature: Buffer.from(body.signature, 'hex') });
      return { tenant: body.tenant, coordinator: fingerprint(coordinator.publicKey) };
    },
  );
}
