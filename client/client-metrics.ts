import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { ClientStore } from './client-store.ts';
import type { ClientEvent } from './participant.ts';
import type { Policy } from './policy.ts';
import { type PoolName, statedOf } from './spending.ts';

/**
 * What a client tells of itself, to its own machine alone: `/metrics` as Prometheus reads it, and `/healthz`.
 * Only what the tenant also states to the coordinator, and how it is doing; nothing of its data.
 */
export interface ClientMetrics {
  readonly url: string;
  follow(event: ClientEvent): void;
  disconnected(): void;
  close(): Promise<void>;
}

export interface ClientMetricsOptions {
  /** on 127.0.0.1; 0 for any free one */
  readonly port: number;
  readonly store: ClientStore;
  readonly policy: Policy;
  /** Unix milliseconds */
  readonly clock: () => number;
}

const POOLS: readonly PoolName[] = ['training', 'held-out'];

/** @throws Error EADDRINUSE, EACCES: as any server that listens */
export async function serveClientMetrics({ port, store, policy, clock }: ClientMetricsOptions): Promise<ClientMetrics> {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, labelNames: string[] = []): Gauge =>
    new Gauge({ name: `parley_client_${name}`, help, labelNames, registers });

  const connected = gauge('connected', '1 while the coordinator has let this client in');
  const lastRound = gauge(
    'last_round_timestamp_seconds',
    'When a sum was last opened that this client took in; 0 before',
  );
  const rounds = new Counter({
    name: 'parley_client_rounds_total',
    help: 'Sums opened that this client took in, since it started',
    registers,
  });
  const spent = gauge('epsilon', "One customer's lifetime ε, with what running tasks have set aside", ['pool']);
  const limit = gauge('epsilon_limit', 'What the policy allows of it', ['pool']);
  registry.setDefaultLabels({ tenant: policy.tenant });

  const page = async (): Promise<string> => {
    for (const pool of POOLS) {
      const stated = statedOf(store, policy, pool, clock());
      spent.set({ pool }, stated.epsilon);
      limit.set({ pool }, stated.limit);
    }
    return registry.metrics();
  };
  let isConnected = false;
  const setConnected = (is: boolean): void => {
    isConnected = is;
    connected.set(is ? 1 : 0);
  };
  setConnected(false);
  lastRound.set(0);

  const server = createServer((request, reply) => {
    request.resume();
    const path = request.method === 'GET' ? request.url?.split('?')[0] : undefined;
    if (path === '/healthz')
      reply.setHeader('content-type', 'application/json').end(JSON.stringify({ status: 'ok', connected: isConnected }));
    else if (path === '/metrics')
      void page().then(
        (text) => reply.setHeader('content-type', registry.contentType).end(text),
        () => reply.writeHead(500).end(), // the store is broken: the round that needs it says so
      );
    else reply.writeHead(404).end();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port }, resolve);
  });

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    follow(event) {
      if (event.type === 'connected') setConnected(true);
      if (event.type !== 'round-opened') return;
      rounds.inc();
      lastRound.set(clock() / 1000);
    },
    disconnected: () => setConnected(false),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
