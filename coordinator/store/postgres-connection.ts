import { extname } from 'node:path';
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { isLoopback } from '../../aggregation/address.ts';
import { CommandError, EXIT } from '../../aggregation/exit.ts';
import type { Answer, Failure, News, Statement, ThreadData } from './postgres-thread.ts';

/**
 * One connection to PostgreSQL, asked and answered while the coordinator stands still.
 *
 *   coordinator ──statements──▶ postgres-thread ──one round trip──▶ PostgreSQL
 *        │ Atomics.wait               │
 *        ◀────────────answer──────────┘
 *
 * Why it waits: the coordinator's one rule is that a fact is on disk before the state moves and anyone is told. Were `commit` a
 * promise, every message, tick and request could come in between, and each place that decides would need a lock of its own.
 * SQLite stops the thread for an fsync just the same. What it costs is a round trip for each commit, during which nobody is answered.
 *
 * Why it may write: an advisory lock of the session that writes says who leads. A session that ended holds no lock and writes
 * nothing more, and the server frees the lock only after the session's last transaction is over. Whoever has the lock therefore
 * sees all that was ever written, and nothing is added behind its back: no fencing token is needed. Hence one connection, never
 * taken up again: when it is lost, or anything but a constraint fails on it, it is over for this process.
 */
export interface PostgresConnection {
  /** Sends statements together. @returns what the last one came to @throws CommandError with the code for storage; then it is over */
  run(statements: readonly Statement[]): Exclude<Answer, Failure>;
  readonly isLost: boolean;
  /** Ends the connection; the server frees the lock when it sees that. */
  close(): void;
}

export interface PostgresOptions {
  /** postgres://user:password@host:port/database?sslmode=verify-full */
  readonly url: string;
  /** the federation's hash, hexadecimal */
  readonly federation: string;
  /** a picture of the database as it is now, whoever leads: nothing can be written */
  readonly readOnly?: boolean | undefined;
  /** stops waiting for the lock */
  readonly signal?: AbortSignal | undefined;
  /** somebody else leads; called once at most */
  readonly onStandby?: (() => void) | undefined;
  /** the connection is gone and so is the lock; called once at most, and not while it is being opened */
  readonly onLost: (error: CommandError) => void;
}

/** Above the server's own limit of 20 s for a statement. */
const ANSWER_MS = 30_000;

/** Resolves when this process leads the federation. @throws CommandError with the code for storage when there is no server to lead on */
export async function connectPostgres(options: PostgresOptions): Promise<PostgresConnection> {
  const where = withoutPassword(options.url);
  refuseUnencrypted(options.url);
  const { port1: port, port2 } = new MessageChannel();
  const answered = new Int32Array(new SharedArrayBuffer(4));
  const lock = options.readOnly ? undefined : lockOf(options.federation);
  const workerData: ThreadData = { url: options.url, lock, port: port2, answered };
  // next to this file, as source and as build
  const program = new URL(`./postgres-thread${extname(import.meta.url)}`, import.meta.url);
  const thread = new Worker(program, { name: 'postgres', workerData, transferList: [port2] });
  let broken: CommandError | undefined;
  let leads = false;

  const end = (): void => {
    port.close();
    void thread.terminate();
  };
  const lose = (reason: string): CommandError => {
    if (broken !== undefined) return broken;
    broken = new CommandError(EXIT.storage, `${where}: ${reason}`);
    end(); // at once: nothing more must reach the server
    if (leads) options.onLost(broken);
    return broken;
  };

  const connection: PostgresConnection = {
    get isLost() {
      return broken !== undefined;
    },
    run(statements) {
      if (broken !== undefined) throw broken;
      Atomics.store(answered, 0, 0);
      port.postMessage(statements, bytesIn(statements));
      if (Atomics.wait(answered, 0, 0, ANSWER_MS) === 'timed-out')
        throw lose(`no answer for ${ANSWER_MS / 1000} seconds`);
      const { message } = receiveMessageOnPort(port) as { message: Answer };
      if (!('failed' in message)) return message;
      throw isRefusal(message) ? new Error(`${where}: ${message.failed}`) : lose(message.failed);
    },
    close() {
      if (broken !== undefined) return;
      broken = new CommandError(EXIT.storage, `${where}: closed`);
      end();
    },
  };

  return new Promise((resolve, reject) => {
    const abort = (): void => {
      end();
      reject(options.signal?.reason as Error);
    };
    options.signal?.addEventListener('abort', abort, { once: true });
    const gone = (reason: string): void => {
      options.signal?.removeEventListener('abort', abort);
      reject(lose(reason));
    };
    thread.on('error', ({ message }: Error) => gone(message));
    thread.on('exit', () => gone('the thread that speaks to it ended'));
    thread.on('message', (news: News) => {
      if (news.type === 'lost') return gone(news.failed);
      if (news.type === 'stands-by') return options.onStandby?.();
      options.signal?.removeEventListener('abort', abort);
      leads = true;
      return resolve(connection);
    });
  });
}

/** Host, port and database: what may be shown. @throws CommandError for what is no address; the text itself is not repeated */
export function withoutPassword(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^postgres(ql)?:$/.test(parsed.protocol))
    throw new CommandError(EXIT.usage, 'the store is not an address such as postgres://user@host:5432/database');
  return `postgres://${parsed.host}${parsed.pathname}`;
}

/**
 * Facts and the password are for nobody on the way. What `pg` does without `sslmode` is plaintext; whoever wants that, on a network
 * that is closed, says so.
 * @throws CommandError naming the ways out
 */
function refuseUnencrypted(url: string): void {
  const { hostname, searchParams } = new URL(url);
  // no host, or the path of a socket (`%2Frun…`): this machine
  const isHere = hostname === '' || hostname.toLowerCase().startsWith('%2f') || isLoopback(hostname);
  if (isHere || searchParams.has('sslmode') || process.env['PGSSLMODE'] !== undefined) return;
  throw new CommandError(
    EXIT.usage,
    `${withoutPassword(url)} would be spoken to in plaintext: add ?sslmode=verify-full; or, on a network that is closed, ?sslmode=disable`,
  );
}

/** Advisory locks are numbers of 64 bits, one set for each database. */
const lockOf = (federation: string): string => BigInt.asIntN(64, BigInt(`0x${federation.slice(0, 16)}`)).toString();

/** A value or a row that does not fit (SQLSTATE classes 22 and 23): the transaction is undone and the connection is sound. */
const isRefusal = ({ code }: Failure): boolean => /^2[23]/.test(code ?? '');

const bytesIn = (statements: readonly Statement[]): ArrayBuffer[] =>
  statements.flatMap(({ values = [] }) =>
    values.flatMap((value) => (value instanceof Uint8Array ? [value.buffer as ArrayBuffer] : [])),
  );
