import { type KeyObject, randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { decrypt, encrypt, NONCE_BYTES } from '../aggregation/aes-gcm.ts';
import { CommandError, EXIT } from '../aggregation/exit.ts';

/**
 * What a tenant keeps to itself in its store: budget, pins, declined tasks. Plain, or, in a folder that is protected, each value
 * encrypted with the folder's store key, its name associated with it: none can be read, changed, or put in another's row.
 *
 * Not hidden: the names, how long the values are, when they change; ledger, plans and answered rounds, which others know too.
 * Not noticed: an older copy of the file, or of a row, put back by who can write it, or a row removed. Against that stand
 * the ledger, which is at others too, and the access to the folder.
 */
export interface Kept {
  get(name: string): string | undefined;
  set(name: string, value: string): void;
}

/**
 * Opens what is kept. Where nothing is kept yet it is protected from the start, when a key is given.
 * @throws CommandError when the store is protected and there is no key, or another; when a key is given and it is plain;
 *   when a value is not what was written under its name
 */
export function openKept(db: DatabaseSync, path: string, key?: KeyObject): Kept {
  const table = tableOf(db);
  const isProtected = table.get(MARK) !== undefined;
  if (key === undefined) {
    if (isProtected)
      throw refused(`${path} is protected, and the key beside it is not: put back the identity.pem it was made with`);
    return table;
  }
  if (!isProtected && table.names().length > 0)
    throw refused(
      `${path} is not protected, and the key beside it is: finish with \`parley keys protect\` or \`unprotect\``,
    );
  const kept = encrypted(table, key, path);
  if (!isProtected) kept.set(MARK, MARK);
  // before anything is done: what was tampered with is found here, not in the middle of a round
  for (const name of table.names()) kept.get(name);
  return kept;
}

/**
 * Protects what is kept, or takes the protection away: all of it, or, when this is killed, nothing.
 * Asked again it only clears away what a killed one may have left.
 * @throws CommandError when it is protected with another key, and then changes nothing
 */
export function convertKept(db: DatabaseSync, path: string, key: KeyObject, to: 'plain' | 'protected'): void {
  const table = tableOf(db);
  const hidden = encrypted(table, key, path);
  const isProtected = table.get(MARK) !== undefined;
  const values = table.names().map((name) => [name, isProtected ? hidden.get(name)! : table.get(name)!] as const);
  db.exec('begin immediate');
  for (const [name, value] of values) (to === 'protected' ? hidden : table).set(name, value);
  if (to === 'protected') hidden.set(MARK, MARK);
  else table.remove(MARK);
  db.exec('commit');
  // plain values may still stand in free pages and in the journal
  db.exec('vacuum; pragma wal_checkpoint(truncate)');
}

/** Its value says nothing; that it decrypts says that the key is the store's. */
const MARK = 'protected';
/** What the ledger says anybody may ask for: these names stay readable in a protected store. */
const PUBLIC = 'ledger-%';

/** Name, value; with the checksum that the file has of every row (`aggregation/sqlite-file.ts`). */
export const PUT_KEPT =
  'insert into kept values (?1, ?2, crc32(?2)) on conflict (name) do update set value = excluded.value, crc = excluded.crc';

interface Table extends Kept {
  /** all but what is public */
  names(): string[];
  remove(name: string): void;
}

function tableOf(db: DatabaseSync): Table {
  const get = db.prepare('select value from kept where name = ?');
  const set = db.prepare(PUT_KEPT);
  const names = db.prepare('select name from kept where name not like ?');
  const remove = db.prepare('delete from kept where name = ?');
  return {
    get: (name) => get.get(name)?.value as string | undefined,
    set: (name, value) => void set.run(name, value),
    names: () => names.all(PUBLIC).map((row) => row.name as string),
    remove: (name) => void remove.run(name),
  };
}

function encrypted(table: Table, key: KeyObject, path: string): Kept {
  return {
    get(name) {
      const text = table.get(name);
      if (text === undefined) return undefined;
      const bytes = /^([0-9a-f]{2})+$/.test(text) ? Buffer.from(text, 'hex') : Buffer.alloc(0);
      const nonce = bytes.subarray(0, NONCE_BYTES);
      const value = decrypt(key, nonce, bytes.subarray(NONCE_BYTES), associated(name));
      if (value === undefined)
        throw new CommandError(
          EXIT.storage,
          `${path}: "${name}" was changed, or belongs to another folder's key; restore identity.pem and the store from one copy`,
        );
      return Buffer.from(value).toString();
    },
    set(name, value) {
      const nonce = randomBytes(NONCE_BYTES);
      const bytes = Buffer.concat([nonce, encrypt(key, nonce, Buffer.from(value), associated(name))]);
      table.set(name, bytes.toString('hex'));
    },
  };
}

const associated = (name: string): Uint8Array => Buffer.from(`parley/kept/v1\n${name}`);

const refused = (message: string): CommandError => new CommandError(EXIT.refused, message);
