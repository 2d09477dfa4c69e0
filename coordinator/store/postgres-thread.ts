import { setTimeout as sleep } from 'node:timers/promises';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import pg from 'pg';

/**
 * The thread behind `postgres-connection.ts`: holds the one connection, waits for the federation's lock, then answers batches of
 * statements in the order they come. It knows nothing of what they say.
 */
export interface Statement {
  readonly text: string;
  readonly values?: readonly (string | number | null | Uint8Array)[];
}

export interface ThreadData {
  /** as libpq reads it; may hold a password */
  readonly url: string;
  /** a signed 64-bit number, decimal: who holds it in this database leads; undefined for who only reads */
  readonly lock: string | undefined;
  /** batches come in here, answers go back */
  readonly port: MessagePort;
  /** set to 1 when an answer is there */
  readonly answered: Int32Array;
}

/** What the last statement of a batch came to, or the first that failed. */
export type Answer =
  | { readonly rows: Readonly<Record<string, unknown>>[]; readonly changes: number; readonly command: string }
  | Failure;

export interface Failure {
  readonly failed: string;
  /** SQLSTATE, or the system's name of an error */
  readonly code?: string;
}

/** What is told without being asked. */
export type News = { readonly type: 'stands-by' } | { readonly type: 'leads' } | ({ readonly type: 'lost' } & Failure);

/** How often a coordinator that stands by tries for the lock. */
const TRY_EVERY_MS = 1_000;
/** How often a silent connection is asked whether it is still there, and how long it may take. */
const BEAT_EVERY_MS = 2_000;
const BEAT_MS = 5_000;

/**
 * `default_transaction_read_only`: nothing is written but in a transaction that began as `begin read write`, so that a batch whose
 * beginning fails cannot leave half of itself behind, statement by statement.
 * The timeouts end the session, and free its lock, when its machine is gone (8 s), or its process stands still (10 s; a live one
 * beats every 2).
 */
const SESSION = `
  set search_path = parley; set synchronous_commit = on; set default_transaction_read_only = on;
  set statement_timeout = '20s'; set lock_timeout = '10s';
  set idle_session_timeout = '10s'; set idle_in_transaction_session_timeout = '10s';
  set tcp_keepalives_idle = 2; set tcp_keepalives_interval = 2; set tcp_keepalives_count = 3; set tcp_user_timeout = 8000;
`;

const { url, lock, port, answered } = workerData as ThreadData;
const INT8 = 20;
const client = new pg.Client({
  connectionString: url,
  application_name: 'parley coordinator',
  connectionTimeoutMillis: 10_000,
  keepAlive: true,
  pipeline: true, // a batch is one round trip
  // no number kept here is above 2^53
  types: { getTypeParser: (oid, format) => (oid === INT8 ? Number : pg.types.getTypeParser(oid, format)) },
});
const tell = (news: News): void => parentPort!.postMessage(news);
const lost = (error: unknown): void => tell({ type: 'lost', ...failure(error) });
client.on('error', lost);
lead().catch(lost);

async function lead(): Promise<void> {
  await client.connect();
  const { rows } = await client.query('select pg_backend_pid() as pid');
  // the lock would be the pooler's, and outlive us in its hands
  if (rows[0].pid !== (client as { processID?: number }).processID)
    throw new Error('there is a connection pooler in between; give the address of the server itself');
  await client.query(SESSION);
  if (lock === undefined) await client.query(PICTURE);
  else await holdLock(lock);
  let busy = 0;
  port.on('message', async (statements: readonly Statement[]) => {
    busy += 1;
    const answer = await run(statements).catch(failure);
    busy -= 1;
    port.postMessage(answer);
    Atomics.store(answered, 0, 1);
    Atomics.notify(answered, 0);
  });
  setInterval(() => void (busy === 0 && soon('select 1').catch(lost)), BEAT_EVERY_MS);
  tell({ type: 'leads' });
}

/** All that is read is of one moment, and nothing is written. */
const PICTURE = 'begin isolation level repeatable read read only';

async function holdLock(lock: string): Promise<void> {
  for (let told = false; ; told = true) {
    const { rows } = await soon(`select pg_try_advisory_lock(${BigInt(lock)}) as held`);
    if (rows[0].held) return;
    if (!told) tell({ type: 'stands-by' });
    await sleep(TRY_EVERY_MS);
  }
}

/** A query whose answer must come at once. */
const soon = (text: string): Promise<pg.QueryResult> =>
  client.query({ text, query_timeout: BEAT_MS } as pg.QueryConfig);

async function run(statements: readonly Statement[]): Promise<Answer> {
  const results = await Promise.allSettled(statements.map(query));
  // the first is the cause: those behind it fail because their transaction is over
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  const { value } = results.at(-1) as PromiseFulfilledResult<pg.QueryResult>;
  return { rows: value.rows, changes: value.rowCount ?? 0, command: value.command };
}

/** Statements with values are parsed once by the server, and known by their number from then on. */
const names = new Map<string, string>();
function query({ text, values }: Statement): Promise<pg.QueryResult> {
  if (values === undefined) return client.query(text);
  const name = names.get(text) ?? `parley-${names.size}`;
  names.set(text, name);
  return client.query({ name, text, values: [...values] });
}

/** No more than message and code: details may hold values. */
function failure(error: unknown): Failure {
  const { message, code } = error as { message?: string; code?: string };
  return { failed: message || String(code ?? error), ...(code === undefined ? {} : { code }) };
}
