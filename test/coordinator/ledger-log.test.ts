import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createIdentity, fingerprint } from '../../aggregation/identity.ts';
import { checkpointIn } from '../../aggregation/witness.ts';
import { openLedgerLog } from '../../coordinator/ledger-log.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import { EMPTY_LEDGER, type LedgerBody, NO_TASK, verifyChain } from '../../privacy/ledger.ts';
import { rootOf } from '../../privacy/transparency/merkle.ts';
import { temporaryFolder } from '../support/folder.ts';
import { NOWHERE } from '../support/small-task.ts';

const identity = createIdentity();
const abort = (round: number): LedgerBody => ({ kind: 'abort', round, reason: 'too-few-tenants' });

function begin() {
  const file = join(temporaryFolder(), 'events.db');
  const store = openSqliteStore(file);
  let isOpen = true;
  const close = (): void => {
    if (isOpen) store.close();
    isOpen = false;
  };
  onTestFinished(close);
  return { file, store, close, log: openLedgerLog(store, identity, NOWHERE) };
}

const reopen = (file: string) => {
  const store = openSqliteStore(file);
  onTestFinished(() => store.close());
  return openLedgerLog(store, identity, NOWHERE);
};

describe('the coordinator’s ledger', () => {
  test('begins empty', () => {
    const { log } = begin();
    expect(log.head).toEqual(EMPTY_LEDGER);
    expect(log.newsSince(0).entries).toEqual([]);
  });

  test('gives entries since a head, and its own head signed', () => {
    const { log } = begin();
    log.commit(() => [1, 2, 3].map((round) => log.append(abort(round), 'task', round)));
    const all = log.newsSince(0);
    const verdict = verifyChain(all.entries);
    expect(verdict).toEqual({ intact: true, head: log.head });
    expect(log.newsSince(2).entries).toEqual(all.entries.slice(2));
    expect(checkpointIn(all.note, identity.publicKey)).toEqual({
      origin: `parley:${fingerprint(identity.publicKey)}`,
      size: 3,
      root: new Uint8Array(rootOf(log.head)),
      extensions: [],
    });
    expect(() => checkpointIn(all.note, createIdentity().publicKey)).toThrow('not signed by a known key');
  });

  test('signs its head anew after every entry', () => {
    const { log } = begin();
    log.commit(() => log.append(abort(1), 'task', 1));
    const before = checkpointIn(log.newsSince(0).note, identity.publicKey);
    log.commit(() => log.append(abort(2), 'task', 2));
    const after = checkpointIn(log.newsSince(0).note, identity.publicKey);
    expect([before.size, after.size]).toEqual([1, 2]);
    expect(after.root).not.toEqual(before.root);
  });

  test('forgets what was rolled back, its signature included, and goes on from there', () => {
    const { log } = begin();
    log.commit(() => log.append(abort(1), 'task', 1));
    const head = log.head;
    expect(() =>
      log.commit(() => {
        log.append(abort(2), 'task', 2);
        log.newsSince(0);
        throw new Error('disk full');
      }),
    ).toThrow('disk full');
    expect(log.head).toEqual(head);
    log.commit(() => log.append(abort(3), 'task', 3));
    const { entries, note } = log.newsSince(0);
    expect(verifyChain(entries)).toEqual({ intact: true, head: log.head });
    const { size, root } = checkpointIn(note, identity.publicKey);
    expect({ size, root }).toEqual({ size: 2, root: new Uint8Array(rootOf(log.head)) });
  });

  test('is the same after a restart', () => {
    const { file, log, close } = begin();
    log.commit(() => log.append(abort(1), 'task', 1));
    const { head } = log;
    close();
    expect(reopen(file).head).toEqual(head);
  });
});

test('entries about a tenant are counted from its end, as far back as is asked', () => {
  const { log } = begin();
  const erasure = (tenant: string): LedgerBody => ({ kind: 'erasure', tenant });
  log.commit(() => {
    for (let at = 1; at <= 1200; at++) log.append(at % 3 === 0 ? erasure('amber') : erasure('blue'), NO_TASK, at);
    log.append({ kind: 'stop', reason: 'by-operator' }, 'task', 1201);
  });
  expect(log.countAbout('amber', ['erasure'], 0)).toBe(400);
  expect(log.countAbout('amber', ['erasure'], 600)).toBe(200);
  expect(log.countAbout('amber', ['roster', 'budget'], 0)).toBe(0);
  expect(log.countAbout('nobody', ['erasure'], 0)).toBe(0);
});

describe('a ledger that someone has touched on the disk is not opened:', () => {
  test.each([
    ['an entry changed', 'update ledger set entry = replace(entry, \'"round":2\', \'"round":7\') where seq = 1', 2],
    ['an entry removed', 'delete from ledger where seq = 1', 1],
    ['the first entry removed', 'delete from ledger where seq = 0', 0],
    ['an entry that is none', "update ledger set entry = '{}' where seq = 2", 2],
    [
      'a field added',
      'update ledger set entry = replace(entry, \'"round":2\', \'"norm":1,"round":2\') where seq = 1',
      1,
    ],
  ])('%s', (_, sql, found) => {
    const { file, log, close } = begin();
    log.commit(() => [1, 2, 3].map((round) => log.append(abort(round), 'task', round)));
    close();
    const db = new DatabaseSync(file);
    expect(db.prepare(sql).run().changes).toBe(1);
    db.close();
    expect(() => reopen(file)).toThrow(`the stored ledger does not hold at entry ${found}`);
  });
});
