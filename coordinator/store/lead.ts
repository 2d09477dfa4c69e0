import type { EventStore } from './event-store.ts';
import { openPostgresStore } from './postgres.ts';
import type { PostgresOptions } from './postgres-connection.ts';
import { type Standby, type StandbyOptions, standBy } from './standby.ts';

/**
 * Two coordinators on one database:
 *
 *   start ──lock free──────────────────────────▶ leads ──database lost──▶ ends
 *     └──lock taken──▶ stands by ──lock free──────▲
 *
 * Both have the federation's key. Who has the lock replays the store and serves; the other one keeps its port open meanwhile, says
 * that it stands by, and tries for the lock every second. Nobody who has led stands by again in the same process: what it
 * remembers may be behind what is stored. It ends, and whoever supervises it starts it anew.
 */
export interface LeadOptions extends Omit<PostgresOptions, 'onStandby'>, StandbyOptions {
  /** @param url - where it answers that it stands by */
  readonly onStandby?: ((url: string) => void) | undefined;
}

/**
 * Resolves when this process leads. @returns the store, and the port that was held: nobody is listening on it now
 *
 * @throws what `openPostgresStore` throws, and the signal's reason
 */
export async function lead({
  host,
  port,
  tls,
  log,
  onStandby,
  ...options
}: LeadOptions): Promise<{ store: EventStore; port: number }> {
  const failed = new AbortController();
  const signal = AbortSignal.any([failed.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  let standing: Promise<Standby | undefined> | undefined;
  const stand = async (): Promise<Standby | undefined> => {
    try {
      const standby = await standBy({ host, port, tls, log });
      onStandby?.(standby.url);
      return standby;
    } catch (error) {
      failed.abort(error); // a standby nobody can ask is none
      return undefined;
    }
  };
  try {
    const store = await openPostgresStore({
      ...options,
      signal,
      onStandby: () => {
        standing = stand();
      },
    });
    return { store, port: (await standing)?.port ?? port };
  } finally {
    await (await standing)?.close();
  }
}
