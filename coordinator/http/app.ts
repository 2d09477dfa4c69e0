import { randomUUID } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { PROTOCOL } from '../../aggregation/wire.ts';
import type { AccessControl } from '../access/access.ts';
import type { Coordinator } from '../coordinator.ts';
import { ADDRESS, HTTP, ROUTES } from '../limits.ts';
import { listener, type Trust } from '../listener.ts';
import type { Metrics } from '../watching/metrics.ts';
import type { Check } from '../watching/readiness.ts';
import { demandAccess, SECURITY_SCHEMES } from './access-rule.ts';
import { approvalRoutes } from './approval-routes.ts';
import { backupRoutes } from './backup-routes.ts';
import { enrolmentRoutes } from './enrolment-routes.ts';
import { healthRoutes } from './health-routes.ts';
import { noticeRoutes } from './notice-routes.ts';
import { operatorRoutes } from './operator-routes.ts';
import { answerWithProblems, notHttp, routerProblem, sendRestarts } from './problem.ts';
import { publicRoutes } from './public-routes.ts';
import { tokenRoutes } from './token-routes.ts';

/** What the HTTP of a coordinator is about. */
export interface HttpWorld {
  readonly coordinator: Coordinator;
  readonly access: AccessControl;
  readonly metrics: Metrics;
  readonly checks: () => Promise<readonly Check[]>;
  readonly folder: string;
  readonly version: string;
  readonly log: FastifyBaseLogger;
  /** undefined for plaintext */
  readonly tls: SecureContextOptions | undefined;
  readonly trust: Trust;
  readonly openReading: boolean;
  /** nothing that changes something is taken in any more */
  readonly isEnding: () => boolean;
}

/**
 * Everything that is said over HTTP, not listening yet.
 *
 *   request ─▶ limits of its route and address ─▶ is it ending? ─▶ who asks, may they? ─▶ schema ─▶ route ─▶ answer | problem
 */
export async function openHttp(world: HttpWorld): Promise<FastifyInstance> {
  const { coordinator, access, log } = world;
  const app = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: HTTP.bodyBytes,
    // what is not what the schema says is refused, and not made to fit
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
    trustProxy: world.trust,
    frameworkErrors: routerProblem,
    clientErrorHandler: notHttp,
    serverFactory: (handler) => listener(world.tls, handler),
    genReqId: () => randomUUID(),
  });
  limitRoutes(app);
  answerWithProblems(app);
  followRequests(app, world);
  app.addHook('preHandler', async (request, reply) => {
    if (world.isEnding() && request.method !== 'GET') await sendRestarts(reply);
  });
  await app.register(helmet, { contentSecurityPolicy: { directives: { 'upgrade-insecure-requests': null } } });
  await app.register(rateLimit, { max: HTTP.perMinute, timeWindow: '1 minute', cache: ADDRESS.remembered });
  await app.register(swagger, {
    openapi: {
      info: { title: 'Parley coordinator', version: String(PROTOCOL) },
      components: { securitySchemes: SECURITY_SCHEMES },
    },
  });
  demandAccess(app, { callers: access.callers, openReading: world.openReading, openPages: ['/docs'] });
  await app.register(swaggerUi, { routePrefix: '/docs' });
  await app.register(async (scope) => healthRoutes(scope, world));
  await app.register(async (scope) => publicRoutes(scope, coordinator, world.version));
  await app.register(async (scope) => enrolmentRoutes(scope, coordinator));
  await app.register(async (scope) => noticeRoutes(scope, coordinator));
  await app.register(async (scope) => operatorRoutes(scope, coordinator, access.approvals));
  await app.register(async (scope) => backupRoutes(scope, coordinator, world));
  await app.register(async (scope) => tokenRoutes(scope, access));
  await app.register(async (scope) => approvalRoutes(scope, access.approvals));
  return app;
}

function limitRoutes(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    const { bodyLimit, perMinute } = ROUTES[route.url] ?? {};
    if (bodyLimit !== undefined) route.bodyLimit = bodyLimit;
    if (perMinute !== undefined)
      route.config = { ...route.config, rateLimit: { max: perMinute, timeWindow: '1 minute' } };
  });
}

function followRequests(app: FastifyInstance, { metrics }: HttpWorld): void {
  app.addHook('onRequest', async ({ id }, reply) => void reply.header('x-request-id', id)); // to be found in the log
  app.addHook('onResponse', async (request, { statusCode: status, elapsedTime }) => {
    metrics.answered(status);
    // the route, not the path: what somebody put into it is theirs
    const { method, url = 'none' } = request.routeOptions;
    request.log.debug({ method, route: url, status, ms: Math.round(elapsedTime) }, 'answered');
  });
}
