import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { type SignedNotice, signedNoticeSchema } from '../../aggregation/notice.ts';
import { hex } from '../../aggregation/plan.ts';
import type { Coordinator } from '../coordinator.ts';
import { NoticeRefused } from '../notices.ts';
import { json } from './public-routes.ts';

const receipt = z.string().regex(/^[0-9a-f]{128}$/);
const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  detail: z.string(),
  /** of a notice that was heard before */
  receipt: receipt.optional(),
});

/** What tenants tell about themselves: another key, that they leave, that they erased a customer. Signed, so it needs no token. */
export function noticeRoutes(app: FastifyInstance, coordinator: Coordinator): void {
  app.post<{ Body: SignedNotice }>(
    '/notices',
    {
      schema: {
        summary: 'A signed notice of a tenant: another key, leaving, an erasure',
        body: json(signedNoticeSchema),
        response: { 200: json(z.object({ receipt })), 403: json(problem), 409: json(problem) },
      },
      // verifying is cheap, the ledger is for ever
      config: { access: 'anyone', rateLimit: { max: 20, timeWindow: '1 minute' } },
    },
    ({ body }, reply) => {
      try {
        return { receipt: hex(coordinator.notices.hear(body)) };
      } catch (error) {
        if (!(error instanceof NoticeRefused)) throw error;
        const status = error.receipt === undefined ? 403 : 409;
        const title = error.receipt === undefined ? 'Notice refused' : 'Heard before';
        const heard = error.receipt && { receipt: hex(error.receipt) };
        return reply
          .code(status)
          .type('application/problem+json')
          .send({ type: 'about:blank', title, status, detail: error.message, ...heard });
      }
    },
  );
}
