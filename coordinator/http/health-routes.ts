import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Metrics } from '../watching/metrics.ts';
import type { Check } from '../watching/readiness.ts';
import { json } from './public-routes.ts';

const check = z.object({ name: z.string(), ok: z.boolean(), detail: z.string() });
const ready = z.object({ status: z.string(), checks: z.array(check) });
const problem = z.object({
  ...{ type: z.string(), title: z.string(), status: z.number(), detail: z.string() },
  checks: z.array(check),
});

/** Is it alive, can it work, and how is it doing: for whoever keeps it running. */
export function healthRoutes(
  app: FastifyInstance,
  { checks, metrics }: { checks: () => Promise<readonly Check[]>; metrics: Metrics },
): void {
  const alive = z.object({ status: z.string() });
  app.get(
    '/healthz',
    { config: { access: 'anyone' }, schema: { summary: 'Is it alive?', response: { 200: json(alive) } } },
    () => ({ status: 'ok' }),
  );
  app.get(
    '/readyz',
    {
      config: { access: 'anyone' },
      schema: { summary: 'Can it work?', response: { 200: json(ready), 503: json(problem) } },
    },
    async (_, reply) => {
      const made = await checks();
      const failed = made.filter(({ ok }) => !ok);
      reply.header('cache-control', 'no-store');
      if (failed.length === 0) return { status: 'ready', checks: made };
      const detail = failed.map(({ name, detail }) => `${name}: ${detail}`).join('; ');
      return reply
        .code(503)
        .header('retry-after', '5')
        .type('application/problem+json')
        .send({ type: 'about:blank', title: 'Not ready', status: 503, detail, checks: made });
    },
  );
  app.get(
    '/metrics',
    {
      config: { access: 'watched' },
      schema: { summary: 'For Prometheus, with the token of an auditor or an operator' },
    },
    async (_, reply) => reply.type(metrics.contentType).send(await metrics.page()),
  );
}
