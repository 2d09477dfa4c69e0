import { cpSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openClientStore, openDatabase } from '../../client/client-store.ts';
import { openBudget } from '../../privacy/budget.ts';
import { EMPTY_LEDGER, type LedgerEntry } from '../../privacy/ledger.ts';

test('what is committed is on the disk before an answer leaves: a power cut cannot take it back', () => {
  const folder = mkdtempSync(join(tmpdir(), 'parley-store-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const db = openDatabase(join(folder, 'tenant.db'));
  // FULL, of OFF 0, NORMAL 1, FULL 2, EXTRA 3: in WAL mode the log is synced at every commit (sqlite.org/pragma.html)
  expect(db.prepare('pragma synchronous').get()).toEqual({ synchronous: 2 });
  expect(db.prepare('pragma journal_mode').get()).toEqual({ journal_mode: 'wal' });
  expect(db.prepare('pragma locking_mode').get()).toEqual({ locking_mode: 'exclusive' });
  db.close();
});

/** A store that was written to, and whose process ended at once; its log is beside it. */
function leftOpen(): string {
  const folder = mkdtempSync(join(tmpdir(), 'parley-store-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'tenant.db');
  const store = openClientStore(file);
  store.pin('own-key/ab', 'own');
  store.setBudget(openBudget({ training: { epsilon: 4, delta: 1e-5 } }));
  store.accept('t', { plan: '{}', data: 'd' });
  store.setRound('t', 3, { cohort: 'c', sumHash: '', openerSets: [] });
  store.addLedger([{ seq: 0, task: 't', kind: 'stop' } as LedgerEntry], EMPTY_LEDGER);
  const copy = join(folder, 'copy.db');
  for (const end of ['', '-wal']) cpSync(`${file}${end}`, `${copy}${end}`);
  store.close();
  return copy;
}

function change(file: string, sql: string): void {
  const db = new DatabaseSync(file);
  expect(db.prepare(sql).run().changes).toBe(1);
  db.close();
  writeFileSync(`${file}-wal`, '');
}

describe('a store on a broken disk', () => {
  test('goes on where a power cut left it', () => {
    const file = leftOpen();
    const store = openClientStore(file);
    expect(store.round('t', 3)).toEqual({ cohort: 'c', sumHash: '', openerSets: [] });
    expect(store.budget()!.pools[0]!.limits.epsilon).toBe(4);
    store.close();
  });

  test.each([
    [
      'its budget',
      "update kept set value = replace(value, '4', '9') where name = 'budget'",
      'row budget of table kept',
    ],
    ['its ledger', "update ledger set entry = replace(entry, 'stop', 'stup')", 'row 0 of table ledger'],
    ['a plan', "update task set plan = '{ }'", 'row t of table task'],
    ['an answer', "update round set answered = replace(answered, 'c', 'd')", 'row 3 of task t of table round'],
  ])('is refused when a byte of %s has changed: with the row, and the way out', (_, sql, row) => {
    const file = leftOpen();
    change(file, sql);
    const message = expect.stringMatching(`${row} is not what was written.*parley client restore-budget`);
    expect(() => openClientStore(file)).toThrow(expect.objectContaining({ code: 7, message }));
    expect(() => openClientStore(file)).toThrow(expect.objectContaining({ code: 7, message }));
  });

  test('is refused without its log: what was paid last would be forgotten', () => {
    const file = leftOpen();
    cpSync(`${file}-wal`, `${file}-saved`);
    rmSync(`${file}-wal`);
    expect(() => openClientStore(file)).toThrow(`${file}-wal is missing`);
    cpSync(`${file}-saved`, `${file}-wal`);
    openClientStore(file).close();
    openClientStore(file).close();
  });

  test('is refused when it is cut off', () => {
    const file = leftOpen();
    openClientStore(file).close();
    truncateSync(file, 5000);
    expect(() => openClientStore(file)).toThrow(expect.objectContaining({ code: 7 }));
  });
});
