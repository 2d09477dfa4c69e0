import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { CommandError, EXIT } from '../aggregation/exit.ts';
import type { TenantId } from '../aggregation/secure-sum.ts';
import type { TaskFact } from './task.ts';

/**
 * What the coordinator knows, on disk before it says so: facts, what tenants said, the ledger, the roster.
 *
 * SQLite in WAL mode with synchronous=FULL: when `commit` returns, its content survives a power cut. Facts
 * and ledger entries are appended, never changed; bodies are erased once a round is over (their hashes
 * stay in the facts, so a replay of an old body is still recognised).
 */
export interface EventStore {
  /** Runs `work` in one transaction: all of it is on disk, or none. Not reentrant. */
  commit<T>(work: () => T): T;
  /** The same, but a power cut may take it back, whole, until the next `commit`; a crash of the process may not. */
  commitSoon<T>(work: () => T): T;

  addTask(task: StoredTask): void;
  tasks(): StoredTask[];
  addFact(task: string, fact: TaskFact): void;
  facts(task: string): TaskFact[];

  putBody(task: string, place: BodyPlace, tenant: TenantId, body: Uint8Array): void;
  bodies(task: string, place: BodyPlace): Map<TenantId, Uint8Array>;
  /** The part that begins at byte `at` of a vector. */
  putPart(task: string, place: BodyPlace, tenant: TenantId, at: number, bytes: Uint8Array): void;
  part(task: string, place: BodyPlace, tenant: TenantId, at: number): Uint8Array | undefined;
  /** Erases all parts of one vector. */
  eraseVector(task: string, place: BodyPlace, tenant: TenantId): void;
  /** Erases some parts of rounds up to `round`: all at once would take as long as reading them. @returns whether there were any */
  eraseParts(task: string, round: number): boolean;
  /** Erases what was said in rounds up to `round`; keying (round 0) stays as long as its epoch. */
  eraseRounds(task: string, round: number): void;
  /** Erases what was said in epochs before `epoch`. */
  eraseEpochs(task: string, epoch: number): void;
  eraseTask(task: string): void;

  putSum(task: string, sum: StoredSum): void;
  /** Sums opened after `round`, in order: what a tenant that was away takes in to compute the model itself. */
  sums(task: string, round: number): Iterable<StoredSum>;

  addLedgerEntry(seq: number, text: string): void;
  /** @param count - at most so many; all of them when left out */
  ledger(from: number, count?: number): string[];
  /** Notes over the ledger, with the lines of those who cosigned, by size. One is kept for each size. */
  putNote(size: number, note: string): void;
  /** Those over more than `size` entries, the smallest first. */
  notes(size: number): { size: number; note: string }[];

  addInvitation(invitation: Invitation): void;
  invitations(): Invitation[];
  useInvitation(codeHash: string, usedAt: number): void;
  /** Ends what invitations of this name were not used yet. */
  expireInvitations(tenant: TenantId, at: number): void;
  enrol(tenant: TenantId, key: string, at: number): void;
  /** Another key for a tenant that is in the roster. */
  rekey(tenant: TenantId, key: string): void;
  removeTenant(tenant: TenantId): void;
  roster(): { tenant: TenantId; key: string }[];

  /** A notice (`aggregation/notice.ts`) has had its effect. @param id - its digest, hexadecimal */
  addNotice(id: string, at: number): void;
  wasHeard(id: string): boolean;

  /** What a tenant stated last of a pool's budget, and what was made of it; JSON. */
  putStanding(tenant: TenantId, pool: string, text: string): void;
  standings(): { tenant: TenantId; pool: string; text: string }[];

  /** Parameters by their hash: what rounds start from, and what is released. */
  putParameters(hash: string, bytes: Uint8Array): void;
  parameters(hash: string): Uint8Array | undefined;

  close(): void;
}

export interface StoredTask {
  readonly id: string;
  /** canonical JSON, the bytes that were signed */
  readonly plan: string;
  readonly signature: Uint8Array;
}

export interface BodyPlace {
  readonly epoch: number;
  readonly round: number;
  readonly stage: string;
  readonly attempt: number;
}

export interface StoredSum {
  readonly round: number;
  readonly sum: Uint8Array;
  readonly contributions: number;
  /** hash of the parameters that follow */
  readonly model: string;
}

export interface Invitation {
  readonly tenant: TenantId;
  /** SHA-256 of the code: the code itself is shown once and kept nowhere */
  readonly codeHash: string;
  readonly expiresAt: number;
  readonly usedAt: number | null;
}

const SCHEMA_VERSION = 1;
const SQLITE_BUSY = 5;

const SCHEMA = `
  create table if not exists task (id text primary key, plan text not null, signature blob not null) strict;
  create table if not exists fact (seq integer primary key autoincrement, task text not null, fact text not null) strict;
  create index if not exists fact_by_task on fact (task, seq);
  create table if not exists body (
    task text not null, epoch integer not null, round integer not null, stage text not null,
    attempt integer not null, tenant text not null, body blob not null,
    primary key (task, epoch, round, stage, attempt, tenant)
  ) strict, without rowid;
  create table if not exists part (
    task text not null, epoch integer not null, round integer not null, stage text not null,
    attempt integer not null, tenant text not null, at integer not null, bytes blob not null,
    primary key (task, epoch, round, stage, attempt, tenant, at)
  ) strict;
  create table if not exists ledger (seq integer primary key, entry text not null) strict;
  create table if not exists note (size integer primary key, note text not null) strict;
  create table if not exists invitation (
    code_hash text primary key, tenant text not null, expires_at integer not null, used_at integer
  ) strict;
  create table if not exists tenant (name text primary key, key text not null unique, enrolled_at integer not null) strict;
  create table if not exists notice (id text primary key, heard_at integer not null) strict;
  create table if not exists standing (
    tenant text not null, pool text not null, text text not null, primary key (tenant, pool)
  ) strict, without rowid;
  create table if not exists sum (
    task text not null, round integer not null, sum blob not null, contributions integer not null, model text not null,
    primary key (task, round)
  ) strict, without rowid;
  create table if not exists parameters (hash text primary key, bytes blob not null) strict;
`;

/** @param path - a file, or ':memory:' for a federation that lives as long as its process */
export function openEventStore(path: string): EventStore {
  const db = new DatabaseSync(path);
  try {
    // exclusive: two coordinators on one store would each go on from a state that the other has left
    db.exec('pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = full;');
    checkVersion(db, path);
  } catch (error) {
    db.close();
    throw (error as { errcode?: number }).errcode === SQLITE_BUSY
      ? new CommandError(EXIT.storage, `${path} is in use by another coordinator`)
      : error;
  }
  db.exec(SCHEMA);
  const sql = (text: string): StatementSync => db.prepare(text);

  const addTask = sql('insert into task (id, plan, signature) values (?, ?, ?)');
  const tasks = sql('select id, plan, signature from task order by rowid');
  const addFact = sql('insert into fact (task, fact) values (?, ?)');
  const facts = sql('select fact from fact where task = ? order by seq');
  const putBody = sql('insert into body values (?, ?, ?, ?, ?, ?, ?)');
  const bodies = sql(
    'select tenant, body from body where task = ? and epoch = ? and round = ? and stage = ? and attempt = ? order by tenant',
  );
  const putPart = sql('insert into part values (?, ?, ?, ?, ?, ?, ?, ?)');
  const part = sql(
    'select bytes from part where task = ? and epoch = ? and round = ? and stage = ? and attempt = ? and tenant = ? and at = ?',
  );
  const eraseParts = sql(
    'delete from part where rowid in (select rowid from part where task = ? and round <= ? limit 32)',
  );
  const eraseVector = sql(
    'delete from part where task = ? and epoch = ? and round = ? and stage = ? and attempt = ? and tenant = ?',
  );
  const eraseRounds = sql('delete from body where task = ? and round between 1 and ?');
  const eraseEpochs = sql('delete from body where task = ? and epoch < ?');
  const eraseTask = sql('delete from body where task = ?');
  const putSum = sql('insert into sum values (?, ?, ?, ?, ?)');
  const sums = sql('select round, sum, contributions, model from sum where task = ? and round > ? order by round');
  const addEntry = sql('insert into ledger (seq, entry) values (?, ?)');
  const entries = sql('select entry from ledger where seq >= ? order by seq limit ?');
  const putNote = sql('insert into note values (?, ?) on conflict (size) do update set note = excluded.note');
  const notes = sql('select size, note from note where size > ? order by size');
  const addInvitation = sql('insert into invitation values (?, ?, ?, ?)');
  const invitations = sql(
    'select code_hash as codeHash, tenant, expires_at as expiresAt, used_at as usedAt from invitation',
  );
  const useInvitation = sql('update invitation set used_at = ? where code_hash = ? and used_at is null');
  const expireInvitations = sql(
    'update invitation set expires_at = min(expires_at, ?) where tenant = ? and used_at is null',
  );
  const enrol = sql('insert into tenant values (?, ?, ?)');
  const rekey = sql('update tenant set key = ? where name = ?');
  const removeTenant = sql('delete from tenant where name = ?');
  const roster = sql('select name as tenant, key from tenant order by name');
  const addNotice = sql('insert into notice values (?, ?)');
  const findNotice = sql('select 1 from notice where id = ?');
  const putStanding = sql(
    'insert into standing values (?, ?, ?) on conflict (tenant, pool) do update set text = excluded.text',
  );
  const standings = sql('select tenant, pool, text from standing order by tenant, pool');
  const putParameters = sql('insert or ignore into parameters values (?, ?)');
  const parameters = sql('select bytes from parameters where hash = ?');

  const commit = <T>(work: () => T): T => {
    db.exec('begin immediate');
    try {
      const result = work();
      db.exec('commit');
      return result;
    } catch (error) {
      if (db.isTransaction) db.exec('rollback'); // on a full disk SQLite has rolled back itself
      throw error;
    }
  };

  return {
    commit,
    commitSoon(work) {
      db.exec('pragma synchronous = normal');
      try {
        return commit(work);
      } finally {
        db.exec('pragma synchronous = full');
      }
    },
    addTask: ({ id, plan, signature }) => void addTask.run(id, plan, signature),
    tasks: () => tasks.all() as unknown as StoredTask[],
    addFact: (task, fact) => void addFact.run(task, JSON.stringify(fact)),
    facts: (task) => facts.all(task).map((row) => JSON.parse(row.fact as string) as TaskFact),
    putBody: (task, { epoch, round, stage, attempt }, tenant, body) =>
      void putBody.run(task, epoch, round, stage, attempt, tenant, body),
    bodies: (task, { epoch, round, stage, attempt }) =>
      new Map(
        bodies.all(task, epoch, round, stage, attempt).map((row) => [row.tenant as TenantId, row.body as Uint8Array]),
      ),
    putPart: (task, { epoch, round, stage, attempt }, tenant, at, bytes) =>
      void putPart.run(task, epoch, round, stage, attempt, tenant, at, bytes),
    part: (task, { epoch, round, stage, attempt }, tenant, at) =>
      part.get(task, epoch, round, stage, attempt, tenant, at)?.bytes as Uint8Array | undefined,
    eraseVector: (task, { epoch, round, stage, attempt }, tenant) =>
      void eraseVector.run(task, epoch, round, stage, attempt, tenant),
    eraseParts: (task, round) => Number(eraseParts.run(task, round).changes) > 0,
    eraseRounds: (task, round) => void eraseRounds.run(task, round),
    eraseEpochs: (task, epoch) => void eraseEpochs.run(task, epoch),
    eraseTask: (task) => void eraseTask.run(task),
    putSum: (task, { round, sum, contributions, model }) => void putSum.run(task, round, sum, contributions, model),
    sums: (task, round) => sums.iterate(task, round) as unknown as Iterable<StoredSum>,
    addLedgerEntry: (seq, text) => void addEntry.run(seq, text),
    ledger: (from, count = -1) => entries.all(from, count).map((row) => row.entry as string),
    putNote: (size, note) => void putNote.run(size, note),
    notes: (size) => notes.all(size) as unknown as { size: number; note: string }[],
    addInvitation: ({ codeHash, tenant, expiresAt, usedAt }) =>
      void addInvitation.run(codeHash, tenant, expiresAt, usedAt),
    invitations: () => invitations.all() as unknown as Invitation[],
    useInvitation: (codeHash, usedAt) => void useInvitation.run(usedAt, codeHash),
    expireInvitations: (tenant, at) => void expireInvitations.run(at, tenant),
    enrol: (tenant, key, at) => void enrol.run(tenant, key, at),
    rekey: (tenant, key) => void rekey.run(key, tenant),
    removeTenant: (tenant) => void removeTenant.run(tenant),
    roster: () => roster.all() as unknown as { tenant: TenantId; key: string }[],
    addNotice: (id, at) => void addNotice.run(id, at),
    wasHeard: (id) => findNotice.get(id) !== undefined,
    putStanding: (tenant, pool, text) => void putStanding.run(tenant, pool, text),
    standings: () => standings.all() as unknown as { tenant: TenantId; pool: string; text: string }[],
    putParameters: (hash, bytes) => void putParameters.run(hash, bytes),
    parameters: (hash) => parameters.get(hash)?.bytes as Uint8Array | undefined,
    close: () => db.close(),
  };
}

function checkVersion(db: DatabaseSync, path: string): void {
  const found = db.prepare('pragma user_version').get()?.user_version as number;
  if (found > SCHEMA_VERSION)
    throw new Error(`${path} was written by a newer Parley (schema ${found}; this one reads up to ${SCHEMA_VERSION})`);
  db.exec(`pragma user_version = ${SCHEMA_VERSION}`);
}
