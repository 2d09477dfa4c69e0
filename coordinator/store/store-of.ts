import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import { CommandError, EXIT } from '../../aggregation/exit.ts';
import type { Migrated } from '../../aggregation/sqlite-migration.ts';
import type { TlsFiles } from '../tls.ts';
import type { EventStore } from './event-store.ts';
import { lead } from './lead.ts';
import { withoutPassword } from './postgres-connection.ts';
import { openSqliteStore } from './sqlite.ts';

/** Where a coordinator keeps what it must not forget, and where it stands by for it. */
export interface StoreOptions {
  readonly folder: string;
  /** in place of the folder's own; closed with the coordinator */
  readonly store?: EventStore;
  /** postgres://…, in place of the folder's own: then this may be one of several coordinators (`lead.ts`) */
  readonly storeUrl?: string | undefined;
  readonly host: string;
  /** 0 for any free one */
  readonly port: number;
  readonly tls?: TlsFiles | undefined;
  readonly log: FastifyBaseLogger;
  /** ends standing by; nothing else */
  readonly signal?: AbortSignal;
  /** another coordinator leads; this one answers there that it stands by */
  readonly onStandby?: (url: string) => void;
  /** storage is broken: nothing can be promised any more */
  readonly onFailure: (error: unknown) => void;
}

/** Resolves when this process may write to the store. @returns the port too: the one that a standby was asked on */
export async function storeOf(options: StoreOptions, federation: string): Promise<{ store: EventStore; port: number }> {
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
