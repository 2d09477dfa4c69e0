import type { Schema } from '../../aggregation/sqlite-file.ts';
import type { Migration } from '../../aggregation/sqlite-migration.ts';

/**
 * The tables of `sqlite.ts`, version by version. A version that was released is never changed: what is new goes into
 * another one behind it, with the way back.
 */
const FIRST: Migration = {
  up: `
    create table task (id text primary key, plan text not null, signature blob not null) strict;
    create table fact (seq integer primary key autoincrement, task text not null, fact text not null) strict;
    create index fact_by_task on fact (task, seq);
    create table body (
      task text not null, epoch integer not null, round integer not null, stage text not null,
      attempt integer not null, tenant text not null, body blob not null,
      primary key (task, epoch, round, stage, attempt, tenant)
    ) strict, without rowid;
    create table part (
      task text not null, epoch integer not null, round integer not null, stage text not null,
      attempt integer not null, tenant text not null, at integer not null, bytes blob not null,
      primary key (task, epoch, round, stage, attempt, tenant, at)
    ) strict;
    create table ledger (seq integer primary key, entry text not null) strict;
    create table note (size integer primary key, note text not null) strict;
    create table invitation (
      code_hash text primary key, tenant text not null, expires_at integer not null, used_at integer
    ) strict;
    create table tenant (name text primary key, key text not null unique, enrolled_at integer not null) strict;
    create table notice (id text primary key, heard_at integer not null) strict;
    create table standing (
      tenant text not null, pool text not null, text text not null, primary key (tenant, pool)
    ) strict, without rowid;
    create table sum (
      task text not null, round integer not null, sum blob not null, contributions integer not null, model text not null,
      primary key (task, round)
    ) strict, without rowid;
    create table parameters (hash text primary key, bytes blob not null) strict;
  `,
  down: '',
};

/** Whose federation it is, tokens, what waits for approval; checksums. */
const SECOND: Migration = {
  up: `
    create table if not exists meta (name text primary key, value text not null) strict;
    create table if not exists token (
      id text primary key, secret_hash text not null, role text not null, holder text not null,
      created_at integer not null, expires_at integer not null, revoked_at integer
    ) strict;
    create table if not exists pending_act (id text primary key, text text not null) strict;
    alter table fact add column crc integer not null default 0;
    update fact set crc = crc32(fact);
    alter table body add column crc integer not null default 0;
    update body set crc = crc32(body);
    alter table part add column crc integer not null default 0;
    update part set crc = crc32(bytes);
    alter table sum add column crc integer not null default 0;
    update sum set crc = crc32(sum);
    alter table parameters add column crc integer not null default 0;
    update parameters set crc = crc32(bytes);
  `,
  down: `
    drop table meta;
    drop table token;
    drop table pending_act;
    alter table fact drop column crc;
    alter table body drop column crc;
    alter table part drop column crc;
    alter table sum drop column crc;
    alter table parameters drop column crc;
  `,
  loses: [
    {
      what: 'tokens besides the operator’s own (revoke them: parley token revoke)',
      count: 'select max(count(*) - 1, 0) as count from token where revoked_at is null',
    },
    { what: 'acts that wait for approval (reject them)', count: 'select count(*) as count from pending_act' },
    {
      what: 'ledger entries about approvals',
      count: `select count(*) as count from ledger where entry like '%"kind":"approv%'`,
    },
    {
      what: 'tasks that were ended by a restore',
      count: `select count(*) as count from fact where fact like '{"type":"restored"%'`,
    },
  ],
};

const PLACE = "task || ' epoch ' || epoch || ' round ' || round || ' ' || stage || ' ' || attempt || ' ' || tenant";

export const SQLITE_SCHEMA: Schema = {
  migrations: [FIRST, SECOND],
  checked: [
    { table: 'fact', column: 'fact', row: "seq || ' (task ' || task || ')'" },
    { table: 'body', column: 'body', row: PLACE },
    { table: 'part', column: 'bytes', row: `${PLACE} || ' byte ' || at` },
    { table: 'sum', column: 'sum', row: "task || ' round ' || round" },
    { table: 'parameters', column: 'bytes', row: 'hash' },
  ],
  wayOut: 'Restore from a backup: parley coordinator restore BACKUP --folder NEW',
  migrate: 'parley coordinator migrate --folder FOLDER',
};
