import { chmodSync, closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

/** In the header of a file that was closed, and of one that was not: "Parl", "Paro". */
export const CLOSED = 0x5061726c;
export const OPEN = 0x5061726f;

/** Where SQLite's header has the application id (sqlite.org/fileformat, 1.3). */
const APPLICATION_ID_AT = 68;

/** Written in place, past SQLite: that works on a disk that is full, too. Nobody has the file open. */
export function markClosed(path: string): void {
  const mark = Buffer.alloc(4);
  mark.writeUInt32BE(CLOSED);
  const file = openSync(path, 'r+');
  writeSync(file, mark, 0, 4, APPLICATION_ID_AT);
  fsyncSync(file);
  closeSync(file);
}

/** Of what was copied from a file that is open: it stands for itself, without a log. */
export function finishCopy(copy: string): void {
  const db = new DatabaseSync(copy);
  db.exec(`pragma journal_mode = delete; pragma application_id = ${CLOSED}`);
  db.close();
  chmodSync(copy, 0o600);
}
