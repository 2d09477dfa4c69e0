/** The tables of `sqlite-event-store.ts`, as SQLite has them. */
export const SCHEMA = `
  create table if not exists meta (name text primary key, value text not null) strict;
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
  create table if not exists token (
    id text primary key, secret_hash text not null, role text not null, holder text not null,
    created_at integer not null, expires_at integer not null, revoked_at integer
  ) strict;
  create table if not exists pending_act (id text primary key, text text not null) strict;
  create table if not exists parameters (hash text primary key, bytes blob not null) strict;
`;
