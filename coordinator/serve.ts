import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import type { Server as TlsServer } from 'node:https';
import { join } from 'node:path';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import Fastify, { type FastifyBaseLogger, LogController } from 'fastify';
import type { Secret } from '../aggregation/at-rest.ts';
import { CommandError, EXIT, isStorageError } from '../aggregation/exit.ts';
import { keysIn } from '../aggregation/folder-keys.ts';
import { fingerprint } from '../aggregation/identity.ts';
import type { Migrated } from '../aggregation/sqlite-file.ts';
import { PROTOCOL } from '../aggregation/wire.ts';
import { openAccess } from './access/access.ts';
import { type Coordinator, type CoordinatorEvent, federationOf, openCoordinator } from './coordinator.ts';
import { Door } from './door.ts';
import type { EventStore } from './event-store.ts';
import { demandAccess, SECURITY_SCHEMES } from './http/access-rule.ts';
import { approvalRoutes } from './http/approval-routes.ts';
import { backupRoutes } from './http/backup-routes.ts';
import { enrolmentRoutes } from './http/enrolment-routes.ts';
import { healthRoutes } from './http/health-routes.ts';
import { noticeRoutes } from './http/notice-routes.ts';
import { operatorRoutes } from './http/operator-routes.ts';
import { answerWithProblems, notHttp, routerProblem, sendRestarts } from './http/problem.ts';
import { publicRoutes } from './http/public-routes.ts';
import { tokenRoutes } from './http/token-routes.ts';
import { lead } from './lead.ts';
import { ADDRESS, HTTP, ROUTES } from './limits.ts';
import { acceptClients, limitSockets, listener, refusePlaintext, trusting } from './listener.ts';
import { withoutPassword } from './postgres-connection.ts';
import { openSqliteStore } from './sqlite-event-store.ts';
import { steadyClock } from './steady-clock.ts';
import { credentials, followCertificate, type TlsFiles, validTo } from './tls.ts';
import { logEvent } from './watching/event-log.ts';
import { openMetrics } from './watching/metrics.ts';
import { openReadiness } from './watching/readiness.ts';

/**
 * A coordinator on a port: HTTP for people and auditors, one WebSocket path for clients, a folder for everything
 * it must not forget.
 *
 *   folder/identity.pem     the federation's key (0600), plain or protected
 *   folder/operator.token   the first operator's token (0600)
 *   folder/oidc.json        who else says who people are; where they sign in elsewhere
 *   folder/events.db        facts, ledger, roster; or in PostgreSQL
 */
export interface Serving {
  readonly coordinator: Coordinator;
  /** http(s)://host:port */
  readonly url: string;
  /** Looks at the certificate's files now, and not only every few seconds. */
  lookAtCertificate(): void;
  /**
   * Takes nothing in any more, brings what it has in hand to disk, sends the clients away to come back, and lets go of store and
   * port. Waits for answers under way, however slowly they are read.
   */
  close(): Promise<void>;
}

export interface ServeOptions {
  readonly folder: string;
  /** in place of the folder's own; closed with the coordinator */
  readonly store?: EventStore;
  /** postgres://…, in place of the folder's own: then this may be one of several coordinators (`lead.ts`) */
  readonly storeUrl?: string | undefined;
  /** ends standing by; nothing else */
  readonly signal?: AbortSignal;
  /** another coordinator leads; this one answers there that it stands by */
  readonly onStandby?: (url: string) => void;
  /** opens the folder's key where it is protected; protects a new one */
  readonly secret?: Secret | undefined;
  readonly host: string;
  /** 0 for any free one */
  readonly port: number;
  /** without, plaintext: on loopback, behind `trustProxy`, or where `insecurePlaintext` says that the network is closed */
  readonly tls?: TlsFiles | undefined;
  /** addresses and CIDR blocks whose X-Forwarded-For is believed, for limits by address */
  readonly trustProxy?: readonly string[] | undefined;
  readonly insecurePlaintext?: boolean | undefined;
  readonly version: string;
  readonly log: FastifyBaseLogger;
  /** ledger, models and results are for everybody, not for those alone who show a token or a tenant's key */
  readonly openReading?: boolean | undefined;
  /** makes another operator's token in the folder, for this person */
  readonly newOperator?: string | undefined;
  /** storage is broken: nothing can be promised any more */
  readonly onFailure: (error: unknown) => void;
}

const TICK_MS = 100;

export async function serve(options: ServeOptions): Promise<Serving> {
  const { folder, log, version, trustProxy = [], tls: files } = options;
  if (files === undefined && trustProxy.length === 0 && !options.insecurePlaintext) refusePlaintext(options.host);
  const trust = trusting(trustProxy);
  const tls = files && credentials(files);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { identity } = keysIn(folder, options.secret);
  const { store: opened, port } = await storeOf(options, federationOf(identity.publicKey));
  const metrics = openMetrics(Date.now);
  const store = metrics.timed(opened);
  const onEvent = (event: CoordinatorEvent): void => {
    logEvent(log, event);
    metrics.follow(event);
    if (event.type === 'task-failed' && isStorageError(event.error)) options.onFailure(event.error);
  };
  const clock = steadyClock(
    Date.now,
    () => performance.now(),
    (ms) =>
      log.warn(
        { ms },
        "the system's clock was put back: this coordinator goes on with its own until that has passed it",
      ),
  );
  const [coordinator, access] = await openCoordinator({ store, identity, clock, version, onEvent })
    .then((opened) => {
      const { newOperator } = options;
      return [opened, openAccess({ coordinator: opened, identity, folder, newOperator, clock: Date.now })] as const;
    })
    .catch((error: unknown) => {
      store.close(); // what refuses the store must not hold it
      throw error;
    });

  const logController = new LogController({ disableRequestLogging: true });
  const app = Fastify({
    loggerInstance: log,
    logController,
    bodyLimit: HTTP.bodyBytes,
    trustProxy: trust,
    frameworkErrors: routerProblem,
    clientErrorHandler: notHttp,
    serverFactory: (handler) => listener(tls, handler),
    genReqId: () => randomUUID(),
  });
  app.addHook('onRoute', (route) => {
    const { bodyLimit, perMinute } = ROUTES[route.url] ?? {};
    if (bodyLimit !== undefined) route.bodyLimit = bodyLimit;
    if (perMinute !== undefined)
      route.config = { ...route.config, rateLimit: { max: perMinute, timeWindow: '1 minute' } };
  });
  answerWithProblems(app);
  app.addHook('onRequest', async ({ id }, reply) => void reply.header('x-request-id', id)); // to be found in the log
  app.addHook('onResponse', async (request, { statusCode: status, elapsedTime }) => {
    metrics.answered(status);
    // the route, not the path: what somebody put into it is theirs
    const { method, url = 'none' } = request.routeOptions;
    request.log.debug({ method, route: url, status, ms: Math.round(elapsedTime) }, 'answered');
  });
  let isEnding = false;
  app.addHook('preHandler', async (request, reply) => {
    if (isEnding && request.method !== 'GET') await sendRestarts(reply);
  });
  await app.register(helmet, { contentSecurityPolicy: { directives: { 'upgrade-insecure-requests': null } } });
  await app.register(rateLimit, { max: HTTP.perMinute, timeWindow: '1 minute', cache: ADDRESS.remembered });
  await app.register(swagger, {
    openapi: {
      info: { title: 'Parley coordinator', version: String(PROTOCOL) },
      components: { securitySchemes: SECURITY_SCHEMES },
    },
  });
  const { openReading = false } = options;
  demandAccess(app, { callers: access.callers, openReading, openPages: ['/docs'] });
  await app.register(swaggerUi, { routePrefix: '/docs' });
  const checks = openReadiness({
    ...{ store, folder, clock: Date.now },
    ledgerSize: () => coordinator.ledger.head.size,
    isEnding: () => isEnding,
  });
  await app.register(async (scope) => healthRoutes(scope, { checks, metrics }));
  await app.register(async (scope) => publicRoutes(scope, coordinator, version));
  await app.register(async (scope) => enrolmentRoutes(scope, coordinator));
  await app.register(async (scope) => noticeRoutes(scope, coordinator));
  await app.register(async (scope) => operatorRoutes(scope, coordinator, access.approvals));
  await app.register(async (scope) => backupRoutes(scope, coordinator, { folder, version }));
  await app.register(async (scope) => tokenRoutes(scope, access));
  await app.register(async (scope) => approvalRoutes(scope, access.approvals));

  const door = new Door(Date.now, metrics.turnedAway);
  limitSockets(app.server, door, trust);
  const clients = acceptClients(app.server, { door, trust, connect: coordinator.connect });
  metrics.watch({ coordinator, clients, server: app.server, folder, checks });
  const listening = await app.listen({ host: options.host, port }).catch(async (error: unknown) => {
    await app.close();
    coordinator.close();
    throw error;
  });
  const url = tls === undefined ? listening : listening.replace(/^http:/, 'https:');
  const certificate = files && followCertificate(app.server as TlsServer, files, log);
  const ticking = setInterval(() => void coordinator.tick(), TICK_MS);
  const certified = tls && { certificate: validTo(tls) };
  log.info({ url, fingerprint: fingerprint(identity.publicKey), ...certified }, 'coordinator is up');

  return {
    coordinator,
    url,
    lookAtCertificate: () => certificate?.look(),
    async close() {
      clearInterval(ticking);
      certificate?.stop();
      isEnding = true;
      clients.shut();
      try {
        await coordinator.settle();
      } finally {
        await clients.end();
        await app.close();
        coordinator.close();
      }
    },
  };
}

/** Resolves when this process may write to the store. @returns the port too: the one that a standby was asked on */
async function storeOf(options: ServeOptions, federation: string): Promise<{ store: EventStore; port: number }> {
  const { folder, log, storeUrl, host, port, signal, tls } = options;
  if (options.store !== undefined) return { store: options.store, port };
  const file = join(folder, 'events.db');
  if (storeUrl === undefined) {
    const onMigrated = (migrated: Migrated): void =>
      log.warn(migrated, 'the store was of an older version; a copy of it is kept');
    const store = openSqliteStore(file, { onMigrated });
    log.info({ store: file }, 'store is open');
    return { store, port };
  }
  const shown = withoutPassword(storeUrl);
  if (existsSync(file))
    throw new CommandError(
      EXIT.refused,
      `${file} holds a federation: it would be left behind for ${shown}. Use another folder, with its identity.pem, or go on without --store`,
    );
  const onStandby = (url: string): void => {
    log.info({ store: shown, url }, 'stands by: another coordinator leads');
    options.onStandby?.(url);
  };
  const address = { host, port, tls, log };
  const led = await lead({ ...address, url: storeUrl, federation, signal, onStandby, onLost: options.onFailure });
  log.info({ store: shown }, 'store is open');
  return led;
}
