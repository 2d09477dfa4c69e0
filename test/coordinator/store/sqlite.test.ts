import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { EventStore } from '../../../coordinator/store/event-store.ts';
import { openSqliteStore } from '../../../coordinator/store/sqlite.ts';
import type { TaskFact } from '../../../coordinator/task.ts';
import { eventStoreContract } from '../../contracts/event-store.contract.ts';
import { temporaryFolder } from '../../support/folder.ts';

const newFile = (): string => join(temporaryFolder(), 'events.db');

function open(file: string): EventStore {
  const store = openSqliteStore(file);
  onTestFinished(() => {
    try {
      store.close();
    } catch {
      // closed by the test
    }
  });
  return store;
}

const fact = (at: number): TaskFact => ({ type: 'waiting', at });

describe('in SQLite', () => {
  eventStoreContract(() => {
    const file = newFile();
    return { open: () => openSqliteStore(file) };
  });
});

describe('a store is not opened', () => {
  test('that a newer Parley wrote', () => {
    const file = newFile();
    open(file).close();
    const db = new DatabaseSync(file);
    db.exec('pragma user_version = 99');
    db.close();
    expect(() => openSqliteStore(file)).toThrow(`${file} was written by a newer Parley (schema 99`);
  });

  test('while another coordinator has it open', () => {
    const file = newFile();
    const first = open(file);
    expect(() => openSqliteStore(file)).toThrow('is in use by another coordinator');
    first.addFact('task', fact(1));
    first.close();
    expect(open(file).facts('task')).toEqual([fact(1)]);
  });

  test('that is no store', () => {
    const file = newFile();
    writeFileSync(file, 'customer,churn\n'.repeat(1000));
    expect(() => openSqliteStore(file)).toThrow('file is not a database');
  });
});

test.skipIf(process.platform === 'win32')(
  'a full disk is an error with the code of one, and nothing is half-written',
  () => {
    const file = newFile();
    const script = fileURLToPath(new URL('../../support/full-disk.ts', import.meta.url));
    // a limit on the size of files, in KiB, stands in for the disk; the signal that comes with it is ignored
    const command = `trap '' XFSZ; ulimit -f 2000; exec "${process.execPath}" "${script}" "${file}"`;
    const { written, errcode, message } = JSON.parse(execFileSync('bash', ['-c', command], { encoding: 'utf8' })) as {
      written: number;
      errcode: number;
      message: string;
    };
    expect(message).toContain(`${file} cannot be written: the disk is full, or fails`);
    expect(written).toBeGreaterThan(20);
    expect([10, 13]).toContain(errcode & 0xff); // SQLITE_IOERR, SQLITE_FULL: exit code 7
    const store = open(file);
    const facts = store.facts('task');
    expect(facts).toEqual(facts.map((_, at) => fact(at)));
    expect(facts).toHaveLength(written);
    for (let round = 0; round <= written; round++)
      expect([...store.bodies('task', { epoch: 1, round, stage: 'contribute', attempt: 1 })].length).toBe(
        round < written ? 1 : 0,
      );
    store.commit(() => store.addFact('task', fact(written)));
    expect(store.facts('task')).toHaveLength(written + 1);
  },
);

test('a second coordinator on the same folder ends with the code for storage', () => {
  const folder = temporaryFolder();
  const file = join(folder, 'events.db');
  open(file);
  const parley = fileURLToPath(new URL('../../../parley.js', import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [parley, 'coordinator', '--folder', folder, '--port', '0'], {
    encoding: 'utf8',
  });
  expect(stderr).toContain('is in use by another coordinator');
  expect(status).toBe(7);
});
