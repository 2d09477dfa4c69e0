import { copyFile, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Secret } from '../../aggregation/at-rest.ts';
import { CommandError, EXIT } from '../../aggregation/exit.ts';
import { federationOf } from '../../aggregation/federation.ts';
import { keysIn } from '../../aggregation/folder-keys.ts';
import type { Identity } from '../../aggregation/identity.ts';
import type { EventStore } from '../store/event-store.ts';
import { openPostgresStore } from '../store/postgres.ts';
import { openSqliteStore } from '../store/sqlite.ts';
import { type Manifest, putInPlace, readManifest, STORE } from './backup.ts';
import { type Checked, checkStore } from './check.ts';
import { copyStore } from './copy-store.ts';
import { type LedgerCopy, laterEntries } from './later-entries.ts';
import { forgetPermissions, type TakenOver, takeOver } from './take-over.ts';

/**
 * A coordinator's folder from a backup, and from what the tenants know that the backup does not:
 *
 *   manifest ─▶ copy ─▶ check ─▶ later entries, verified ─▶ taken over, tasks ended ─▶ check ─▶ folder, or PostgreSQL
 *
 * A backup that is older than the federation is a step back: whoever has seen more of the ledger will not follow it, and must not,
 * since what was charged since would count for nothing. The folder is there when all of it has succeeded, or not at all.
 */
export interface RestoreOptions {
  readonly backup: string;
  /** must be new, or empty */
  readonly folder: string;
  /** postgres://…: an empty database to go on in, in place of the folder's file */
  readonly storeUrl?: string | undefined;
  /** copies of the ledger; 'none-since' when it is said that nothing happened after the backup */
  readonly ledgers: readonly LedgerCopy[] | 'none-since';
  readonly secret?: Secret | undefined;
  /** Unix ms */
  readonly now: number;
}

export interface Restored extends TakenOver {
  readonly manifest: Manifest;
  /** entries that the ledger has now */
  readonly size: number;
  readonly checked: readonly Checked[];
}

/** @throws CommandError; the folder is as it was then */
export async function restoreBackup({
  backup,
  folder,
  storeUrl,
  ledgers,
  secret,
  now,
}: RestoreOptions): Promise<Restored> {
  const manifest = await readManifest(backup);
  await requireEmpty(folder);
  const partial = `${resolve(folder)}.partial`; // whatever it ends with
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true, mode: 0o700 });
  try {
    for (const name of Object.keys(manifest.files)) await copyFile(join(backup, name), join(partial, name));
    const { identity } = keysIn(partial, secret);
    if (federationOf(identity.publicKey) !== manifest.federation)
      throw new CommandError(
        EXIT.broken,
        `${backup}: identity.pem is not the key of the federation that was backed up`,
      );
    const store = openSqliteStore(join(partial, STORE));
    try {
      requireWhole(backup, checkStore(store, identity));
      const kept = { entries: store.ledger(0), notes: store.notes(0) };
      const later = ledgers === 'none-since' ? kept : laterEntries(kept, ledgers, identity);
      const taken = takeOver(store, identity, later, now);
      if (ledgers !== 'none-since') forgetPermissions(store, now);
      const checked = checkStore(store, identity);
      requireWhole(folder, checked);
      if (storeUrl !== undefined) await intoPostgres(store, identity, storeUrl);
      const restored = { ...taken, manifest, size: store.ledger(0).length, checked };
      store.close();
      // a token that is revoked would only be in the way
      if (ledgers !== 'none-since') await rm(join(partial, 'operator.token'), { force: true });
      if (storeUrl !== undefined) await rm(join(partial, STORE));
      await putInPlace(partial, folder);
      return restored;
    } finally {
      closeOnce(store);
    }
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

async function requireEmpty(folder: string): Promise<void> {
  const found = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new CommandError(EXIT.refused, `${folder}: ${error.message}`);
  });
  if (found.length > 0)
    throw new CommandError(EXIT.refused, `${folder} is not empty: a backup is restored into a new folder`);
  const [at, beside] = await Promise.all(
    [folder, dirname(resolve(folder))].map((path) => stat(path).catch(() => null)),
  );
  // nothing can take its place, and that would be found when all is done
  if (at != null && at.dev !== beside?.dev)
    throw new CommandError(
      EXIT.refused,
      `${folder} is a disk of its own: restore into a new folder on it, or beside it`,
    );
}

function requireWhole(where: string, checked: readonly Checked[]): void {
  const problems = checked.flatMap((each) => each.problems.map((problem) => `  ${each.what}: ${problem}`));
  if (problems.length > 0)
    throw new CommandError(
      EXIT.broken,
      `${where} does not hold:\n${problems.slice(0, 20).join('\n')}\nTake another backup`,
    );
}

/** One transaction is not enough for all of it: until the database is whole it has no ledger, and nobody leads on it. */
async function intoPostgres(from: EventStore, identity: Identity, url: string): Promise<void> {
  const federation = federationOf(identity.publicKey);
  const told = new AbortController();
  const to = await openPostgresStore({
    ...{ url, federation, signal: told.signal, onLost: () => {} },
    onStandby: () =>
      told.abort(new CommandError(EXIT.refused, 'a coordinator runs on this database: restore into an empty one')),
  });
  try {
    const isEmpty = [to.tasks(), to.ledger(0, 1), to.roster(), to.tokens()].every(({ length }) => length === 0);
    if (!isEmpty) throw new CommandError(EXIT.refused, 'the database is not empty: restore into another one');
    copyStore(from, to, federation);
    requireWhole('the database', checkStore(to, identity));
  } finally {
    to.close();
  }
}

function closeOnce(store: EventStore): void {
  try {
    store.close();
  } catch {
    // it was closed before the folder was moved
  }
}
