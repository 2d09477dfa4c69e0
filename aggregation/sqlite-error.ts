import type { DatabaseSync } from 'node:sqlite';
import { CommandError, EXIT } from './exit.ts';

/** What SQLite's errors mean to whoever runs a command, and transactions whose errors say it. */

/**
 * All that `work` writes is on disk when this returns, or nothing of it.
 *
 * @param path - for the message: which file could not be written
 */
export function transaction<T>(db: DatabaseSync, path: string, work: () => T): T {
  db.exec('begin immediate');
  try {
    const result = work();
    db.exec('commit');
    return result;
  } catch (error) {
    if (db.isTransaction) db.exec('rollback'); // on a full disk SQLite has rolled back itself
    throw namingFile(error, path);
  }
}

/** Another process has the file open. */
export class InUse extends CommandError {
  constructor(message: string) {
    super(EXIT.storage, message);
  }
}

/** SQLite's primary result codes. */
const [BUSY, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, NOTADB] = [5, 8, 10, 11, 13, 14, 26];

/** @param inUse - what is said of a file that another process has open, behind its name */
export function openOrSay<T>(path: string, inUse: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    const { errcode, message } = error as { errcode?: number; message: string };
    const said = sentence((errcode ?? 0) & 0xff, inUse);
    if (said === undefined) throw error;
    const text = `${path} ${said} (${message})`;
    throw said === inUse ? new InUse(text) : new CommandError(EXIT.storage, text);
  }
}

/** An error of a file that is open, with what it means, which file it is and the way out in its message. */
function namingFile(error: unknown, path: string): unknown {
  const { errcode = 0, message } = (error ?? {}) as { errcode?: number; message?: string };
  const said = errcode === 0 ? undefined : sentence(errcode & 0xff, 'is locked');
  return said === undefined ? error : Object.assign(error as Error, { message: `${path} ${said} (${message})` });
}

function sentence(code: number, inUse: string): string | undefined {
  switch (code) {
    case BUSY:
      return inUse;
    case READONLY:
    case CANTOPEN:
      return 'cannot be written: let this user own its folder, on a disk that is mounted for writing';
    case FULL:
    case IOERR:
      return 'cannot be written: the disk is full, or fails. Nothing that was acknowledged is lost; free some space, or replace it';
    case CORRUPT:
    case NOTADB:
      return 'is damaged, or no database of Parley: put a backup in its place';
    default:
      return undefined;
  }
}
