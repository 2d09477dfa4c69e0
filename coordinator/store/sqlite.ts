import { backup, type StatementSync } from 'node:sqlite';
import { CommandError, EXIT } from '../../aggregation/exit.ts';
import type { TenantId } from '../../aggregation/secure-sum.ts';
import { transaction } from '../../aggregation/sqlite-error.ts';
import { openSqliteFile, readSqliteFile } from '../../aggregation/sqlite-file.ts';
import { finishCopy } from '../../aggregation/sqlite-mark.ts';
import type { Migrated } from '../../aggregation/sqlite-migration.ts';
import type { TaskFact } from '../task.ts';
import type { Enrolled, EventStore, Invitation, StoredSum, StoredTask, StoredToken } from './event-store.ts';
import { SQLITE_SCHEMA } from './sqlite-schema.ts';

/**
 * An event store in one file, for one coordinator (`aggregation/sqlite-file.ts`): what `commit` returned from survives a power cut.
 * The file is locked while it is open; one of an older version is brought to the newest.
 *
 * @param path - a file, or ':memory:' for a federation that lives as long as its process
 * @throws CommandError with the code for storage when another coordinator has it open, it is damaged or cannot be written
 */
export function openSqliteStore(path: string, options: SqliteOptions = {}): EventStore {
  const inUse = 'is in use by another coordinator: stop it first';
  const db = options.readOnly
    ? readSqliteFile(path, SQLITE_SCHEMA, { inUse })
    : openSqliteFile(path, SQLITE_SCHEMA, { inUse, onMigrated: options.onMigrated });
  const sql = (text: string): StatementSync => db.prepare(text);

  const claim = sql("insert or ignore into meta values ('federation', ?)");
  const probe = sql("insert into meta values ('probe', ?) on conflict (name) do update set value = excluded.value");
  const claimed = sql("select value from meta where name = 'federation'");
  const addTask = sql('insert into task (id, plan, signature) values (?, ?, ?)');
  const tasks = sql('select id, plan, signature from task order by rowid');
  const addFact = sql('insert into fact (task, fact, crc) values (?1, ?2, crc32(?2))');
  const facts = sql('select fact from fact where task = ? order by seq');
  const putBody = sql('insert into body values (?1, ?2, ?3, ?4, ?5, ?6, ?7, crc32(?7))');
  const body = sql(
    'select body from body where task = ? and epoch = ? and round = ? and stage = ? and attempt = ? and tenant = ?',
  );
  const bodies = sql(
    'select tenant, body from body where task = ? and epoch = ? and round = ? and stage = ? and attempt = ? order by tenant',
  );
  const putPart = sql('insert into part values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, crc32(?8))');
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
  const putSum = sql('insert into sum values (?1, ?2, ?3, ?4, ?5, crc32(?3))');
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
  const roster = sql('select name as tenant, key, enrolled_at as enrolledAt from tenant order by name');
  const addNotice = sql('insert into notice values (?, ?)');
  const findNotice = sql('select 1 from notice where id = ?');
  const notices = sql('select id, heard_at as at from notice order by heard_at, id');
  const putStanding = sql(
    'insert into standing values (?, ?, ?) on conflict (tenant, pool) do update set text = excluded.text',
  );
  const standings = sql('select tenant, pool, text from standing order by tenant, pool');
  const addToken = sql('insert into token values (?, ?, ?, ?, ?, ?, null)');
  const tokens = sql(
    `select id, secret_hash as secretHash, role, holder, created_at as createdAt, expires_at as expiresAt, revoked_at as revokedAt
     from token order by created_at, id`,
  );
  const revokeToken = sql('update token set revoked_at = ? where id = ? and revoked_at is null');
  const putPendingAct = sql(
    'insert into pending_act values (?, ?) on conflict (id) do update set text = excluded.text',
  );
  const pendingActs = sql('select id, text from pending_act order by id');
  const dropPendingAct = sql('delete from pending_act where id = ?');
  const putParameters = sql('insert or ignore into parameters values (?1, ?2, crc32(?2))');
  const parameters = sql('select bytes from parameters where hash = ?');

  const commit = <T>(work: () => T): T => transaction(db, path, work);

  return {
    claim(federation) {
      claim.run(federation);
      if (claimed.get()!['value'] !== federation)
        throw new CommandError(
          EXIT.refused,
          `${path} belongs to another federation: put back the identity.pem it was made with, or use a new folder`,
        );
    },
    probe: (at) => void probe.run(String(at)),
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
    body: (task, { epoch, round, stage, attempt }, tenant) =>
      body.get(task, epoch, round, stage, attempt, tenant)?.body as Uint8Array | undefined,
    *bodies(task, { epoch, round, stage, attempt }) {
      for (const row of bodies.iterate(task, epoch, round, stage, attempt))
        yield [row.tenant as TenantId, row.body as Uint8Array];
    },
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
    roster: () => roster.all() as unknown as Enrolled[],
    addNotice: (id, at) => void addNotice.run(id, at),
    wasHeard: (id) => findNotice.get(id) !== undefined,
    notices: () => notices.all() as unknown as { id: string; at: number }[],
    putStanding: (tenant, pool, text) => void putStanding.run(tenant, pool, text),
    standings: () => standings.all() as unknown as { tenant: TenantId; pool: string; text: string }[],
    addToken: ({ id, secretHash, role, holder, createdAt, expiresAt }) =>
      void addToken.run(id, secretHash, role, holder, createdAt, expiresAt),
    tokens: () => tokens.all() as unknown as StoredToken[],
    revokeToken: (id, at) => void revokeToken.run(at, id),
    putPendingAct: (id, text) => void putPendingAct.run(id, text),
    pendingActs: () => pendingActs.all() as unknown as { id: string; text: string }[],
    dropPendingAct: (id) => void dropPendingAct.run(id),
    putParameters: (hash, bytes) => void putParameters.run(hash, bytes),
    parameters: (hash) => parameters.get(hash)?.bytes as Uint8Array | undefined,
    // in steps, on another thread: what is committed meanwhile is in the copy too
    async backup(to) {
      await backup(db, to, { rate: PAGES_AT_A_TIME });
      finishCopy(to);
    },
    close: () => db.close(),
  };
}

/** Of 4 KiB each; a commit waits for one step. */
const PAGES_AT_A_TIME = 256;

export interface SqliteOptions {
  /** nothing is changed; a file of an older version is refused */
  readonly readOnly?: boolean;
  readonly onMigrated?: (migrated: Migrated) => void;
}
