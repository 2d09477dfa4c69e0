import { CommandError, EXIT } from '../../aggregation/exit.ts';
import type { TenantId } from '../../aggregation/secure-sum.ts';
import type { TaskFact } from '../task.ts';
import type { BodyPlace, Enrolled, EventStore, Invitation, StoredSum, StoredTask, StoredToken } from './event-store.ts';
import { connectPostgres, type PostgresOptions, withoutPassword } from './postgres-connection.ts';
import { SCHEMA, SCHEMA_LOCK, SCHEMA_VERSION } from './postgres-schema.ts';
import { type Transactions, transactionsOn } from './postgres-transaction.ts';

/**
 * An event store in a PostgreSQL database (14 or newer), schema `parley`, for one federation and several coordinators with its key:
 * one leads, the others wait in here. Resolves when this one leads.
 *
 * @throws CommandError with the code for storage when the server is not there or does not let us in; "refused" when a newer Parley
 * has written it
 */
export async function openPostgresStore(options: PostgresOptions): Promise<EventStore> {
  const where = withoutPassword(options.url);
  const connection = await connectPostgres(options);
  const sql = transactionsOn(connection);
  try {
    if (options.readOnly) requireVersion(sql, where);
    else prepare(sql, where);
  } catch (error) {
    connection.close();
    throw error;
  }
  const at = ({ epoch, round, stage, attempt }: BodyPlace) => [epoch, round, stage, attempt] as const;

  return {
    claim(federation) {
      sql.write("insert into meta values ('federation', $1) on conflict do nothing", federation);
      const [found] = sql.read("select value from meta where name = 'federation'");
      if (found!['value'] !== federation)
        throw new CommandError(EXIT.refused, `${where} belongs to another federation: give this one its own database`);
    },
    probe: (at) =>
      sql.write(
        "insert into meta values ('probe', $1) on conflict (name) do update set value = excluded.value",
        String(at),
      ),
    commit: (work) => sql.run(work),
    commitSoon: (work) => sql.run(work, true),
    addTask: ({ id, plan, signature }) =>
      sql.write('insert into task (id, plan, signature) values ($1, $2, $3)', id, plan, signature),
    tasks: () => sql.read('select id, plan, signature from task order by seq') as unknown as StoredTask[],
    addFact: (task, fact) => sql.write('insert into fact (task, fact) values ($1, $2)', task, JSON.stringify(fact)),
    facts: (task) =>
      sql
        .read('select fact from fact where task = $1 order by seq', task)
        .map(({ fact }) => JSON.parse(fact as string) as TaskFact),
    putBody: (task, place, tenant, body) =>
      sql.write('insert into body values ($1, $2, $3, $4, $5, $6, $7)', task, ...at(place), tenant, body),
    body: (task, place, tenant) => bodyOf(sql, task, place, tenant),
    *bodies(task, place) {
      const said = sql.read(`select tenant from body where ${PLACE} order by tenant`, task, ...at(place));
      for (const { tenant } of said) yield [tenant as TenantId, bodyOf(sql, task, place, tenant as TenantId)!];
    },
    putPart: (task, place, tenant, from, bytes) =>
      sql.write('insert into part values ($1, $2, $3, $4, $5, $6, $7, $8)', task, ...at(place), tenant, from, bytes),
    part: (task, place, tenant, from) =>
      sql.read(
        `select bytes from part where ${PLACE} and tenant = $6 and at = $7`,
        task,
        ...at(place),
        tenant,
        from,
      )[0]?.['bytes'] as Uint8Array | undefined,
    eraseVector: (task, place, tenant) =>
      sql.write(`delete from part where ${PLACE} and tenant = $6`, task, ...at(place), tenant),
    eraseParts: (task, round) =>
      sql.change(
        'delete from part where ctid in (select ctid from part where task = $1 and round <= $2 limit 32)',
        task,
        round,
      ) > 0,
    eraseRounds: (task, round) => sql.write('delete from body where task = $1 and round between 1 and $2', task, round),
    eraseEpochs: (task, epoch) => sql.write('delete from body where task = $1 and epoch < $2', task, epoch),
    eraseTask: (task) => sql.write('delete from body where task = $1', task),
    putSum(task, { round, sum, contributions, model }) {
      sql.write('insert into sum values ($1, $2, $3, $4)', task, round, contributions, model);
      putPieces(sql, sumName(task, round), sum);
    },
    sums: (task, round) => sumsAfter(sql, task, round),
    addLedgerEntry: (seq, text) => sql.write('insert into ledger values ($1, $2)', seq, text),
    ledger: (from, count) =>
      sql
        .read('select entry from ledger where seq >= $1 order by seq limit $2', from, count ?? null)
        .map(({ entry }) => entry as string),
    putNote: (size, note) =>
      sql.write('insert into note values ($1, $2) on conflict (size) do update set note = excluded.note', size, note),
    notes: (size) =>
      sql.read('select size, note from note where size > $1 order by size', size) as unknown as ReturnType<
        EventStore['notes']
      >,
    addInvitation: ({ codeHash, tenant, expiresAt, usedAt }) =>
      sql.write(
        'insert into invitation (code_hash, tenant, expires_at, used_at) values ($1, $2, $3, $4)',
        ...[codeHash, tenant, expiresAt, usedAt],
      ),
    invitations: () =>
      sql.read(
        'select code_hash as "codeHash", tenant, expires_at as "expiresAt", used_at as "usedAt" from invitation order by seq',
      ) as unknown as Invitation[],
    useInvitation: (codeHash, usedAt) =>
      sql.write('update invitation set used_at = $1 where code_hash = $2 and used_at is null', usedAt, codeHash),
    expireInvitations: (tenant, now) =>
      sql.write(
        'update invitation set expires_at = least(expires_at, $1) where tenant = $2 and used_at is null',
        ...[now, tenant],
      ),
    enrol: (tenant, key, now) => sql.write('insert into tenant values ($1, $2, $3)', tenant, key, now),
    rekey: (tenant, key) => sql.write('update tenant set key = $1 where name = $2', key, tenant),
    removeTenant: (tenant) => sql.write('delete from tenant where name = $1', tenant),
    roster: () =>
      sql.read(
        'select name as tenant, key, enrolled_at as "enrolledAt" from tenant order by name',
      ) as unknown as Enrolled[],
    addNotice: (id, now) => sql.write('insert into notice values ($1, $2)', id, now),
    wasHeard: (id) => sql.read('select 1 from notice where id = $1', id).length > 0,
    notices: () =>
      sql.read('select id, heard_at as at from notice order by heard_at, id') as unknown as ReturnType<
        EventStore['notices']
      >,
    addToken: ({ id, secretHash, role, holder, createdAt, expiresAt }) =>
      sql.write(
        'insert into token values ($1, $2, $3, $4, $5, $6, null)',
        ...[id, secretHash, role, holder, createdAt, expiresAt],
      ),
    tokens: () =>
      sql.read(
        `select id, secret_hash as "secretHash", role, holder, created_at as "createdAt", expires_at as "expiresAt",
         revoked_at as "revokedAt" from token order by created_at, id`,
      ) as unknown as StoredToken[],
    revokeToken: (id, now) =>
      sql.write('update token set revoked_at = $1 where id = $2 and revoked_at is null', now, id),
    putPendingAct: (id, text) =>
      sql.write(
        'insert into pending_act values ($1, $2) on conflict (id) do update set text = excluded.text',
        id,
        text,
      ),
    pendingActs: () =>
      sql.read('select id, text from pending_act order by id') as unknown as ReturnType<EventStore['pendingActs']>,
    dropPendingAct: (id) => sql.write('delete from pending_act where id = $1', id),
    putStanding: (tenant, pool, text) =>
      sql.write(
        'insert into standing values ($1, $2, $3) on conflict (tenant, pool) do update set text = excluded.text',
        ...[tenant, pool, text],
      ),
    standings: () =>
      sql.read('select tenant, pool, text from standing order by tenant, pool') as unknown as ReturnType<
        EventStore['standings']
      >,
    putParameters: (hash, bytes) => putPieces(sql, parametersName(hash), bytes),
    parameters: (hash) => pieces(sql, parametersName(hash)),
    close: () => connection.close(),
  };
}

const PLACE = 'task = $1 and epoch = $2 and round = $3 and stage = $4 and attempt = $5';

function prepare(sql: Transactions, where: string): void {
  sql.run(() => {
    sql.read('select pg_advisory_xact_lock($1)', SCHEMA_LOCK);
    if (sql.read("select to_regclass('parley.meta') as meta")[0]!['meta'] === null) {
      for (const statement of SCHEMA) sql.write(statement);
      sql.write("insert into meta values ('schema', $1)", String(SCHEMA_VERSION));
    }
    requireVersion(sql, where);
  });
}

function requireVersion(sql: Transactions, where: string): void {
  if (sql.read("select to_regclass('parley.meta') as meta")[0]!['meta'] === null)
    throw new CommandError(EXIT.refused, `${where} holds no federation`);
  const found = Number(sql.read("select value from meta where name = 'schema'")[0]?.['value']);
  if (found !== SCHEMA_VERSION)
    throw new CommandError(
      EXIT.refused,
      `${where} was written by a newer Parley (schema ${found}; this one reads up to ${SCHEMA_VERSION})`,
    );
}

const PIECE = 4 * 2 ** 20;
const sumName = (task: string, round: number): string => `sum ${task} ${round}`;
const parametersName = (hash: string): string => `parameters ${hash}`;

/** What is there already stays: parameters are named by their hash, and a sum's row is refused before. */
function putPieces(sql: Transactions, name: string, bytes: Uint8Array): void {
  for (let at = 0; at === 0 || at < bytes.length; at += PIECE)
    sql.write('insert into piece values ($1, $2, $3) on conflict do nothing', name, at, bytes.subarray(at, at + PIECE));
}

function pieces(sql: Transactions, name: string): Uint8Array | undefined {
  const found: Uint8Array[] = [];
  for (let last = PIECE; last === PIECE; last = found.at(-1)!.length) {
    const [row] = sql.read('select bytes from piece where name = $1 and at = $2', name, found.length * PIECE);
    if (row === undefined) break;
    found.push(row['bytes'] as Uint8Array);
  }
  return found.length > 1 ? Buffer.concat(found) : found[0];
}

function bodyOf(sql: Transactions, task: string, place: BodyPlace, tenant: TenantId): Uint8Array | undefined {
  const { epoch, round, stage, attempt } = place;
  const found = sql.read(
    `select body from body where ${PLACE} and tenant = $6`,
    task,
    epoch,
    round,
    stage,
    attempt,
    tenant,
  );
  return found[0]?.['body'] as Uint8Array | undefined;
}

function* sumsAfter(sql: Transactions, task: string, round: number): Iterable<StoredSum> {
  for (let after = round; ; ) {
    const [row] = sql.read(
      'select round, contributions, model from sum where task = $1 and round > $2 order by round limit 1',
      ...[task, after],
    );
    if (row === undefined) return;
    const found = row as unknown as Omit<StoredSum, 'sum'>;
    yield { ...found, sum: pieces(sql, sumName(task, found.round))! };
    after = found.round;
  }
}
