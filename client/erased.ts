import { createHash, randomBytes } from 'node:crypto';
import { hex } from '../aggregation/plan.ts';
import { digest } from '../aggregation/transcript.ts';
import { customerOfEachRow, type Table } from '../models/encode.ts';
import type { FeatureSchema } from '../models/schema.ts';
import type { ClientStore } from './client-store.ts';
import type { Snapshot } from './rows.ts';

/**
 * Customers that this tenant no longer uses: their rows are dropped whenever customers are read for a task.
 *
 *   identifier ──hash, salted──▶ list in the store        rows ──in the list?──▶ dropped
 *
 * Whoever has the store and a list of names can find out who was erased; in a protected folder the list is encrypted
 * (`kept.ts`). A customer of that name stays erased, should it ever come back.
 *
 * Tasks pin the data file by its hash. The file may keep the rows or lose them, before or after: for each file that a task was
 * accepted with, the list notes the hash of the rows that remain, cell by cell, and a file with exactly those rows is
 * still that file. So nothing but erased customers can leave a task's data.
 */
export interface Kept extends Pick<Snapshot, 'table' | 'hash'> {
  /** hash of the rows that remain; undefined when nobody was erased */
  readonly content: string | undefined;
}

/** The snapshot without the rows of erased customers. */
export function withoutErased(store: ClientStore, schema: FeatureSchema, { table, hash }: Snapshot): Kept {
  const list = erasedIn(store);
  if (list.hashes.length === 0) return { table, hash, content: undefined };
  const remaining = dropped(table, schema, list);
  return { table: remaining, hash, content: contentHash(remaining) };
}

/** Is this the data that was pinned, or what erasing has left of it? @param pinned - hash of the file then */
export const isPinnedData = (store: ClientStore, pinned: string, { hash, content }: Omit<Kept, 'table'>): boolean =>
  pinned === hash || (content !== undefined && erasedIn(store).remains[pinned] === content);

/**
 * Adds customers to the list. Call inside `ClientStore.commit`, with what is told about it.
 *
 * @param customers - identifiers as in the customer column; where a row is a customer, as `customerOfEachRow` gives them
 * @param snapshot - the data file as it is now
 */
export function eraseCustomers(
  store: ClientStore,
  schema: FeatureSchema,
  snapshot: Snapshot,
  customers: readonly string[],
): void {
  const before = erasedIn(store);
  const list = { ...before, hashes: [...new Set([...before.hashes, ...customers.map((one) => hashOf(one, before))])] };
  const was = contentHash(dropped(snapshot.table, schema, before));
  const is = contentHash(dropped(snapshot.table, schema, list));
  const files = Object.keys(before.remains).filter((file) => before.remains[file] === was);
  const remains = { ...before.remains, ...Object.fromEntries([...files, snapshot.hash].map((file) => [file, is])) };
  store.pin(NAME, JSON.stringify({ ...list, remains }));
}

interface List {
  readonly salt: string;
  readonly hashes: readonly string[];
  /** by the hash of a data file: the hash of its rows that remain */
  readonly remains: Readonly<Record<string, string>>;
}

const NAME = 'erased';

function erasedIn(store: ClientStore): List {
  const text = store.pinned(NAME);
  return text === undefined
    ? { salt: randomBytes(32).toString('hex'), hashes: [], remains: {} }
    : (JSON.parse(text) as List);
}

const hashOf = (customer: string, { salt }: List): string => hex(digest('parley/erased/v1', salt, customer));

function dropped(table: Table, schema: FeatureSchema, list: List): Table {
  if (list.hashes.length === 0) return table;
  const erased = new Set(list.hashes);
  const customers = customerOfEachRow(schema, table);
  const rows = [...table.rows.keys()].filter((row) => !erased.has(hashOf(customers[row] ?? '', list)));
  return { ...table, rows: rows.map((row) => table.rows[row]!), line: (row) => table.line(rows[row]!) };
}

/** Of columns and cells as they were read: how a file quotes them does not matter. */
function contentHash({ columns, rows }: Table): string {
  const hash = createHash('sha256').update(`parley/rows/v1\n${JSON.stringify(columns)}\n`);
  for (const row of rows) hash.update(`${JSON.stringify(row)}\n`);
  return hash.digest('hex');
}
