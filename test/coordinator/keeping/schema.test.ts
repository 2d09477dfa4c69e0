import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { migrateFile, openSqliteFile, type Schema } from '../../../aggregation/sqlite-file.ts';
import type { Migration } from '../../../aggregation/sqlite-migration.ts';
import { CLIENT_SCHEMA } from '../../../client/client-schema.ts';
import { openClientStore } from '../../../client/client-store.ts';
import { openSqliteStore } from '../../../coordinator/store/sqlite.ts';
import { SQLITE_SCHEMA } from '../../../coordinator/store/sqlite-schema.ts';
import { temporaryFolder } from '../../support/folder.ts';

/** What released versions wrote, word for word: never to be changed. */
const VERSION_1 = `
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
  pragma user_version = 1;
`;
const CONTENT_1 = `
  insert into task values ('t', '{}', x'01');
  insert into fact (task, fact) values ('t', '{"type":"waiting","at":1}'), ('t', '{"type":"waiting","at":2}');
  insert into body values ('t', 1, 1, 'ready', 1, 'amber', x'0203');
  insert into part values ('t', 1, 1, 'ready', 1, 'amber', 0, x'04'), ('t', 1, 1, 'ready', 1, 'amber', 1, x'');
  insert into ledger values (0, 'first'), (1, 'second');
  insert into note values (2, 'note');
  insert into invitation values ('h', 'amber', 5, null);
  insert into tenant values ('amber', 'ab', 7);
  insert into notice values ('n', 8);
  insert into standing values ('amber', 'training', '{}');
  insert into sum values ('t', 1, x'05', 4, 'm');
  insert into parameters values ('m', x'06');
`;

const CLIENT_VERSION_1 = `
  pragma user_version = 1;
  create table if not exists kept (name text primary key, value text not null) strict;
  create table if not exists ledger (
    seq integer primary key, task text not null, round integer, kind text not null, entry text not null
  ) strict;
  create index if not exists ledger_by_round on ledger (task, round, kind);
  create table if not exists task (id text primary key, plan text not null, data text not null) strict;
  create table if not exists round (
    task text not null, round integer not null, answered text not null, primary key (task, round)
  ) strict, without rowid;
`;
const CLIENT_CONTENT_1 = `
  insert into kept values ('pin', 'ä value');
  insert into ledger values (0, 't', null, 'plan', '{"entry":0}'), (1, 't', 3, 'charge', '{"entry":1}');
  insert into task values ('t', '{"plan":1}', 'data');
  insert into round values ('t', 3, '{"cohort":"c","sumHash":"","openerSets":[]}');
`;

interface Kind {
  readonly schema: typeof SQLITE_SCHEMA;
  readonly text: string;
  readonly content: string;
  open(file: string): { close(): void };
}
const KINDS: [string, Kind][] = [
  ['a coordinator', { schema: SQLITE_SCHEMA, text: VERSION_1, content: CONTENT_1, open: openSqliteStore }],
  ['a client', { schema: CLIENT_SCHEMA, text: CLIENT_VERSION_1, content: CLIENT_CONTENT_1, open: openClientStore }],
];

/** Tables, indexes and rows, as SQLite has them; and the version. */
function dump(file: string): unknown {
  const db = new DatabaseSync(file);
  try {
    const named = db.prepare("select name from sqlite_master where name not like 'sqlite_%' order by name").all();
    const tables = db.prepare("select name from sqlite_master where type = 'table' order by name").all();
    const columns = tables.map(({ name }) => db.prepare(`pragma table_xinfo(${name})`).all());
    const rows = tables.map(({ name }) => db.prepare(`select * from ${name}`).all());
    return { named, columns, rows, version: db.prepare('pragma user_version').get() };
  } finally {
    db.close();
  }
}

function firstVersion({ text, content }: Kind): string {
  const file = join(temporaryFolder(), 'store.db');
  const db = new DatabaseSync(file);
  db.exec(text);
  db.exec(content);
  db.close();
  return file;
}

const RESTORED = '{"type":"restored","charges":1,"rounds":1}';
const options = { inUse: 'is in use' };

test.each(KINDS)('%s takes a file of version 1 to the newest, and back, and loses nothing', (_, kind) => {
  const file = firstVersion(kind);
  const newest = kind.schema.migrations.length;
  const first = dump(file);
  kind.open(file).close();
  const now = dump(file);
  expect(now).toMatchObject({ version: { user_version: newest } });

  const copies = readdirSync(join(file, '..')).filter((name) => name.startsWith('store.db.v1-'));
  expect(copies).toHaveLength(1);
  expect(dump(join(file, '..', copies[0]!))).toEqual(first);

  expect(migrateFile(file, kind.schema, 1, options)).toMatchObject({ from: newest, to: 1 });
  expect(dump(file)).toEqual(first);
  expect(migrateFile(file, kind.schema, 1, options)).toBeUndefined();
  migrateFile(file, kind.schema, newest, options);
  expect(dump(file)).toEqual(now);
  kind.open(file).close();
});

test.each(KINDS)('%s whose file is new has the tables of one that was brought there', (_, kind) => {
  const old = firstVersion({ ...kind, content: '' });
  kind.open(old).close();
  const file = join(temporaryFolder(), 'new.db');
  kind.open(file).close();
  expect(dump(file)).toEqual(dump(old));
});

test.each([
  [
    'tokens',
    "insert into token values ('a', 'h', 'operator', 'one', 1, 2, null), ('b', 'h', 'auditor', 'two', 1, 2, null)",
    '1 tokens besides the operator’s own',
  ],
  ['acts that wait', "insert into pending_act values ('a', '{}')", '1 acts that wait for approval'],
  [
    'a rule of approvals',
    `insert into ledger values (2, '{"kind":"approval-rule"}')`,
    '1 ledger entries about approvals',
  ],
  [
    'a task that a restore ended',
    `insert into fact (task, fact, crc) values ('t', '${RESTORED}', ${crc32(RESTORED)})`,
    '1 tasks that were ended by a restore',
  ],
])('going down is refused where it would lose %s, and changes nothing', (_, sql, lost) => {
  const file = firstVersion(KINDS[0]![1]);
  openSqliteStore(file).close();
  const db = new DatabaseSync(file);
  db.exec(sql);
  db.close();
  const before = dump(file);
  expect(() => migrateFile(file, SQLITE_SCHEMA, 1, options)).toThrow(
    expect.objectContaining({ code: 4, message: expect.stringContaining(`schema 1 has no place for ${lost}`) }),
  );
  expect(dump(file)).toEqual(before);
});

const FINE: Migration = { up: 'create table fine (id)', down: 'drop table fine' };
const FAILS = 'create table task (id)';

test.each([
  [
    'when it is opened',
    1,
    [FINE, { up: FAILS, down: '' }],
    (file: string, to: Schema) => openSqliteFile(file, to, options),
  ],
  ['upward', 1, [FINE, { up: FAILS, down: '' }], (file: string, to: Schema) => migrateFile(file, to, 4, options)],
  ['downward', 4, [{ up: '', down: FAILS }, FINE], (file: string, to: Schema) => migrateFile(file, to, 2, options)],
])('a file that cannot be migrated %s is as it was, and no copy is left', (_, version, more, migrate) => {
  const file = firstVersion(KINDS[0]![1]);
  const schema = { ...SQLITE_SCHEMA, migrations: [...SQLITE_SCHEMA.migrations, ...more] };
  if (version > 1) openSqliteFile(file, schema, options).close();
  const [before, beside] = [dump(file), readdirSync(join(file, '..'))];
  expect(before).toMatchObject({ version: { user_version: version } });
  expect(() => migrate(file, schema)).toThrow('already exists');
  expect(dump(file)).toEqual(before);
  expect(readdirSync(join(file, '..'))).toEqual(beside);
});

test('there is no version that was never made', () => {
  const file = firstVersion(KINDS[0]![1]);
  for (const to of [0, 99])
    expect(() => migrateFile(file, SQLITE_SCHEMA, to, options)).toThrow(`there is no schema ${to}`);
  expect(() => migrateFile(`${file}x`, SQLITE_SCHEMA, 1, options)).toThrow('is not there');
});
