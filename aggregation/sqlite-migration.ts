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
 * Brings the schema to a version, up or down, each step in a transaction of its own.
 * @throws CommandError with "refused" when a step down would lose something that counts, which it names; nothing has changed then
 */
export function migrate(db: DatabaseSync, path: string, migrations: readonly Migration[], to: number): void {
  const from = versionOf(db);
  refuseLosses(db, path, migrations, to);
  for (let version = from; version < to; version++) step(db, migrations[version]!.up, version + 1);
  for (let version = from; version > to; version--) step(db, migrations[version - 1]!.down, version - 1);
}

/** What a file was before it is changed, whole. @returns the copy's path */
export function copyBeside(db: DatabaseSync, path: string, version: number): string {
  const copy = `${path}.v${version}-${timeName(Date.now())}`;
  db.prepare('vacuum into ?').run(copy);
  finishCopy(copy);
  return copy;
}

function step(db: DatabaseSync, sql: string, version: number): void {
  db.exec('begin immediate');
  try {
    db.exec(sql);
    db.exec(`pragma user_version = ${version}; commit`);
  } catch (error) {
    if (db.isTransaction) db.exec('rollback');
    throw error;
  }
}

/** @throws CommandError with "refused" when going down would lose something that counts, which it names */
export function refuseLosses(db: DatabaseSync, path: string, migrations: readonly Migration[], to: number): void {
  const lost = migrations
    .slice(to, versionOf(db))
    .flatMap(({ loses = [] }) => loses)
    .map(({ what, count }) => ({ what, count: db.prepare(count).get()!['count'] as number }))
    .filter(({ count }) => count > 0)
    .map(({ what, count }) => `${count} ${what}`);
  if (lost.length > 0)
    throw new CommandError(EXIT.refused, `${path} stays as it is: schema ${to} has no place for ${lost.join(', ')}`);
}
