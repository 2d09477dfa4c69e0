import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { federationOf } from '../../../aggregation/federation.ts';
import { keysIn } from '../../../aggregation/folder-keys.ts';
import type { Identity } from '../../../aggregation/identity.ts';
import { exportOf } from '../../../client/own-ledger-command.ts';
import { openCoordinator } from '../../../coordinator/coordinator.ts';
import type { CoordinatorEvent } from '../../../coordinator/coordinator-event.ts';
import { type Manifest, writeBackup } from '../../../coordinator/keeping/backup.ts';
import { checkStore } from '../../../coordinator/keeping/check.ts';
import { copyStore } from '../../../coordinator/keeping/copy-store.ts';
import type { LedgerCopy } from '../../../coordinator/keeping/later-entries.ts';
import { type Restored, restoreBackup } from '../../../coordinator/keeping/restore.ts';
import type { EventStore } from '../../../coordinator/store/event-store.ts';
import { openPostgresStore } from '../../../coordinator/store/postgres.ts';
import { openSqliteStore } from '../../../coordinator/store/sqlite.ts';
import { startBackend } from '../../../models/backend.ts';
import type { LedgerEntry } from '../../../privacy/ledger.ts';
import { enrol, type Life, startLife, type Tenants, tenantsFor } from '../../support/federation-on-disk.ts';
import { startPostgres } from '../../support/postgres.ts';
import { FIVE, smallTask } from '../../support/small-task.ts';

const server = await startPostgres();

/*
 * One federation that is backed up while it works, works on, and loses everything but its backup and what its tenants have.
 */
let folder: string;
let identity: Identity;
let federation: string;
let tenants: Tenants;
let manifest: Manifest;
let copies: LedgerCopy[];
/** ended before the backup; running then; begun later */
let [done, running, later] = ['', '', ''];
const place = (name: string): string => join(folder, name);

const ledgerOf = (store: EventStore): LedgerEntry[] => store.ledger(0).map((text) => JSON.parse(text) as LedgerEntry);
const chargesOf = (entries: readonly LedgerEntry[], task: string): number =>
  entries.filter((entry) => entry.task === task && entry.kind === 'charge').length;
const told = (type: string, task: string): number =>
  new Set(
    tenants.events.flatMap((event) =>
      event.type === type && 'task' in event && event.task === task ? [event.tenant] : [],
    ),
  ).size;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-keeping-'));
  const hub = place('hub');
  identity = keysIn(hub).identity;
  federation = federationOf(identity.publicKey);
  tenants = tenantsFor(identity.publicKey, await startBackend('cpu'), FIVE);
  const life = await startLife(join(hub, 'events.db'), identity);
  const { coordinator } = life;
  writeFileSync(join(hub, 'oidc.json'), '{}');
  for (const [name, own] of tenants.identities) enrol(coordinator.enrolment, name, own);
  coordinator.enrolment.invite('nobody');
  life.connect(tenants);
  done = coordinator.propose(smallTask('plain', { rounds: 2 })).id;
  await life.until(() => told('finished', done) === 5, 60_000);
  running = coordinator.propose({ ...smallTask('plain', { rounds: 500 }), name: 'long' }).id;
  const charges = (): number => chargesOf(ledgerOf(coordinator.store), running);
  await life.until(() => charges() > 1, 60_000);
  manifest = await writeBackup({
    ...{ store: coordinator.store, folder: hub, to: place('backup'), federation, version: 'test', now: Date.now() },
    ledgerFrom: coordinator.ledger.head.size,
  });
  const before = charges();
  const late = tenantsFor(identity.publicKey, await startBackend('cpu'), ['late']);
  enrol(coordinator.enrolment, 'late', late.identities.get('late')!);
  late.forget();
  later = coordinator.propose({ ...smallTask('plain', { rounds: 500 }), name: 'later' }).id;
  await life.until(() => charges() > before + 1 && chargesOf(ledgerOf(coordinator.store), later) > 0, 60_000);
  life.crash();
  rmSync(hub, { recursive: true });
  copies = FIVE.map((name) => ({ name, ledger: exportOf(tenants.stores.get(name)!, name) }));
}, 200_000);
afterAll(() => {
  tenants?.forget();
  rmSync(folder, { recursive: true, force: true });
});

const options = (to: string) => ({ backup: place('backup'), folder: place(to), now: Date.now() });
const longest = (): LedgerCopy => copies.reduce((a, b) => (b.ledger.entries.length > a.ledger.entries.length ? b : a));

async function nextLife(to: string, onEvent: (event: CoordinatorEvent) => void): Promise<Life> {
  const life = await startLife(join(place(to), 'events.db'), identity, onEvent);
  onTestFinished(() => life.crash());
  return life;
}

describe('a backup', () => {
  test('made while rounds go on is whole, says what it is, and nobody else can read it', () => {
    const files = readdirSync(place('backup')).sort();
    expect(files).toEqual(['events.db', 'identity.pem', 'manifest.json', 'oidc.json']);
    expect(manifest).toEqual(JSON.parse(readFileSync(join(place('backup'), 'manifest.json'), 'utf8')));
    expect(manifest).toMatchObject({ federation, schema: 2, files: { 'oidc.json': expect.any(String) } });
    expect(statSync(place('backup')).mode & 0o77).toBe(0);
    for (const file of files) expect(statSync(join(place('backup'), file)).mode & 0o77).toBe(0);
    const store = openSqliteStore(join(place('backup'), 'events.db'), { readOnly: true });
    const checked = checkStore(store, identity);
    expect(checked.flatMap(({ problems }) => problems)).toEqual([]);
    expect(store.ledger(0)).toHaveLength(manifest.ledger.size);
    expect(Object.fromEntries(checked.map(({ what, found }) => [what, found]))).toMatchObject({
      ledger: manifest.ledger.size,
      roster: 5,
    });
    store.close();
    expect(readdirSync(place('backup')).sort()).toEqual(files);
  });

  test.each([
    ['a changed file', (at: string) => writeFileSync(join(at, 'identity.pem'), 'x'), 'identity.pem changed since'],
    ['a file more', (at: string) => writeFileSync(join(at, 'more'), 'x'), 'holds events.db, identity.pem, more, oidc'],
    [
      'a file less',
      (at: string) => rmSync(join(at, 'oidc.json')),
      'its manifest names events.db, identity.pem, oidc.json',
    ],
    ['no manifest', (at: string) => rmSync(join(at, 'manifest.json')), 'no such file'],
    ['another manifest', (at: string) => writeFileSync(join(at, 'manifest.json'), '{}'), "not a backup's manifest"],
  ])('with %s is not restored', async (_, change, message) => {
    const at = mkdtempSync(join(tmpdir(), 'parley-backup-'));
    onTestFinished(() => rmSync(at, { recursive: true }));
    cpSync(place('backup'), at, { recursive: true });
    change(at);
    await expect(restoreBackup({ ...options('changed'), backup: at, ledgers: 'none-since' })).rejects.toThrow(message);
    expect(existsSync(place('changed'))).toBe(false);
  });

  test('is not restored over anything', async () => {
    await expect(restoreBackup({ ...options('backup'), ledgers: 'none-since' })).rejects.toThrow('is not empty');
  });
});

test('a coordinator restored without what came later is refused by everybody who has seen more', async () => {
  await restoreBackup({ ...options('behind/'), ledgers: 'none-since' });
  const refused: string[] = [];
  const life = await nextLife('behind', (event) => {
    if (event.type === 'refused-connection') refused.push(event.reason);
  });
  const { size } = life.coordinator.ledger.head;
  life.connect(tenants);
  await life.until(() => refused.length === 5, 40_000);
  for (const [i, name] of FIVE.entries()) {
    const seen = tenants.stores.get(name)!.ledgerHead().size;
    expect(refused[i]).toContain(`${name} has seen ${seen} entries of the ledger, this coordinator has ${size}`);
  }
  expect(life.coordinator.ledger.head.size).toBe(size);
  expect(life.coordinator.present().size).toBe(0);
});

describe('the ledger’s later entries are taken over', () => {
  let restored: Restored;
  let seen: number;

  test('from the longest copy, and what ran is ended with all that it charged', async () => {
    restored = await restoreBackup({ ...options('again'), ledgers: copies });
    const store = openSqliteStore(join(place('again'), 'events.db'), { readOnly: true });
    const entries = ledgerOf(store);
    seen = longest().ledger.entries.length;
    expect(entries.slice(0, seen)).toEqual(longest().ledger.entries);
    expect(entries.slice(seen).map(({ kind, task }) => [kind, task])).toEqual([
      ['stop', running],
      ['stop', later],
    ]);
    expect(restored).toMatchObject({ entries: seen - manifest.ledger.size, ended: [running, later], size: seen + 2 });
    expect(store.facts(running).at(-1)).toMatchObject({ type: 'restored', charges: chargesOf(entries, running) });
    expect(store.tasks().map(({ id }) => id)).toEqual([done, running]);
    expect(store.roster().map(({ tenant }) => tenant)).toEqual([...FIVE, 'late']);
    expect(store.invitations().every(({ usedAt, expiresAt }) => usedAt !== null || expiresAt <= Date.now())).toBe(true);
    store.close();
    expect(readdirSync(place('again')).sort()).toEqual(['events.db', 'identity.pem', 'oidc.json']);
  });

  test('tenants accept it, are told what ended, and another task runs: both sides count the same budget', async () => {
    const events: string[] = [];
    const life = await nextLife('again', ({ type }) => events.push(type));
    life.connect(tenants);
    await life.until(() => told('stopped', running) === 5 && told('stopped', later) === 5, 30_000);
    const next = life.coordinator.propose({ ...smallTask('plain', { rounds: 2 }), name: 'next' });
    await life.until(() => told('finished', next.id) === 5, 60_000);
    expect(events).not.toContain('budget-differs');
    expect([...next.budgets.values()].map(({ agrees }) => agrees)).toEqual(FIVE.map(() => true));
    const entries = ledgerOf(life.coordinator.store);
    for (const name of FIVE) {
      const held = tenants.stores
        .get(name)!
        .budget()!
        .pools.find((pool) => pool.name === 'training')!.held;
      for (const task of [running, later]) {
        const mine = held.find((one) => one.task === task)!;
        expect(mine.reserved).toBe(0);
        expect(mine.committed).toBeGreaterThanOrEqual(chargesOf(entries, task));
      }
    }
    expect(life.coordinator.task(running)!.state).toMatchObject({ phase: 'stopped', reason: 'restored' });
    expect(checkStore(life.coordinator.store, identity).flatMap(({ problems }) => problems)).toEqual([]);
  });

  test('but none that do not verify: changed, forked, cut off, or of another federation', async () => {
    const copy = (
      change: (found: { entries: Record<string, unknown>[]; head: string; log: string }) => void,
    ): LedgerCopy => {
      const found = JSON.parse(JSON.stringify(longest().ledger));
      change(found);
      return { name: 'it', ledger: found };
    };
    const { size } = manifest.ledger;
    const refused = (...ledgers: LedgerCopy[]) => expect(restoreBackup({ ...options('none'), ledgers })).rejects;
    await refused(copy(({ entries }) => Object.assign(entries[size]!, { time: 1 }))).toThrow('does not follow');
    await refused(copy(({ entries }) => Object.assign(entries[0]!, { time: 1 }))).toThrow(
      'the backup and it hold different ledgers from entry 0',
    );
    await refused(copy(({ entries }) => entries.pop())).toThrow('cut off');
    await refused(copy(({ entries }) => Object.assign(entries.at(-1)!, { round: 1000 }))).toThrow('rewritten');
    await refused(
      copy(({ entries }) => entries.splice(size)),
      copy(({ entries }) => Object.assign(entries[3]!, { time: 1 })),
    ).toThrow('hold different ledgers');
    expect(existsSync(place('none'))).toBe(false);
  });
});

/** Everything in a file but what copying leaves out, table by table. */
function tablesOf(file: string): Record<string, unknown[]> {
  const db = new DatabaseSync(file, { readOnly: true });
  const names = db.prepare("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'").all();
  const found = names.map(({ name }) => [name, db.prepare(`select * from ${name} order by 1, 2`).all()] as const);
  db.close();
  return Object.fromEntries(found.filter(([name]) => name !== 'body' && name !== 'part'));
}

/** A row in each table that a federation of this test does not fill. */
function fillOthers(store: EventStore): void {
  store.addNotice('a'.repeat(64), 5);
  store.putStanding('amber', 'training', '{"a":1}');
  store.putPendingAct('b'.repeat(16), '{}');
  const token = { secretHash: 'c'.repeat(64), role: 'auditor', holder: 'x', createdAt: 1, expiresAt: 2 } as const;
  store.addToken({ ...token, id: 'd'.repeat(16), revokedAt: null });
  store.addToken({ ...token, id: 'e'.repeat(16), revokedAt: null });
  store.revokeToken('e'.repeat(16), 3);
}

function backupWithEverything(): string {
  const at = mkdtempSync(join(tmpdir(), 'parley-store-'));
  onTestFinished(() => rmSync(at, { recursive: true }));
  cpSync(place('backup'), at, { recursive: true });
  const store = openSqliteStore(join(at, 'events.db'));
  fillOthers(store);
  store.close();
  return at;
}

test('copying a store takes what was said in the round under way with it: such a copy is whole, and can be restored', async () => {
  const own = place('copied');
  const key = keysIn(own).identity;
  const others = tenantsFor(key.publicKey, await startBackend('cpu'), FIVE);
  const copy = openSqliteStore(place('copied.db'));
  const { backup: _, ...likeDatabase } = copy;
  let isCopied = false;
  const life = await startLife(join(own, 'events.db'), key, (event, { store }) => {
    if (isCopied || event.type !== 'task-changed' || event.round < 2 || store.facts(event.task).length === 0) return;
    const last = event.facts[0]!;
    isCopied =
      last.type === 'in-round' && last.fact.type === 'said' && [...store.bodies(event.task, vectors)].length === 3;
    if (isCopied) copyStore(store, copy, federationOf(key.publicKey));
  });
  onTestFinished(async () => {
    life.crash();
    for (const participant of others.participants.values()) await participant.idle();
    others.forget();
    copy.close();
  });
  for (const [name, one] of others.identities) enrol(life.coordinator.enrolment, name, one);
  life.connect(others);
  const { id } = life.coordinator.propose(smallTask('masking', { rounds: 500 }));
  await life.until(() => isCopied, 60_000);
  const said = checkStore(copy, key).find(({ what }) => what === 'said')!;
  expect(said.problems).toEqual([]);
  expect(said.found).toBeGreaterThan(5 + 3); // the keys, and vectors
  await writeBackup({
    ...{ store: likeDatabase as EventStore, folder: own, to: place('copied-backup') },
    ...{ federation: federationOf(key.publicKey), version: 'test', now: Date.now() },
  });
  const restored = await restoreBackup({
    ...options('copied-back'),
    ...{ backup: place('copied-backup'), ledgers: 'none-since' },
  });
  expect(restored.ended).toEqual([id]);
});
/** Where masking's tenants contribute to their second round. */
const vectors = { epoch: 1, round: 2, stage: 'contribute', attempt: 1 };

test('nobody leads on a copy that was cut off before its ledger', async () => {
  const from = openSqliteStore(join(place('backup'), 'events.db'), { readOnly: true });
  const half = openSqliteStore(place('half.db'));
  const addLedgerEntry = (): never => {
    throw new Error('killed');
  };
  expect(() => copyStore(from, { ...half, addLedgerEntry }, federation)).toThrow('killed');
  from.close();
  expect([half.tasks().length, half.ledger(0).length]).toEqual([2, 0]);
  const begun = openCoordinator({ store: half, identity, clock: Date.now, version: 'test' });
  await expect(begun).rejects.toThrow('the ledger ends before the plan of task');
  half.close();
});

test('copying a store leaves nothing out but what nobody needs any more', () => {
  const at = backupWithEverything();
  const [from, to] = [openSqliteStore(join(at, 'events.db')), openSqliteStore(join(at, 'copy.db'))];
  copyStore(from, to, federation);
  from.close();
  to.close();
  const [before, after] = [tablesOf(join(at, 'events.db')), tablesOf(join(at, 'copy.db'))];
  for (const rows of Object.values(before)) expect(rows.length).toBeGreaterThan(0);
  // numbers of facts are the store's own
  const content = ({ fact, ...others }: Record<string, unknown[]>) => ({
    ...others,
    fact: fact!.map((row) => ({ ...(row as object), seq: 0 })),
  });
  expect(content(after)).toEqual(content(before));
});

test.skipIf(typeof server === 'string')(
  'a backup goes into PostgreSQL, and one from there back into a file',
  async () => {
    if (typeof server === 'string') return;
    const url = await server.newDatabase();
    await restoreBackup({ ...options('pg'), storeUrl: url, ledgers: copies });
    expect(readdirSync(place('pg')).sort()).toEqual(['identity.pem', 'oidc.json']);
    await expect(restoreBackup({ ...options('pg2'), storeUrl: url, ledgers: copies })).rejects.toThrow('is not empty');

    const lead = await openPostgresStore({ url, federation, onLost: () => {} });
    const picture = await openPostgresStore({ url, federation, readOnly: true, onLost: () => {} });
    onTestFinished(() => picture.close());
    lead.addNotice('f'.repeat(64), 1); // after the picture was taken
    expect(checkStore(picture, identity).flatMap(({ problems }) => problems)).toEqual([]);
    const back = place('from-pg');
    await writeBackup({ store: picture, folder: place('pg'), to: back, federation, version: 'test', now: 0 });
    expect(() => picture.addNotice('0'.repeat(64), 1)).toThrow(/read-write mode must be set before any query/);
    lead.close();
    await restoreBackup({ ...options('file'), backup: back, ledgers: 'none-since' });
    const [file, backup] = [tablesOf(join(place('file'), 'events.db')), tablesOf(join(place('backup'), 'events.db'))];
    expect(file['notice']).toEqual([]);
    for (const table of ['task', 'sum', 'parameters']) expect(file[table]).toEqual(backup[table]);
    expect(file['ledger']).toHaveLength(longest().ledger.entries.length + 2);
  },
);
