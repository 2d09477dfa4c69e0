import { readdir, stat } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Coordinator } from '../coordinator.ts';
import type { Clients } from '../listener.ts';
import { SQLITE_SCHEMA } from '../store/sqlite-schema.ts';
import { type Check, freeUnder } from './readiness.ts';

/** What is looked at whenever somebody asks for the metrics. */
export interface Watched {
  readonly coordinator: Coordinator;
  readonly clients: Pick<Clients, 'unsent'>;
  readonly server: Server;
  /** the coordinator's */
  readonly folder: string;
  readonly checks: () => Promise<readonly Check[]>;
}

/** How things stand now: connections, queues, budgets, store. @returns what brings the gauges up to date */
export function stateMetrics(registry: Registry, watched: Watched): () => Promise<void> {
  const registers = [registry];
  const gauge = (name: string, help: string, labelNames: string[] = []): Gauge =>
    new Gauge({ name: `parley_${name}`, help, labelNames, registers });
  const connections = gauge(
    'connections',
    'Clients connected: tenants, and strangers that have not said who they are',
    ['kind'],
  );
  const tasks = gauge('tasks', 'Tasks by phase', ['phase']);
  const waiting = gauge('waiting', 'What tenants sent and no task has looked at: messages, bytes', ['what']);
  const unsent = gauge('unsent_bytes', 'Bytes that clients have not read yet');
  const epsilon = gauge('epsilon', "One customer's lifetime ε: by the ledger, and as the tenant states it", [
    'tenant',
    'pool',
    'by',
  ]);
  const limit = gauge('epsilon_limit', "The tenant's own limit of it", ['tenant', 'pool']);
  const agrees = gauge('budget_agrees', '0 where the ledger cannot explain what the tenant states', ['tenant', 'pool']);
  const entries = gauge('ledger_entries', 'Entries of the ledger');
  const ready = gauge('ready', 'Whether each check of /readyz holds', ['check']);
  const free = gauge('disk_free_bytes', "Free on the disk of the coordinator's folder");
  const backup = gauge('last_backup_timestamp_seconds', 'When the newest backup in the folder was made; 0 without one');
  gauge('leads', '1 where this coordinator leads, 0 where it stands by').set(1);
  gauge('schema_version', 'Version of the store').set(SQLITE_SCHEMA.migrations.length);
  followTraffic(watched.server, registry);

  return async () => {
    const { coordinator, clients, folder } = watched;
    const { strangers, messages, bytes } = coordinator.load();
    connections.set({ kind: 'tenants' }, coordinator.present().size);
    connections.set({ kind: 'strangers' }, strangers);
    for (const phase of PHASES)
      tasks.set({ phase }, coordinator.tasks().filter(({ state }) => state.phase === phase).length);
    waiting.set({ what: 'messages' }, messages);
    waiting.set({ what: 'bytes' }, bytes);
    unsent.set(clients.unsent());
    for (const { tenant, pool, counted, stated, limit: most, agrees: isExplained } of coordinator.budgets()) {
      epsilon.set({ tenant, pool, by: 'ledger' }, counted === 'infinite' ? Infinity : counted);
      epsilon.set({ tenant, pool, by: 'tenant' }, stated);
      limit.set({ tenant, pool }, most);
      agrees.set({ tenant, pool }, isExplained ? 1 : 0);
    }
    entries.set(coordinator.ledger.head.size);
    for (const { name, ok } of await watched.checks()) ready.set({ check: name }, ok ? 1 : 0);
    free.set(await freeUnder(folder).catch(() => 0));
    backup.set(await lastBackup(join(folder, 'backups')));
  };
}

const PHASES = ['proposed', 'running', 'finished', 'stopped'] as const;

/** Unix seconds. A backup is complete when its manifest is there. */
async function lastBackup(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => []);
  const times = names.map((name) =>
    stat(join(folder, name, 'manifest.json')).then(
      ({ mtimeMs }) => mtimeMs / 1000,
      () => 0,
    ),
  );
  return Math.max(0, ...(await Promise.all(times)));
}

/** Bytes on the wire, whatever they are: HTTP and WebSocket, TLS and all. */
function followTraffic(server: Server, registry: Registry): void {
  const open = new Map<Socket, { received: number; sent: number }>();
  const traffic = new Counter({
    name: 'parley_traffic_bytes_total',
    help: 'Bytes received from, and sent to, everybody who connected, since the start',
    labelNames: ['direction'],
    registers: [registry],
    collect() {
      for (const socket of open.keys()) count(socket);
    },
  });
  function count(socket: Socket): void {
    const before = open.get(socket)!;
    const now = { received: socket.bytesRead, sent: socket.bytesWritten };
    traffic.inc({ direction: 'received' }, Math.max(0, now.received - before.received));
    traffic.inc({ direction: 'sent' }, Math.max(0, now.sent - before.sent));
    open.set(socket, { received: Math.max(now.received, before.received), sent: Math.max(now.sent, before.sent) });
  }
  server.on('connection', (socket: Socket) => {
    open.set(socket, { received: 0, sent: 0 });
    socket.once('close', () => {
      count(socket);
      open.delete(socket);
    });
  });
}
