import type { Schema } from '../aggregation/sqlite-file.ts';
import type { Migration } from '../aggregation/sqlite-migration.ts';

/** The tables of `client-store.ts`, version by version. A version that was released is never changed. */
const FIRST: Migration = {
  up: `
    create table if not exists kept (name text primary key, value text not null) strict;
    create table if not exists ledger (
      seq integer primary key, task text not null, round integer, kind text not null, entry text not null
    ) strict;
    create index if not exists ledger_by_round on ledger (task, round, kind);
    create table if not exists task (id text primary key, plan text not null, data text not null) strict;
    create table if not exists round (
      task text not null, round integer not null, answered text not null, primary key (task, round)
    ) strict, without rowid;
  `,
  down: '',
};

/** Checksums: a changed digit of a budget would be believed. */
const SECOND: Migration = {
  up: `
    alter table kept add column crc integer not null default 0;
    update kept set crc = crc32(value);
    alter table ledger add column crc integer not null default 0;
    update ledger set crc = crc32(entry);
    alter table task add column crc integer not null default 0;
    update task set crc = crc32(plan || data);
    alter table round add column crc integer not null default 0;
    update round set crc = crc32(answered);
  `,
  down: `
    alter table kept drop column crc;
    alter table ledger drop column crc;
    alter table task drop column crc;
    alter table round drop column crc;
  `,
};

export const CLIENT_SCHEMA: Schema = {
  migrations: [FIRST, SECOND],
  checked: [
    { table: 'kept', column: 'value', row: 'name' },
    { table: 'ledger', column: 'entry', row: 'seq' },
    { table: 'task', column: 'plan || data', row: 'id' },
    { table: 'round', column: 'answered', row: "round || ' of task ' || task" },
  ],
  wayOut:
    'If you have no newer copy of the folder than this, move the file away and count the budget again: parley client restore-budget',
  migrate: 'parley client migrate --folder FOLDER',
};
