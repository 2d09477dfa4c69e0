import { existsSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { CommandError, EXIT } from './exit.ts';
import { openOrSay } from './sqlite-error.ts';
import { CLOSED, markClosed, OPEN } from './sqlite-mark.ts';
import { type Migrated, type Migration, migrate, steps, versionOf } from './sqlite-migration.ts';

/**
 * A database in one file, for one process: SQLite in WAL mode with synchronous=FULL, so that what was committed survives a power
 * cut. The file is locked while it is open.
 *
 *   open ──▶ locked? the -wal there that was left? ──▶ schema brought to the newest version ──▶ every row as it was written?
 *
 * SQLite itself notices a torn page or a torn end of its log, and goes back to the last whole commit. It notices neither a log
 * that is missing nor a changed byte: the first would take back what others were told, the second would count wrongly. So the
 * header says whether the file was closed (`pragma application_id`), and rows that matter carry a checksum in a column `crc`.
 */
export interface Schema {
  /** one for each version from 1 on, in order */
  readonly migrations: readonly Migration[];
  /** what has a column `crc`; the table is read as a whole when the file is opened */
  readonly checked: readonly CheckedColumn[];
  /** what to do when a row is not what was written */
  readonly wayOut: string;
  /** `parley … migrate`, for a file that a newer version wrote */
  readonly migrate: string;
}

export interface CheckedColumn {
  readonly table: string;
  readonly column: string;
  /** SQL for what a row is known by */
  readonly row: string;
}

export interface OpenOptions {
  /** what is said of a file that another process has open, behind its name */
  readonly inUse: string;
  readonly onMigrated?: ((migrated: Migrated) => void) | undefined;
}

/**
 * Opens a file, or makes it.
 *
 * @param path - a file, or ':memory:'
 * @throws CommandError with the code for storage: in use, not writable, damaged, its log missing; "refused" when it is of a newer version
 */
export function openSqliteFile(path: string, schema: Schema, options: OpenOptions): DatabaseSync {
  const hadLog = existsSync(`${path}-wal`);
  const db = openOrSay(path, options.inUse, () => new LockedFile(path));
  try {
    openOrSay(path, options.inUse, () => {
      requireLog(db, path, hadLog, schema);
      upgrade(db, path, schema, options.onMigrated);
      requireIntact(db, path, schema);
      db.markOpen();
    });
    return db;
  } catch (error) {
    db.abandon();
    throw error;
  }
}

/**
 * Opens a file that nobody has open, to read it and leave it as it is.
 *
 * @throws CommandError as `openSqliteFile`; "refused" also when it is of an older version
 */
export function readSqliteFile(path: string, schema: Schema, { inUse }: Pick<OpenOptions, 'inUse'>): DatabaseSync {
  const hadLog = existsSync(`${path}-wal`);
  const db = openOrSay(path, inUse, () => new ReadFile(path));
  try {
    openOrSay(path, inUse, () => requireLog(db, path, hadLog, schema));
    const found = versionOf(db);
    if (found !== schema.migrations.length)
      throw new CommandError(
        EXIT.refused,
        `${path} has schema ${found}, this Parley reads ${schema.migrations.length}: bring it there with ${schema.migrate} --to ${schema.migrations.length}`,
      );
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** @throws CommandError as `openSqliteFile`; "refused" when there is no such version, or going down would lose something that counts */
export function migrateFile(path: string, schema: Schema, to: number, { inUse }: OpenOptions): Migrated | undefined {
  const newest = schema.migrations.length;
  if (!existsSync(path)) throw new CommandError(EXIT.input, `${path} is not there`);
  if (!(to >= 1 && to <= newest))
    throw new CommandError(EXIT.usage, `there is no schema ${to}: this Parley knows 1 to ${newest}`);
  const hadLog = existsSync(`${path}-wal`);
  const db = openOrSay(path, inUse, () => new LockedFile(path));
  try {
    return openOrSay(path, inUse, () => {
      requireLog(db, path, hadLog, schema);
      const from = requireKnown(db, path, schema);
      if (from === newest) requireIntact(db, path, schema);
      if (from === to) return undefined;
      return migrate(db, path, schema.migrations, to);
    });
  } finally {
    db.abandon();
  }
}

/** Rows that are not what was written, each as a sentence. */
export function damagedRows(db: DatabaseSync, { checked }: Pick<Schema, 'checked'>): string[] {
  return checked.flatMap(({ table, column, row }) =>
    db
      .prepare(`select ${row} as row from ${table} where crc is not crc32(${column})`)
      .all()
      .map((found) => `row ${found['row']} of table ${table} is not what was written`),
  );
}

function withChecksums(db: DatabaseSync): void {
  db.function('crc32', { deterministic: true }, (value) => crc32(value as string | Uint8Array));
}

/** What a process that ends by itself has still open: its end closes them too, and would not say so in the header. */
const openFiles = new Set<LockedFile>();
process.once('exit', () => {
  for (const file of openFiles) file.close();
});

class LockedFile extends DatabaseSync {
  readonly #path: string;
  /** its log was there, and is being taken into the file */
  #takesLogIn = false;

  constructor(path: string) {
    super(path);
    this.#path = path;
    try {
      // exclusive: two processes on one file would each go on from a state that the other has left
      this.exec('pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = full;');
      withChecksums(this);
    } catch (error) {
      super.close();
      throw error;
    }
  }

  /** From here on a missing log is noticed. The mark is in the file itself, not in its log. */
  markOpen(): void {
    if (this.#path === ':memory:') return;
    this.exec(`pragma application_id = ${OPEN}; pragma wal_checkpoint(truncate);`);
    openFiles.add(this);
  }

  /** The process that had it open did not close it, and left its log. */
  takesLogIn(): void {
    this.#takesLogIn = true;
  }

  /** Closes a file that was never marked open. */
  abandon(): void {
    super.close();
    if (this.#takesLogIn && !existsSync(`${this.#path}-wal`)) markClosed(this.#path);
  }

  override close(): void {
    if (!openFiles.delete(this)) return super.close();
    const isMarked = this.#markClosed();
    super.close();
    // when all of the log is in the file SQLite has removed it
    if (!isMarked && !existsSync(`${this.#path}-wal`)) markClosed(this.#path);
  }

  /** Goes into the file before its log is removed: a process that is killed in between leaves both, or neither. */
  #markClosed(): boolean {
    try {
      if (this.isTransaction) this.exec('rollback');
      this.exec(`pragma application_id = ${CLOSED}`);
      return true;
    } catch {
      return false; // the disk is full
    }
  }
}

class ReadFile extends DatabaseSync {
  /** what SQLite puts beside the file to read it, and was not there */
  readonly #beside: readonly string[];

  constructor(path: string) {
    const beside = [`${path}-wal`, `${path}-shm`].filter((each) => !existsSync(each));
    super(path, { readOnly: true });
    this.#beside = beside;
    withChecksums(this);
  }

  override close(): void {
    super.close();
    for (const each of this.#beside) rmSync(each, { force: true });
  }
}

function requireLog(db: DatabaseSync, path: string, hadLog: boolean, { wayOut }: Schema): void {
  const id = db.prepare('pragma application_id').get()!['application_id'];
  if (id !== OPEN) return;
  if (hadLog && db instanceof LockedFile) db.takesLogIn();
  if (!hadLog)
    throw new CommandError(
      EXIT.storage,
      `${path}-wal is missing: the process that wrote here did not end by itself, and its last entries are in that file. Put it back beside ${path}. ${wayOut}`,
    );
}

function requireKnown(db: DatabaseSync, path: string, { migrations, migrate: command }: Schema): number {
  const [found, newest] = [versionOf(db), migrations.length];
  if (found > newest)
    throw new CommandError(
      EXIT.refused,
      `${path} was written by a newer Parley (schema ${found}; this one reads up to ${newest}): install that one, or let it take the file back: ${command} --to ${newest}`,
    );
  return found;
}

function requireIntact(db: DatabaseSync, path: string, schema: Schema): void {
  const damaged = damagedRows(db, schema)[0];
  if (damaged !== undefined) throw new CommandError(EXIT.storage, `${path}: ${damaged}. ${schema.wayOut}`);
}

function upgrade(db: DatabaseSync, path: string, schema: Schema, tell: OpenOptions['onMigrated'] = () => {}): void {
  const from = requireKnown(db, path, schema);
  const to = schema.migrations.length;
  if (from === to) return;
  if (from === 0) return steps(db, schema.migrations, to);
  tell(migrate(db, path, schema.migrations, to));
}
