import { rmSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { CommandError, EXIT } from './exit.ts';
import { finishCopy } from './sqlite-mark.ts';
import { timeName } from './time-name.ts';

/** A step between two versions of a schema, both ways. SQL may use `crc32(value)`. */
export interface Migration {
  readonly up: string;
  readonly down: string;
  /** what the version before has no place for, and how many of it there are */
  readonly loses?: readonly { readonly what: string; readonly count: string }[];
}

/** A file that was brought to a newer version, and the copy of what it was. */
export interface Migrated {
  readonly from: number;
  readonly to: number;
  readonly copy: string;
}

export const versionOf = (db: DatabaseSync): number =>
  db.prepare('pragma user_version').get()!['user_version'] as number;

/**
 * Brings a file to a version of its schema, up or down, and leaves a copy of what it was beside it.
 * @throws CommandError with "refused" when a step down would lose something that counts, which it names
 * @throws Error when the disk is full, say: all is as it was then, and no copy is left
 */
export function migrate(db: DatabaseSync, path: string, migrations: readonly Migration[], to: number): Migrated {
  const from = versionOf(db);
  refuseLosses(db, path, migrations, to);
  const copy = `${path}.v${from}-${timeName(Date.now())}`;
  try {
    db.prepare('vacuum into ?').run(copy);
    finishCopy(copy);
    steps(db, migrations, to);
  } catch (error) {
    for (const file of [copy, `${copy}-journal`]) rmSync(file, { force: true });
    throw error;
  }
  return { from, to, copy };
}

/** Up or down, all steps in one transaction. For a new file these are its tables. */
export function steps(db: DatabaseSync, migrations: readonly Migration[], to: number): void {
  const from = versionOf(db);
  db.exec('begin immediate');
  try {
    for (let version = from; version < to; version++) db.exec(migrations[version]!.up);
    for (let version = from; version > to; version--) db.exec(migrations[version - 1]!.down);
    db.exec(`pragma user_version = ${to}; commit`);
  } catch (error) {
    if (db.isTransaction) db.exec('rollback');
    throw error;
  }
}

/** @throws CommandError with "refused" when going down would lose something that counts, which it names */
function refuseLosses(db: DatabaseSync, path: string, migrations: readonly Migration[], to: number): void {
  const lost = migrations
    .slice(to, versionOf(db))
    .flatMap(({ loses = [] }) => loses)
    .map(({ what, count }) => ({ what, count: db.prepare(count).get()!['count'] as number }))
    .filter(({ count }) => count > 0)
    .map(({ what, count }) => `${count} ${what}`);
  if (lost.length > 0)
    throw new CommandError(EXIT.refused, `${path} stays as it is: schema ${to} has no place for ${lost.join(', ')}`);
}
