import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, copyFile, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { CommandError, EXIT } from '../../aggregation/exit.ts';
import { hex } from '../../aggregation/plan.ts';
import { finishCopy } from '../../aggregation/sqlite-mark.ts';
import { sha256 } from '../../aggregation/transcript.ts';
import { EMPTY_LEDGER } from '../../privacy/ledger.ts';
import type { EventStore } from '../store/event-store.ts';
import { openSqliteStore } from '../store/sqlite.ts';
import { SQLITE_SCHEMA } from '../store/sqlite-schema.ts';
import { copyStore } from './copy-store.ts';

/**
 * A backup is a folder (0700, its files 0600), there when it is complete:
 *
 *   events.db        the store, whole, as one SQLite file; of a PostgreSQL store too
 *   …                the other files of the coordinator's folder: identity.pem as it is protected there, tokens, settings
 *   manifest.json    what each file's SHA-256 is, how far the ledger goes, when it was made
 *
 * Whoever has it is the coordinator: keep it as you keep the folder.
 */
export const manifestSchema = z.strictObject({
  format: z.literal('parley-backup-v1'),
  /** ISO 8601 */
  madeAt: z.string(),
  /** Parley's version, and the schema's */
  version: z.string(),
  schema: z.int(),
  federation: z.string(),
  ledger: z.strictObject({ size: z.int(), hash: z.string() }),
  /** SHA-256 by name */
  files: z.record(z.string(), z.string()),
});
export type Manifest = z.infer<typeof manifestSchema>;

export interface BackupOptions {
  readonly store: EventStore;
  /** the coordinator's, with its key */
  readonly folder: string;
  /** must not be there */
  readonly to: string;
  readonly federation: string;
  readonly version: string;
  /** entries that the store had when this began, or fewer */
  readonly ledgerFrom?: number;
  /** Unix ms */
  readonly now: number;
}

/**
 * Copies a store that is open, while work goes on.
 *
 * @returns what is in the backup @throws CommandError when something is at `to` already
 */
export async function writeBackup(options: BackupOptions): Promise<Manifest> {
  const { store, folder, to, federation, version, ledgerFrom = 0, now } = options;
  await requireAbsent(to);
  const partial = `${resolve(to)}.partial`; // whatever it ends with
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true, mode: 0o700 });
  const file = join(partial, STORE);
  try {
    await copyInto(file, store, federation);
    const names = await settingsIn(folder);
    for (const name of names) await copyFile(join(folder, name), join(partial, name));
    const ledger = headIn(file, ledgerFrom);
    const files = await hashesOf(partial, [STORE, ...names]);
    const madeAt = new Date(now).toISOString();
    const schema = SQLITE_SCHEMA.migrations.length;
    const manifest: Manifest = { format: 'parley-backup-v1', madeAt, version, schema, federation, ledger, files };
    await writeFile(join(partial, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
    await putInPlace(partial, to);
    return manifest;
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Reads a backup and believes nothing that its manifest does not say.
 *
 * @throws CommandError when a file is missing, added or not what was backed up, or a newer Parley has written it
 */
export async function readManifest(backup: string): Promise<Manifest> {
  const file = join(backup, MANIFEST);
  const parsed = manifestSchema.safeParse(await readJson(file));
  if (!parsed.success)
    throw new CommandError(EXIT.input, `${file}: not a backup's manifest: ${parsed.error.issues[0]!.message}`);
  const manifest = parsed.data;
  const names = (await readdir(backup)).filter((name) => name !== MANIFEST).sort();
  const expected = Object.keys(manifest.files).sort();
  if (names.join() !== expected.join())
    throw new CommandError(
      EXIT.broken,
      `${backup} holds ${names.join(', ')}; its manifest names ${expected.join(', ')}`,
    );
  const found = await hashesOf(backup, names);
  const changed = names.filter((name) => found[name] !== manifest.files[name]);
  if (changed.length > 0)
    throw new CommandError(
      EXIT.broken,
      `${backup}: ${changed.join(', ')} changed since the backup was made: take another one`,
    );
  if (manifest.schema > SQLITE_SCHEMA.migrations.length)
    throw new CommandError(EXIT.refused, `${backup} was made by Parley ${manifest.version}: restore it with that one`);
  return manifest;
}

export const STORE = 'events.db';
const MANIFEST = 'manifest.json';

/** @throws CommandError when something is there */
export async function requireAbsent(to: string): Promise<void> {
  const found = await stat(to).catch(() => undefined);
  if (found !== undefined) throw new CommandError(EXIT.refused, `${to} is there already: name a new folder`);
}

/** All files but the store's own, its copies and its log. */
async function settingsIn(folder: string): Promise<string[]> {
  const all = await readdir(folder, { withFileTypes: true });
  return all
    .filter((one) => one.isFile() && !one.name.startsWith(STORE) && one.name !== MANIFEST)
    .map(({ name }) => name);
}

async function copyInto(file: string, store: EventStore, federation: string): Promise<void> {
  if (store.backup !== undefined) return store.backup(file);
  const copy = openSqliteStore(file);
  try {
    copyStore(store, copy, federation);
  } finally {
    copy.close();
  }
  finishCopy(file);
}

/** Without reading all of it: a running coordinator stands still meanwhile. */
function headIn(file: string, from: number): Manifest['ledger'] {
  const copy = openSqliteStore(file, { readOnly: true });
  try {
    const begin = Math.max(0, from - 1);
    const texts = copy.ledger(begin);
    const last = texts.at(-1);
    return last === undefined
      ? { size: 0, hash: EMPTY_LEDGER.hash }
      : { size: begin + texts.length, hash: hex(sha256(last)) };
  } finally {
    copy.close();
  }
}

async function hashesOf(folder: string, names: readonly string[]): Promise<Record<string, string>> {
  const hashes: [string, string][] = [];
  for (const name of names) {
    const hash = createHash('sha256');
    await pipeline(createReadStream(join(folder, name)), hash);
    hashes.push([basename(name), hash.digest('hex')]);
  }
  return Object.fromEntries(hashes);
}

/** Gives a folder of files (0600 from then on) its name: a power cut leaves it whole, under the old name or the new one. */
export async function putInPlace(partial: string, to: string): Promise<void> {
  for (const name of await readdir(partial)) {
    await chmod(join(partial, name), 0o600);
    await sync(join(partial, name));
  }
  await sync(partial);
  await rename(partial, to);
  await sync(dirname(resolve(to)));
}

/** POSIX: what is in a folder is durable when the folder is. Windows has no such call. */
async function sync(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(path, 'r');
  await handle.sync();
  await handle.close();
}

export async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new CommandError(EXIT.input, `${file}: ${(error as Error).message}`);
  }
}
