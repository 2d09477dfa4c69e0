import { existsSync } from 'node:fs';
import { CommandError, EXIT } from '../aggregation/exit.ts';
import type { LedgerExport } from '../aggregation/ledger-export.ts';
import type { SecretOptions } from '../aggregation/secret.ts';
import { migrateFile } from '../aggregation/sqlite-file.ts';
import { CLIENT_SCHEMA } from './client-schema.ts';
import { type ClientStore, openClientStore } from './client-store.ts';
import { openedKeys, storeFile } from './folder.ts';
import { writeNew } from './ledger-commands.ts';

interface OwnOptions extends SecretOptions {
  readonly folder: string;
  readonly json?: boolean;
}

/**
 * `parley client ledger`: this tenant's own copy, whatever has become of the coordinator. It holds the cosignatures that the tenant
 * was shown: those of tasks it took part in.
 */
export async function ownLedger(to: string, options: OwnOptions): Promise<void> {
  const file = storeFile(options.folder);
  if (!existsSync(file)) throw new CommandError(EXIT.input, `${file} is not there`);
  const { storeKey } = await openedKeys(options.folder, options);
  const store = openClientStore(file, storeKey);
  try {
    const found = exportOf(store, file);
    writeNew(to, `${JSON.stringify(found, null, 1)}\n`);
    const entries = found.entries.length;
    console.log(options.json ? JSON.stringify({ export: to, entries }) : `${entries} entries: ${to}`);
  } finally {
    store.close();
  }
}

/** @throws CommandError when the tenant has seen no ledger yet */
export function exportOf(store: ClientStore, file: string): LedgerExport {
  const notes = new Map(store.ledgerNotes());
  const [log, head] = [notes.get('log'), notes.get('head')];
  if (log === undefined || head === undefined)
    throw new CommandError(
      EXIT.refused,
      `${file} holds no ledger that was signed for it: connect once with this version`,
    );
  const cosigned = [...notes]
    .filter(([name]) => /^\d+$/.test(name))
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([, note]) => note);
  return { format: 'parley-ledger-export-v1', log, head, notes: cosigned, entries: store.ledger() };
}

/** `parley client migrate` */
export async function migrateClient(options: OwnOptions & { to: number }): Promise<void> {
  const file = storeFile(options.folder);
  const migrated = migrateFile(file, CLIENT_SCHEMA, options.to, {
    inUse: 'is locked: a client runs on this folder; stop it first',
  });
  if (options.json) console.log(JSON.stringify({ file, schema: options.to, ...migrated }));
  else if (migrated === undefined) console.log(`${file} has schema ${options.to} already`);
  else console.log(`${file}: from schema ${migrated.from} to ${migrated.to}; as it was: ${migrated.copy}`);
}
