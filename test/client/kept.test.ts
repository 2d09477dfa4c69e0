import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EXIT } from '../../aggregation/exit.ts';
import { openClientStore, openDatabase } from '../../client/client-store.ts';
import { convertKept, openKept } from '../../client/kept.ts';
import { openBudget } from '../../privacy/budget.ts';
import { EMPTY_LEDGER } from '../../privacy/ledger.ts';
import { temporaryFolder } from '../support/folder.ts';

const newKey = (): KeyObject => createSecretKey(randomBytes(32));
const newFile = (): string => join(temporaryFolder(), 'tenant.db');
const budget = openBudget({
  training: { epsilon: 3.140625, delta: 1e-5 },
  'held-out': { epsilon: 2.828125, delta: 1e-5 },
});

/** A store with a budget and pins. */
function written(file: string, key?: KeyObject): void {
  const store = openClientStore(file, key);
  store.setBudget(budget);
  store.pin('contract', 'one row is one customer');
  store.pin('declined/task-7', 'broken-promise');
  store.addLedger([], { ...EMPTY_LEDGER, hash: 'ab'.repeat(32) });
  store.close();
}

function expectWritten(file: string, key?: KeyObject): void {
  const store = openClientStore(file, key);
  expect(store.budget()).toEqual(budget);
  expect(store.pinned('contract')).toBe('one row is one customer');
  expect(store.pinned('declined/task-7')).toBe('broken-promise');
  expect(store.pinned('rows')).toBeUndefined();
  expect(store.ledgerHead().hash).toBe('ab'.repeat(32));
  store.close();
}

/** The bytes of the store's files, journal included. */
const bytesOf = (file: string): string =>
  readdirSync(join(file, '..'))
    .map((name) => readFileSync(join(file, '..', name), 'latin1'))
    .join('\n');
const PLAIN = ['3.140625', '2.828125', 'one row is one customer', 'broken-promise'];

function sql<T>(file: string, work: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(file);
  try {
    return work(db);
  } finally {
    db.close();
  }
}
const keptIn = (file: string, name: string): string =>
  sql(file, (db) => db.prepare('select value from kept where name = ?').get(name)!.value as string);
const setValue = (file: string, name: string, value: string): void =>
  // with its checksum, as somebody who means it would
  sql(file, (db) => void db.prepare('insert or replace into kept values (?, ?, ?)').run(name, value, crc32(value)));

const refused = (code: number, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe('a store with a key', () => {
  test('keeps budget and pins, of which nothing stands in its files; the ledger’s head stays plain', () => {
    const [file, key] = [newFile(), newKey()];
    written(file, key);
    expectWritten(file, key);
    for (const text of PLAIN) expect(bytesOf(file)).not.toContain(text);
    expect(bytesOf(file)).toContain('ab'.repeat(32));
  });

  test('writes a value differently each time', () => {
    const [file, key] = [newFile(), newKey()];
    const seen = new Set<string>();
    for (let i = 0; i < 5; i++) {
      written(file, key);
      seen.add(keptIn(file, 'budget'));
    }
    expect(seen.size).toBe(5);
  });

  test('opens with no other key, nor without, and is not locked when it was refused', () => {
    const [file, key] = [newFile(), newKey()];
    written(file, key);
    expect(() => openClientStore(file, newKey())).toThrow(refused(EXIT.storage, /tenant\.db: "\S+" was changed, or/));
    expect(() => openClientStore(file)).toThrow(
      refused(EXIT.refused, /tenant\.db is protected, and the key beside it is not/),
    );
    expectWritten(file, key);
  });

  test('is protected from the start, though nothing was written yet', () => {
    const file = newFile();
    openClientStore(file, newKey()).close();
    expect(() => openClientStore(file)).toThrow(/is protected/);
    expect(() => openClientStore(file, newKey())).toThrow(/was changed, or/);
  });

  test('does not take a plain one for its own', () => {
    const file = newFile();
    written(file);
    expect(() => openClientStore(file, newKey())).toThrow(
      refused(EXIT.refused, /tenant\.db is not protected, and the key beside it is: finish with `parley keys protect`/),
    );
    expectWritten(file);
  });
});

describe('a store that was tampered with does not open:', () => {
  const key = newKey();
  const file = newFile;
  const DAMAGED = refused(EXIT.storage, /was changed, or belongs to another folder's key/);

  test('a value in the row of another', () => {
    const path = file();
    written(path, key);
    const [contract, declined] = ['contract', 'declined/task-7'].map((name) => keptIn(path, name));
    setValue(path, 'declined/task-7', contract!);
    expect(() => openClientStore(path, key)).toThrow(DAMAGED);
    setValue(path, 'declined/task-7', declined!);
    expectWritten(path, key);
    setValue(path, 'declined/task-8', declined!);
    expect(() => openClientStore(path, key)).toThrow(DAMAGED);
  });

  test('a plain value in the place of an encrypted one', () => {
    const path = file();
    written(path, key);
    setValue(path, 'budget', JSON.stringify(budget));
    expect(() => openClientStore(path, key)).toThrow(DAMAGED);
  });

  test('any one character of any value', () => {
    const path = file();
    written(path, key);
    const kept = ['budget', 'contract', 'declined/task-7', 'protected'].map(
      (name) => [name, keptIn(path, name)] as const,
    );
    const character = fc.constantFrom(...'0123456789abcdefABCDEF ');
    fc.assert(
      fc.property(fc.constantFrom(...kept), fc.nat(), character, ([name, value], where, other) => {
        const at = where % value.length;
        fc.pre(value[at] !== other);
        setValue(path, name, value.slice(0, at) + other + value.slice(at + 1));
        expect(() => openClientStore(path, key)).toThrow(DAMAGED);
        setValue(path, name, value.slice(0, Math.max(0, at)));
        expect(() => openClientStore(path, key)).toThrow(DAMAGED);
        setValue(path, name, value);
      }),
      { numRuns: 60 },
    );
    expectWritten(path, key);
  });
});

describe('what is kept', () => {
  test('is the same after it was protected, and after it was not any more; asked twice, nothing changes', () => {
    const [file, key] = [newFile(), newKey()];
    written(file);
    const convert = (to: 'plain' | 'protected'): void => {
      const db = openDatabase(file);
      convertKept(db, file, key, to);
      db.close();
    };
    for (let i = 0; i < 2; i++) {
      convert('protected');
      expectWritten(file, key);
    }
    for (const text of PLAIN) expect(bytesOf(file)).not.toContain(text);
    for (let i = 0; i < 2; i++) {
      convert('plain');
      expectWritten(file);
    }
  });

  test('may be any text under any name', () => {
    const names = fc.string().filter((name) => name !== 'protected' && !name.toLowerCase().startsWith('ledger-'));
    fc.assert(
      fc.property(fc.dictionary(names, fc.string({ unit: 'grapheme' }), { noNullPrototype: true }), (values) => {
        const key = newKey();
        const db = openDatabase(':memory:');
        const plain = openKept(db, 'memory');
        for (const [name, value] of Object.entries(values)) plain.set(name, value);
        convertKept(db, 'memory', key, 'protected');
        const kept = openKept(db, 'memory', key);
        for (const [name, value] of Object.entries(values)) expect(kept.get(name)).toBe(value);
        convertKept(db, 'memory', key, 'plain');
        for (const [name, value] of Object.entries(values)) expect(openKept(db, 'memory').get(name)).toBe(value);
        db.close();
      }),
      { numRuns: 50 },
    );
  });

  test('with another key stays as it is', () => {
    const [file, key] = [newFile(), newKey()];
    written(file, key);
    for (const to of ['plain', 'protected'] as const) {
      const db = openDatabase(file);
      expect(() => convertKept(db, file, newKey(), to)).toThrow(/was changed, or/);
      db.close();
    }
    expectWritten(file, key);
  });

  test('leaves no plain value in free pages or in the journal when it is protected, after years of use', () => {
    const [file, key] = [newFile(), newKey()];
    const store = openClientStore(file);
    const text = (i: number): string => `a pin of some length, number ${i}, `.repeat(100);
    for (let i = 0; i < 100; i++) store.pin(`declined/${i % 7}`, text(i)); // rewritten over and over
    expect(existsSync(`${file}-wal`)).toBe(true);
    store.close();
    const db = openDatabase(file);
    convertKept(db, file, key, 'protected');
    expect(bytesOf(file)).not.toContain('a pin of some length');
    db.close();
    expect(bytesOf(file)).not.toContain('a pin of some length');
    expect(openClientStore(file, key).pinned('declined/1')).toBe(text(99));
  });
});
