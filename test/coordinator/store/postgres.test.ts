import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { Worker } from 'node:worker_threads';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type CommandError, EXIT, isStorageError } from '../../../aggregation/exit.ts';
import type { EventStore } from '../../../coordinator/store/event-store.ts';
import { openPostgresStore } from '../../../coordinator/store/postgres.ts';
import {
  connectPostgres,
  type PostgresOptions,
  withoutPassword,
} from '../../../coordinator/store/postgres-connection.ts';
import { SCHEMA_LOCK, SCHEMA_VERSION } from '../../../coordinator/store/postgres-schema.ts';
import { transactionsOn } from '../../../coordinator/store/postgres-transaction.ts';
import type { TaskFact } from '../../../coordinator/task.ts';
import { eventStoreContract } from '../../contracts/event-store.contract.ts';
import { startPostgres } from '../../support/postgres.ts';

const server = await startPostgres();
if (typeof server === 'string') console.warn(`PostgreSQL is not tested: ${server}`);
const postgres = server as Exclude<typeof server, string>;

const FEDERATION = 'ab'.repeat(32);
const fact = (at: number): TaskFact => ({ type: 'waiting', at });
const unexpected = (error: Error): void => {
  throw error;
};
const closedAfterwards = <T extends { close(): void }>(one: T): T => {
  onTestFinished(() => {
    try {
      one.close();
    } catch {
      // lost by the test
    }
  });
  return one;
};
const open = async (url: string, options: Partial<PostgresOptions> = {}): Promise<EventStore> =>
  closedAfterwards(await openPostgresStore({ url, federation: FEDERATION, onLost: unexpected, ...options }));
const connected = async (url: string, onLost: (error: CommandError) => void = unexpected) =>
  closedAfterwards(await connectPostgres({ url, federation: FEDERATION, onLost }));
const caught = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
};

describe.skipIf(typeof server === 'string')('in PostgreSQL', () => {
  let url: string;
  beforeAll(async () => {
    url = await postgres.newDatabase();
  });
  eventStoreContract(async () => {
    await postgres.query(url, 'drop schema if exists parley cascade');
    return { open: () => openPostgresStore({ url, federation: FEDERATION, onLost: unexpected }) };
  });

  describe('a transaction', () => {
    test('costs one round trip, however much it writes; one more when it reads', async () => {
      const connection = await connected(await postgres.newDatabase());
      const run = vi.fn(connection.run);
      const sql = transactionsOn({ ...connection, isLost: false, run });
      sql.run(() => {
        sql.write('create schema parley');
        sql.write('create table number (value bigint not null)');
        for (let i = 0; i < 100; i++) sql.write('insert into number values ($1)', i);
      });
      expect(run).toHaveBeenCalledTimes(1);
      sql.run(() => {
        sql.write('insert into number values ($1)', 100);
        expect(sql.read('select count(*) as count from number')).toEqual([{ count: 101 }]);
        sql.write('insert into number values ($1)', 101);
      });
      expect(run).toHaveBeenCalledTimes(3);
    });

    test('sends on what is long before it ends, and is still one', async () => {
      const url = await postgres.newDatabase();
      const connection = await connected(url);
      const run = vi.fn(connection.run);
      const sql = transactionsOn({ ...connection, isLost: false, run });
      sql.run(() => {
        sql.write('create schema parley');
        sql.write('create table long (bytes bytea not null)');
      });
      const much = (): void => {
        for (let i = 0; i < 5; i++) sql.write('insert into long values ($1)', new Uint8Array(4 * 2 ** 20).fill(i));
      };
      const abandoned = (): void =>
        sql.run(() => {
          much();
          throw new Error('no');
        });
      expect(abandoned).toThrow('no');
      expect(sql.read('select count(*) as count from long')).toEqual([{ count: 0 }]);
      run.mockClear();
      sql.run(much);
      expect(run).toHaveBeenCalledTimes(2);
      expect(sql.read('select sum(length(bytes)) as bytes from long')).toEqual([{ bytes: 20 * 2 ** 20 }]);
    });

    test('whose work went on after a refusal is undone, and says so', async () => {
      const store = await open(await postgres.newDatabase());
      store.commit(() => store.addLedgerEntry(0, 'entry'));
      const swallow = (): void =>
        store.commit(() => {
          store.addFact('task', fact(1));
          store.addLedgerEntry(0, 'another');
          expect(() => store.facts('task')).toThrow(/unique/);
        });
      expect(swallow).toThrow('a statement of this transaction failed before');
      expect(store.facts('task')).toEqual([]);
      store.commit(() => store.addFact('task', fact(2)));
      expect(store.facts('task')).toEqual([fact(2)]);
    });

    test('is the only place to write: what comes without its beginning is refused', async () => {
      const url = await postgres.newDatabase();
      await open(url).then((store) => store.close());
      const connection = await connected(url, () => {});
      const write = { text: "insert into fact (task, fact) values ('task', '{}')" };
      // as a batch whose "begin" was cancelled
      expect(caught(() => connection.run([write, { text: 'commit' }]))).toSatisfy(isStorageError);
      expect(await postgres.query(url, 'select * from parley.fact')).toEqual([]);
    });

    test('that may be taken back by a crash of the server says so to it, that transaction alone', async () => {
      const url = await postgres.newDatabase();
      const sql = transactionsOn(await connected(url));
      const durable = (): unknown => sql.read('show synchronous_commit')[0]!['synchronous_commit'];
      expect([sql.run(durable), sql.run(durable, true), sql.run(durable)]).toEqual(['on', 'off', 'on']);
    });
  });

  describe('the lock', () => {
    test('lets one lead; the next one waits, and then sees all that was written', async () => {
      const url = await postgres.newDatabase();
      const first = await open(url);
      const waits = Promise.withResolvers<void>();
      const second = open(url, { onStandby: waits.resolve });
      await waits.promise;
      first.commit(() => first.addFact('task', fact(1)));
      first.close();
      expect((await second).facts('task')).toEqual([fact(1)]);
    });

    test('is lost, and that is found out, when a network swallows everything', async () => {
      const url = await postgres.newDatabase();
      const network = await between(Number(new URL(url).port));
      const lost = Promise.withResolvers<CommandError>();
      const connection = await connected(through(network, url), lost.resolve);
      network.swallow();
      expect(await lost.promise).toMatchObject({ code: EXIT.storage });
      expect(isStorageError(caught(() => connection.run([{ text: 'select 1' }])))).toBe(true);
      // the server has found out too
      expect((await open(url)).facts('task')).toEqual([]);
    });

    test('is waited for until told to stop', async () => {
      const url = await postgres.newDatabase();
      const leader = await open(url);
      const stop = new AbortController();
      const waits = open(url, { signal: stop.signal, onStandby: () => stop.abort(new Error('told to stop')) });
      await expect(waits).rejects.toThrow('told to stop');
      leader.commit(() => leader.addFact('task', fact(1)));
    });

    test('goes with the connection: who lost it writes no more, and never again', async () => {
      const url = await postgres.newDatabase();
      const lost = Promise.withResolvers<CommandError>();
      const first = await open(url, { onLost: lost.resolve });
      first.commit(() => first.addFact('task', fact(1)));
      const waits = Promise.withResolvers<void>();
      const second = open(url, { onStandby: waits.resolve });
      await waits.promise;
      await postgres.query(
        url,
        `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted`,
      );
      // told without being asked
      expect(await lost.promise).toMatchObject({ code: EXIT.storage });
      const leader = await second;
      expect(isStorageError(caught(() => first.commit(() => first.addFact('task', fact(2)))))).toBe(true);
      expect(isStorageError(caught(() => first.facts('task')))).toBe(true);
      leader.commit(() => leader.addFact('task', fact(3)));
      expect(leader.facts('task')).toEqual([fact(1), fact(3)]);
    });

    test('lost in the middle of a commit leaves nothing of it', async () => {
      const url = await postgres.newDatabase();
      const onLost = vi.fn();
      const store = await open(url, { onLost });
      const [{ pid } = { pid: 0 }] = await postgres.query(
        url,
        `select pid from pg_stat_activity where datname = current_database() and application_name = 'parley coordinator'`,
      );
      const other = await connected(await postgres.newDatabase());
      const broken = caught(() =>
        store.commit(() => {
          store.addFact('task', fact(1));
          expect(store.facts('task')).toEqual([fact(1)]);
          // a second session, asked while this thread stands still too
          other.run([{ text: 'select pg_terminate_backend($1, 10000)', values: [pid as number] }]);
          store.addFact('task', fact(2));
        }),
      );
      expect(isStorageError(broken)).toBe(true);
      expect(onLost).toHaveBeenCalledTimes(1);
      expect((await open(url)).facts('task')).toEqual([]);
    });

    test('does not keep coordinators of several federations from starting at once: tables are made once, and one claims them', async () => {
      const url = await postgres.newDatabase();
      // all are held where the tables are made, and let go together
      await postgres.query(url, 'select pg_advisory_lock($1)', [SCHEMA_LOCK]);
      const program = new URL('../../support/postgres-opener.ts', import.meta.url);
      const outcomes = ['01', '02', '03'].map(async (byte) => {
        const thread = new Worker(program, { workerData: { url, federation: byte.repeat(32) } });
        const [[outcome]] = await Promise.all([once(thread, 'message'), once(thread, 'exit')]);
        return outcome as string;
      });
      const waiting = "select 1 from pg_locks where locktype = 'advisory' and not granted";
      await vi.waitUntil(async () => (await postgres.query(url, waiting)).length === 3, { timeout: 20_000 });
      await postgres.query(url, 'select pg_advisory_unlock($1)', [SCHEMA_LOCK]);
      const [claimed, ...refused] = (await Promise.all(outcomes)).sort((a, b) => a.length - b.length);
      expect(claimed).toBe('claimed');
      for (const message of refused) expect(message).toContain('belongs to another federation');
      expect(await postgres.query(url, "select value from parley.meta where name = 'schema'")).toEqual([
        { value: String(SCHEMA_VERSION) },
      ]);
    });
  });

  describe('is not opened', () => {
    test('when a newer Parley wrote it; the lock is free then', async () => {
      const url = await postgres.newDatabase();
      await open(url).then((store) => store.close());
      await postgres.query(url, "update parley.meta set value = '99' where name = 'schema'");
      await expect(open(url)).rejects.toMatchObject({
        code: EXIT.refused,
        message: expect.stringContaining('was written by a newer Parley (schema 99'),
      });
      await postgres.query(url, "update parley.meta set value = '1' where name = 'schema'");
      await open(url);
    });

    test('with a wrong password, or where nobody is; neither message holds the password', async () => {
      const wrong = new URL(await postgres.newDatabase());
      wrong.password = 'sesame';
      wrong.username = 'stranger'; // a server may trust whoever it knows
      const nobody = new URL(wrong);
      nobody.port = '9';
      for (const [url, why] of [
        [wrong, /password authentication failed|"stranger" does not exist/],
        [nobody, /ECONNREFUSED/],
      ] as const) {
        const error = await open(url.href).catch((failure: Error) => failure);
        expect(error).toMatchObject({ code: EXIT.storage, message: expect.stringMatching(why) });
        expect(String(error)).not.toContain('sesame');
      }
    });

    test('through a connection pooler, which would keep the lock', async () => {
      const url = await postgres.newDatabase();
      const pooler = await between(Number(new URL(url).port), otherSession);
      await expect(open(through(pooler, url))).rejects.toThrow('there is a connection pooler in between');
    });
  });

  test('frees the lock of a process that stands still, and of a machine that is gone, within seconds', async () => {
    const connection = await connected(await postgres.newDatabase());
    const setting = (name: string): unknown => Object.values(connection.run([{ text: `show ${name}` }]).rows[0]!)[0];
    expect(['idle_session_timeout', 'idle_in_transaction_session_timeout'].map(setting)).toEqual(['10s', '10s']);
    expect(['statement_timeout', 'lock_timeout'].map(setting)).toEqual(['20s', '10s']);
    const keepalives = ['idle', 'interval', 'count'].map((name) => Number(setting(`tcp_keepalives_${name}`)));
    expect(keepalives).toEqual([2, 2, 3]);
    expect(setting('tcp_user_timeout')).toBe('8000');
  });
});

test.each([
  ['postgres://parley:sesame@db.example:5433/parley?sslmode=verify-full&password=open', 'db.example:5433/parley'],
  ['postgresql://db.example/parley', 'db.example/parley'],
])('an address is shown without what opens it', (url, shown) => {
  expect(withoutPassword(url)).toBe(`postgres://${shown}`);
});

test.each(['sesame', 'mysql://parley:sesame@db/parley', 'postgres:// sesame'])(
  'what is no address is not repeated',
  (url) => {
    const error = caught(() => withoutPassword(url));
    expect(error).toMatchObject({ code: EXIT.usage, message: expect.stringContaining('postgres://user@host') });
    expect(String(error)).not.toContain('sesame');
  },
);

test.each([
  'postgres://db.example/parley',
  'postgres://parley:sesame@10.0.0.1:5432/parley',
  'postgres://[2001:db8::1]/parley',
])('a database elsewhere is not spoken to in plaintext by mistake: %s', async (url) => {
  const options = { url, federation: FEDERATION, onLost: unexpected };
  const error = await connectPostgres(options).catch((refused: unknown) => refused);
  expect(error).toMatchObject({ code: EXIT.usage, message: expect.stringContaining('sslmode=verify-full') });
  expect(String(error)).not.toContain('sesame');
});

test.each([
  'postgres://127.0.0.1:9/parley',
  'postgres://localhost:9/parley?sslmode=disable',
  'postgres://%2Fnowhere/parley',
])('on this machine, or when it is said, it is: %s', async (url) => {
  const options = { url, federation: FEDERATION, onLost: unexpected };
  await expect(connectPostgres(options)).rejects.toMatchObject({ code: EXIT.storage });
});

interface Between {
  readonly server: Server;
  /** From now on nothing arrives, and nobody is told. */
  swallow(): void;
}

/** Stands before a server. @param change - what it does to what the server says */
async function between(port: number, change: (data: Buffer) => void = () => {}): Promise<Between> {
  let swallows = false;
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    client.on('data', (data) => swallows || upstream.write(data));
    upstream.on('data', (data) => {
      change(data);
      if (!swallows) client.write(data);
    });
    for (const one of [client, upstream]) one.on('error', () => {});
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => swallows || client.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const swallow = (): void => {
    swallows = true;
  };
  return { server, swallow };
}

/** A pooler's mark: the number of the session that it tells is one of its own. */
function otherSession(data: Buffer): void {
  // BackendKeyData: 'K', length 12, process id, secret; in protocol 3.2 the secret is longer
  const at = data.indexOf(Buffer.from([0x4b, 0, 0, 0, 12]));
  if (at >= 0) data.writeInt32BE(7, at + 5);
}

/** The same database, by way of another port. */
function through({ server }: Between, url: string): string {
  const other = new URL(url);
  other.port = String((server.address() as AddressInfo).port);
  return other.href;
}
