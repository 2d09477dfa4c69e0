/**
 * The tables of `postgres.ts`, in a schema of their own. Texts are compared byte by byte, as everywhere in Parley,
 * whatever the database's language. Bytes are kept as they are (`external`): what was sealed does not compress.
 */
export const SCHEMA: readonly string[] = [
  'create schema if not exists parley',
  'create table meta (name text primary key, value text not null)',
  `create table task (
    seq bigint generated always as identity, id text primary key, plan text not null, signature bytea not null
  )`,
  `create table fact (
    seq bigint generated always as identity primary key, task text not null, fact text not null
  )`,
  'create index fact_by_task on fact (task, seq)',
  `create table body (
    task text not null, epoch bigint not null, round bigint not null, stage text not null,
    attempt bigint not null, tenant text collate "C" not null, body bytea not null,
    primary key (task, epoch, round, stage, attempt, tenant)
  )`,
  'alter table body alter column body set storage external',
  `create table part (
    task text not null, epoch bigint not null, round bigint not null, stage text not null,
    attempt bigint not null, tenant text not null, at bigint not null, bytes bytea not null,
    primary key (task, epoch, round, stage, attempt, tenant, at)
  )`,
  'alter table part alter column bytes set storage external',
  'create table ledger (seq bigint primary key, entry text not null)',
  'create table note (size bigint primary key, note text not null)',
  `create table invitation (
    seq bigint generated always as identity,
    code_hash text primary key, tenant text not null, expires_at bigint not null, used_at bigint
  )`,
  'create table tenant (name text collate "C" primary key, key text not null unique, enrolled_at bigint not null)',
  'create table notice (id text primary key, heard_at bigint not null)',
  `create table standing (
    tenant text collate "C" not null, pool text collate "C" not null, text text not null, primary key (tenant, pool)
  )`,
  `create table token (
    id text collate "C" primary key, secret_hash text not null, role text not null, holder text not null,
    created_at bigint not null, expires_at bigint not null, revoked_at bigint
  )`,
  'create table pending_act (id text collate "C" primary key, text text not null)',
  `create table sum (
    task text not null, round bigint not null, contributions bigint not null, model text not null,
    primary key (task, round)
  )`,
  // a sum, or parameters, may be 128 MB: in pieces of a few
  'create table piece (name text not null, at bigint not null, bytes bytea not null, primary key (name, at))',
  'alter table piece alter column bytes set storage external',
];

export const SCHEMA_VERSION = 1;

/** One coordinator at a time makes the tables, whichever federation it is of; the number has no meaning. */
export const SCHEMA_LOCK = 7_236_837_001;
