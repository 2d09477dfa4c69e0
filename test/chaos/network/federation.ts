import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import type { TenantId } from '../../../aggregation/secure-sum.ts';
import { stayConnected } from '../../../client/connect.ts';
import { type Serving, serve } from '../../../coordinator/serve.ts';
import type { Backend } from '../../../models/backend.ts';
import { enrol, type Tenants, tenantsFor } from '../../support/federation-on-disk.ts';

/**
 * A federation over real sockets: a coordinator on a port, real participants, and between the two whatever `via` puts there. The
 * participants stay connected as `parley client` does.
 */
export interface NetworkedFederation {
  readonly serving: Serving;
  readonly tenants: Tenants;
  /** Lets a tenant connect, and stay connected until it is taken off. */
  connect(tenant: TenantId): void;
  /** Takes a tenant off the network: its connection ends, and it does not come back by itself. */
  disconnect(tenant: TenantId): Promise<void>;
  /** Resolves when this holds. @throws Error when it does not in time; then it is said what should have been */
  until(holds: () => boolean, what: string, timeoutMs?: number): Promise<void>;
  /** what the coordinator's log has, a line each */
  readonly log: readonly string[];
  close(): Promise<void>;
}

export interface NetworkOptions {
  readonly names: readonly TenantId[];
  readonly backend: Backend;
  /** URL under which a tenant looks for the coordinator at `port`; the coordinator's own when left out */
  readonly via?: (tenant: TenantId, port: number) => Promise<string> | string;
}

export async function startNetworked({ names, backend, via }: NetworkOptions): Promise<NetworkedFederation> {
  const folder = mkdtempSync(join(tmpdir(), 'parley-network-'));
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
  const onFailure = (error: unknown): void => void lines.push(`FAILED ${String(error)}`);
  const serving = await serve({
    ...{ folder, host: '127.0.0.1', port: 0, openReading: true, version: '9.9.9-test', log, onFailure },
  });
  const { coordinator } = serving;
  const tenants = tenantsFor(coordinator.publicKey, backend, names);
  for (const [name, identity] of tenants.identities) enrol(coordinator.enrolment, name, identity);
  const port = Number(new URL(serving.url).port);
  const urls = new Map<TenantId, string>();
  for (const name of names) urls.set(name, (await via?.(name, port)) ?? serving.url);
  const online = new Map<TenantId, { readonly off: AbortController; readonly gone: Promise<unknown> }>();

  return {
    serving,
    tenants,
    log: lines,
    connect(tenant) {
      const off = new AbortController();
      const gone = stayConnected(tenants.participants.get(tenant)!, urls.get(tenant)!, {
        signal: off.signal,
        sleep: (ms) => sleep(ms, undefined, { signal: off.signal }).catch(() => {}),
        onRetry: () => {},
      }).then((refused) => refused !== undefined && lines.push(`FAILED ${tenant} was refused: ${refused}`));
      online.set(tenant, { off, gone });
    },
    async disconnect(tenant) {
      const { off, gone } = online.get(tenant)!;
      off.abort();
      await gone;
    },
    async until(holds, what, timeoutMs = 60_000) {
      for (const end = performance.now() + timeoutMs; !holds(); await sleep(5))
        if (performance.now() > end || lines.some((line) => line.startsWith('FAILED')))
          throw new Error(`${what} did not happen; the last of the log:\n${lines.slice(-5).join('')}`);
    },
    async close() {
      for (const { off } of online.values()) off.abort();
      await serving.close();
      await Promise.all([...online.values()].map(({ gone }) => gone));
      await Promise.all([...tenants.participants.values()].map((each) => each.idle()));
      tenants.forget();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
