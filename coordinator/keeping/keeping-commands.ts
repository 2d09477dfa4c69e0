import { existsSync } from 'node:fs';
import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { CommandError, EXIT } from '../../aggregation/exit.ts';
import { federationOf } from '../../aggregation/federation.ts';
import { keysIn, protectionOf } from '../../aggregation/folder-keys.ts';
import type { Identity } from '../../aggregation/identity.ts';
import { ledgerExport } from '../../aggregation/ledger-export.ts';
import { type SecretOptions, secretFor } from '../../aggregation/secret.ts';
import { InUse } from '../../aggregation/sqlite-error.ts';
import { damagedRows, migrateFile, readSqliteFile } from '../../aggregation/sqlite-file.ts';
import { timeName } from '../../aggregation/time-name.ts';
import { type OperatorOptions, post } from '../operator-http.ts';
import type { EventStore } from '../store/event-store.ts';
import { openPostgresStore } from '../store/postgres.ts';
import { openSqliteStore } from '../store/sqlite.ts';
import { SQLITE_SCHEMA } from '../store/sqlite-schema.ts';
import { readJson, requireAbsent, STORE, writeBackup } from './backup.ts';
import { type Checked, checkStore } from './check.ts';
import type { LedgerCopy } from './later-entries.ts';
import { restoreBackup } from './restore.ts';

/** `parley coordinator check | backup | restore | migrate`: what keeps a federation from being lost. */
export interface KeepingOptions extends SecretOptions {
  /** the coordinator's; for `check` a backup too */
  readonly folder: string;
  /** postgres://…, where the store is not in the folder */
  readonly store?: string;
  readonly json?: boolean;
}

export async function check(options: KeepingOptions): Promise<void> {
  const identity = await identityIn(options);
  const checked = await checkFolder(options, identity);
  const isWhole = checked.every(({ problems }) => problems.length === 0);
  if (options.json) console.log(JSON.stringify({ holds: isWhole, checked }));
  else console.log(table(checked));
  if (!isWhole)
    throw new CommandError(
      EXIT.broken,
      `${options.store === undefined ? join(options.folder, STORE) : 'the database'} does not hold. ${SQLITE_SCHEMA.wayOut}`,
    );
}

/** What was looked at, a line each; under it what does not hold. */
export const table = (checked: readonly Checked[]): string =>
  checked
    .map(({ what, found, unit, problems }) =>
      [
        `  ${what.padEnd(12)}${`${found} ${unit}`.padEnd(24)}${problems.length === 0 ? 'holds' : 'DOES NOT HOLD'}`,
        ...problems.map((problem) => `      ${problem}`),
      ].join('\n'),
    )
    .join('\n');

/** Looks at a store that no coordinator has open; one in PostgreSQL may be in use. */
export async function checkFolder({ folder, store: url }: KeepingOptions, identity: Identity): Promise<Checked[]> {
  if (url !== undefined) return withStore(await openPicture(url, identity), (store) => checkStore(store, identity));
  const file = storeIn(folder);
  const damage = damageIn(file);
  return withStore(openSqliteStore(file, { readOnly: true }), (store) => checkStore(store, identity, damage));
}

function damageIn(file: string): string[] {
  const db = readSqliteFile(file, SQLITE_SCHEMA, { inUse: IN_USE });
  try {
    const found = db
      .prepare('pragma integrity_check')
      .all()
      .map((row) => String(row['integrity_check']));
    return [...found.filter((text) => text !== 'ok'), ...damagedRows(db, SQLITE_SCHEMA)];
  } catch (error) {
    return [(error as Error).message];
  } finally {
    db.close();
  }
}

export interface BackupCommand extends KeepingOptions, Pick<OperatorOptions, 'coordinator'> {
  readonly to?: string;
}

/** Copies the store itself when no coordinator has it open; asks the one that has. */
export async function backup(options: BackupCommand, version: string): Promise<void> {
  const { folder, store: url, to = join(folder, 'backups', timeName(Date.now())) } = options;
  await requireAbsent(to);
  const identity = await identityIn(options);
  const made = await openOrAsk(url, folder, identity);
  if (made === undefined) await askFor(options, to);
  else {
    await mkdir(dirname(resolve(to)), { recursive: true, mode: 0o700 });
    const federation = federationOf(identity.publicKey);
    await withStore(made, (store) => writeBackup({ store, folder, to, federation, version, now: Date.now() }));
  }
  const checked = await checkFolder({ folder: to }, identity);
  const problems = checked.flatMap((each) => each.problems);
  if (problems.length > 0)
    throw new CommandError(EXIT.broken, `${to}: what was copied does not hold:\n${table(checked)}`);
  const entries = checked.find(({ what }) => what === 'ledger')!.found;
  console.log(
    options.json ? JSON.stringify({ backup: to, entries }) : `backup of a ledger of ${entries} entries, checked: ${to}`,
  );
}

async function openOrAsk(url: string | undefined, folder: string, identity: Identity): Promise<EventStore | undefined> {
  if (url !== undefined) return openPicture(url, identity);
  try {
    return openSqliteStore(storeIn(folder), { readOnly: true });
  } catch (error) {
    if (error instanceof InUse) return undefined;
    throw error;
  }
}

async function askFor(options: BackupCommand, to: string): Promise<void> {
  const { backup: made } = (await post('/backups', {}, options)) as { backup: string };
  if (resolve(made) === resolve(to)) return;
  if (!existsSync(made)) throw new CommandError(EXIT.refused, `the backup is on the coordinator's machine: ${made}`);
  await mkdir(dirname(resolve(to)), { recursive: true, mode: 0o700 });
  await rename(made, to).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EXDEV') throw error;
    await cp(made, to, { recursive: true, errorOnExist: true, force: false });
    await rm(made, { recursive: true });
  });
}

export interface RestoreCommand extends KeepingOptions {
  readonly ledger?: readonly string[];
  /** false when it is said that nothing happened since the backup */
  readonly laterEntries: boolean;
}

export async function restore(from: string, options: RestoreCommand): Promise<void> {
  const { folder, store: storeUrl, ledger, laterEntries } = options;
  if ((ledger === undefined) === laterEntries)
    throw new CommandError(
      EXIT.usage,
      `Whoever has seen more of the ledger than this backup holds will refuse its coordinator, for good. Give --ledger with copies from the tenants (each, its client stopped: parley client ledger FILE --folder FOLDER; the longest counts), or state --no-later-entries`,
    );
  const secret = await secretFor(protectionOf(from), options);
  const ledgers = ledger === undefined ? ('none-since' as const) : await Promise.all(ledger.map(readCopy));
  const restored = await restoreBackup({ backup: from, folder, storeUrl, ledgers, secret, now: Date.now() });
  const { entries, size, ended, checked, manifest } = restored;
  if (options.json)
    return console.log(JSON.stringify({ folder, entries, size, ended, madeAt: manifest.madeAt, checked }));
  console.log(`${table(checked)}
Restored to ${folder}: a backup of ${manifest.madeAt} and ${entries} later entries, a ledger of ${size}. Tasks that were ended: ${ended.map((task) => task.slice(0, 8)).join(', ') || 'none'}.
Models and sums that were released after the backup are with the tenants; what was charged is counted.${ledger === undefined ? '' : FORGOTTEN}`);
}

const FORGOTTEN = `
One-time codes and tokens are all revoked, and nothing waits for approval: what was used or revoked since the backup, nobody knows. Start the
coordinator with --new-operator NAME once, for a new operator's token.`;

export async function migrateStore(options: KeepingOptions & { to: number }): Promise<void> {
  const file = join(options.folder, STORE);
  const migrated = migrateFile(file, SQLITE_SCHEMA, options.to, { inUse: IN_USE });
  if (options.json) console.log(JSON.stringify({ file, schema: options.to, ...migrated }));
  else if (migrated === undefined) console.log(`${file} has schema ${options.to} already`);
  else console.log(`${file}: from schema ${migrated.from} to ${migrated.to}; as it was: ${migrated.copy}`);
}

const IN_USE = 'is in use by a coordinator: stop it first';

async function identityIn({ folder, ...options }: KeepingOptions): Promise<Identity> {
  const protection = protectionOf(folder);
  if (protection === 'absent')
    throw new CommandError(EXIT.input, `${folder} holds no identity.pem: it is no coordinator's folder`);
  return keysIn(folder, await secretFor(protection, options)).identity;
}

function storeIn(folder: string): string {
  const file = join(folder, STORE);
  if (!existsSync(file))
    throw new CommandError(EXIT.input, `${file} is not there; give --store where the store is in PostgreSQL`);
  return file;
}

/** What the database holds now, whoever leads. */
const openPicture = (url: string, identity: Identity): Promise<EventStore> =>
  openPostgresStore({ url, federation: federationOf(identity.publicKey), readOnly: true, onLost: () => {} });

async function withStore<T>(store: EventStore, work: (store: EventStore) => T | Promise<T>): Promise<T> {
  try {
    return await work(store);
  } finally {
    store.close();
  }
}

async function readCopy(name: string): Promise<LedgerCopy> {
  const parsed = ledgerExport.safeParse(await readJson(name));
  if (parsed.success) return { name, ledger: parsed.data };
  const issue = parsed.error.issues[0]!;
  throw new CommandError(EXIT.input, `${name}: not a ledger export: ${issue.path.join('.')}: ${issue.message}`);
}
