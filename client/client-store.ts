import { createHash, type KeyObject } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { transaction } from '../aggregation/sqlite-error.ts';
import { openSqliteFile } from '../aggregation/sqlite-file.ts';
import type { Migrated } from '../aggregation/sqlite-migration.ts';
import { type Budget, readBudget } from '../privacy/budget.ts';
import { EMPTY_LEDGER, entryText, type LedgerEntry, type LedgerHead } from '../privacy/ledger.ts';
import { leafHash, rootOf, treeRoot } from '../privacy/transparency/merkle.ts';
import { CLIENT_SCHEMA } from './client-schema.ts';
import { openKept, PUT_KEPT } from './kept.ts';

/**
 * What a tenant remembers, whatever the coordinator says: the ledger head it saw last, what it spent, which rounds it
 * answered and how. Durable before an answer leaves (SQLite, WAL, synchronous=FULL): a client that is
 * killed at any instruction may have paid for a round it did not finish, never the other way round.
 */
export interface ClientStore {
  ledgerHead(): LedgerHead;
  /** Appends verified entries, and moves the head with them. */
  addLedger(entries: readonly LedgerEntry[], head: LedgerHead): void;
  /** Keeps a note over this ledger, so that others can be shown a ledger that verifies. In place of what was kept under this name. */
  keepLedgerNote(name: string, note: string): void;
  ledgerNotes(): ReadonlyMap<string, string>;
  ledgerEntry(task: string, round: number, kind: 'charge' | 'release' | 'abort'): LedgerEntry | undefined;
  ledger(): LedgerEntry[];
  /** Hash of the head when the ledger had `size` entries; undefined when this tenant has not seen as many. */
  ledgerHashAt(size: number): string | undefined;
  /** Root of the tree over the first `size` entries; undefined when this tenant has not seen as many. */
  ledgerRootAt(size: number): Uint8Array | undefined;
  /** The ledger's entry of this task's plan. */
  planEntry(task: string): LedgerEntry | undefined;
  /** The entry in which this tenant accepts this task. */
  acceptEntry(task: string, tenant: string): LedgerEntry | undefined;
  /** The entry that ended this task, if one did. */
  endOf(task: string): LedgerEntry | undefined;
  /** undefined before the first task */
  budget(): Budget | undefined;
  setBudget(budget: Budget): void;
  /** What was pinned when a task was accepted; undefined when it was not. */
  accepted(task: string): Accepted | undefined;
  accept(task: string, accepted: Accepted): void;
  /** Tasks ever accepted, the newest first. */
  acceptedTasks(): string[];
  round(task: string, round: number): AnsweredRound | undefined;
  /** Highest round this tenant ever contributed to; 0 before the first. */
  lastRound(task: string): number;
  setRound(task: string, round: number, answered: AnsweredRound): void;
  pinned(name: string): string | undefined;
  pin(name: string, value: string): void;
  /** All of it, or nothing of it. One inside another is part of the outer one. */
  commit<T>(work: () => T): T;
  close(): void;
}

export interface Accepted {
  readonly plan: string;
  /** SHA-256 of the data file the task was accepted with */
  readonly data: string;
}

export interface AnsweredRound {
  /** hash of the cohort this tenant contributed to */
  readonly cohort: string;
  /** the sum it gave shares for; empty before */
  readonly sumHash: string;
  /** opener sets it answered, each once */
  readonly openerSets: readonly string[];
}

/**
 * @param path - a file, or ':memory:' for a tenant that lives as long as its process
 * @param storeKey - of the folder's keys, where they are protected: budget and pins are encrypted with it (`kept.ts`)
 * @throws CommandError when the store is protected and the key is not its own, or is plain and there is a key
 */
export function openClientStore(path: string, storeKey?: KeyObject): ClientStore {
  const db = openDatabase(path);
  const own = openOrClose(db, () => openKept(db, path, storeKey));
  const get = db.prepare('select value from kept where name = ?');
  const set = db.prepare(PUT_KEPT);
  const notes = db.prepare('select name, value from kept where name like ? order by name');
  const addEntry = db.prepare('insert into ledger values (?1, ?2, ?3, ?4, ?5, crc32(?5))');
  const findEntry = db.prepare('select entry from ledger where task = ? and round = ? and kind = ?');
  const entryAt = db.prepare('select entry from ledger where seq = ?');
  const findPlan = db.prepare("select entry from ledger where task = ? and kind = 'plan' limit 1");
  const findAccepts = db.prepare("select entry from ledger where task = ? and kind = 'accept'");
  const findEnd = db.prepare("select entry from ledger where task = ? and kind in ('finish', 'stop') limit 1");
  const firstEntries = db.prepare('select entry from ledger where seq < ? order by seq');
  const allEntries = db.prepare('select entry from ledger order by seq');
  const task = db.prepare('select plan, data from task where id = ?');
  const taskIds = db.prepare('select id from task order by rowid desc');
  const addTask = db.prepare('insert or ignore into task values (?1, ?2, ?3, crc32(?2 || ?3))');
  const round = db.prepare('select answered from round where task = ? and round = ?');
  const lastRound = db.prepare('select coalesce(max(round), 0) as last from round where task = ?');
  const setRound = db.prepare(
    `insert into round values (?1, ?2, ?3, crc32(?3))
     on conflict (task, round) do update set answered = excluded.answered, crc = excluded.crc`,
  );
  const kept = (name: string): string | undefined => get.get(name)?.value as string | undefined;

  const head = (): LedgerHead => JSON.parse(kept('ledger-head') ?? JSON.stringify(EMPTY_LEDGER)) as LedgerHead;
  const entryIn = (row: Record<string, unknown> | undefined): LedgerEntry | undefined =>
    row && (JSON.parse(row.entry as string) as LedgerEntry);

  return {
    ledgerHead: head,
    addLedger(entries, after) {
      this.commit(() => {
        for (const entry of entries)
          addEntry.run(entry.seq, entry.task, 'round' in entry ? entry.round : null, entry.kind, entryText(entry));
        set.run('ledger-head', JSON.stringify(after));
      });
    },
    keepLedgerNote: (name, note) => void set.run(`${NOTE}${name}`, note),
    ledgerNotes: () =>
      new Map(
        notes.all(`${NOTE}%`).map(({ name, value }) => [(name as string).slice(NOTE.length), value as string] as const),
      ),
    ledgerEntry: (id, number, kind) => entryIn(findEntry.get(id, number, kind)),
    planEntry: (id) => entryIn(findPlan.get(id)),
    acceptEntry: (id, tenant) =>
      findAccepts
        .all(id)
        .map((row) => entryIn(row)!)
        .find((entry) => entry.kind === 'accept' && entry.tenant === tenant),
    endOf: (id) => entryIn(findEnd.get(id)),
    ledgerRootAt: (size) => {
      const { size: most } = head();
      if (size === most) return rootOf(head());
      if (size > most) return undefined;
      return treeRoot(firstEntries.all(size).map((row) => leafHash(Buffer.from(row.entry as string))));
    },
    ledgerHashAt: (size) => {
      if (size === 0) return EMPTY_LEDGER.hash;
      const row = entryAt.get(size - 1);
      return row === undefined
        ? undefined
        : createHash('sha256')
            .update(row.entry as string)
            .digest('hex');
    },
    ledger: () => allEntries.all().map((row) => JSON.parse(row.entry as string) as LedgerEntry),
    budget: () => {
      const text = own.get('budget');
      return text === undefined ? undefined : readBudget(JSON.parse(text));
    },
    setBudget: (budget) => own.set('budget', JSON.stringify(budget)),
    accepted: (id) => task.get(id) as Accepted | undefined,
    accept: (id, { plan, data }) => void addTask.run(id, plan, data),
    acceptedTasks: () => taskIds.all().map(({ id }) => id as string),
    round: (id, number) => {
      const row = round.get(id, number);
      return row === undefined ? undefined : (JSON.parse(row.answered as string) as AnsweredRound);
    },
    lastRound: (id) => lastRound.get(id)?.last as number,
    setRound: (id, number, answered) => void setRound.run(id, number, JSON.stringify(answered)),
    pinned: own.get,
    pin: own.set,
    commit: (work) => (db.isTransaction ? work() : transaction(db, path, work)),
    close: () => db.close(),
  };
}

/** What the ledger says anybody may ask for: such names stay readable in a store that is protected (`kept.ts`). */
const NOTE = 'ledger-note/';

/** The file alone, locked, with its tables. @throws CommandError when another process has it open: each would believe that the budget is its own */
export function openDatabase(path: string, onMigrated?: (migrated: Migrated) => void): DatabaseSync {
  const inUse = 'is locked: another client runs on this folder; stop it first';
  return openSqliteFile(path, CLIENT_SCHEMA, { inUse, onMigrated });
}

/** A file that is refused must not stay locked. */
function openOrClose<T>(db: DatabaseSync, open: () => T): T {
  try {
    return open();
  } catch (error) {
    db.close();
    throw error;
  }
}
