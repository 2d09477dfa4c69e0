import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type EventStore, openEventStore } from '../../coordinator/event-store.ts';
import type { TaskFact } from '../../coordinator/task.ts';
import { temporaryFolder } from '../support/folder.ts';

const newFile = (): string => join(temporaryFolder(), 'events.db');

function open(file: string): EventStore {
  const store = openEventStore(file);
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
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe('an event store', () => {
  test('gives back after a restart what was written: facts, bodies, sums, ledger, roster, parameters', () => {
    const file = newFile();
    const store = open(file);
    const facts: TaskFact[] = [
      { type: 'proposed', at: 1, model: 'm', entry: 0 },
      { type: 'declined', tenant: 'blue', cause: 'data', reason: 'a "quoted" reason — with é' },
      { type: 'in-round', fact: { type: 'asked', stage: 2, attempt: 1, asked: ['amber'], at: 3, patient: true } },
    ];
    const place = { epoch: 1, round: 2, stage: 'contribute', attempt: 1 };
    store.commit(() => {
      store.addTask({ id: 'task', plan: '{}', signature: bytes(1, 2) });
      for (const one of facts) store.addFact('task', one);
      store.addFact('another', fact(9));
      store.putBody('task', place, 'blue', bytes(4));
      store.putBody('task', place, 'amber', bytes(3));
      store.putSum('task', { round: 2, sum: bytes(5), contributions: 4, model: 'next' });
      store.addLedgerEntry(0, 'first');
      store.addLedgerEntry(1, 'second');
      store.enrol('blue', 'cd', 7);
      store.enrol('amber', 'ab', 8);
      store.putParameters('hash', bytes(6));
    });
    store.close();

    const again = open(file);
    expect(again.tasks()).toEqual([{ id: 'task', plan: '{}', signature: bytes(1, 2) }]);
    expect(again.facts('task')).toEqual(facts);
    expect(again.facts('another')).toEqual([fact(9)]);
    expect([...again.bodies('task', place)]).toEqual([
      ['amber', bytes(3)],
      ['blue', bytes(4)],
    ]);
    expect([...again.sums('task', 1)]).toEqual([{ round: 2, sum: bytes(5), contributions: 4, model: 'next' }]);
    expect([...again.sums('task', 2)]).toEqual([]);
    expect(again.ledger(1)).toEqual(['second']);
    expect(again.roster()).toEqual([
      { tenant: 'amber', key: 'ab' },
      { tenant: 'blue', key: 'cd' },
    ]);
    expect(again.parameters('hash')).toEqual(bytes(6));
    expect(again.parameters('another')).toBeUndefined();
  });

  test('commits all of a transaction, or nothing of it', () => {
    const file = newFile();
    const store = open(file);
    store.commit(() => store.addFact('task', fact(1)));
    expect(() =>
      store.commit(() => {
        store.addFact('task', fact(2));
        store.addLedgerEntry(0, 'entry');
        store.putParameters('hash', bytes(1));
        throw new Error('in the middle');
      }),
    ).toThrow('in the middle');
    store.commit(() => store.addFact('task', fact(3)));
    store.close();
    const again = open(file);
    expect(again.facts('task')).toEqual([fact(1), fact(3)]);
    expect(again.ledger(0)).toEqual([]);
    expect(again.parameters('hash')).toBeUndefined();
  });

  test('takes a ledger number, a tenant and a key once', () => {
    const store = open(newFile());
    store.addLedgerEntry(0, 'entry');
    expect(() => store.addLedgerEntry(0, 'another')).toThrow('UNIQUE');
    store.enrol('amber', 'ab', 1);
    expect(() => store.enrol('amber', 'cd', 1)).toThrow('UNIQUE');
    expect(() => store.enrol('blue', 'ab', 1)).toThrow('UNIQUE');
    expect(store.ledger(0)).toEqual(['entry']);
  });

  test('erases what was said in rounds that are over; keying stays until the task is', () => {
    const store = open(newFile());
    const place = (round: number) => ({ epoch: 1, round, stage: 'deal', attempt: 1 });
    for (const round of [0, 1, 2, 3]) store.putBody('task', place(round), 'amber', bytes(round));
    store.putBody('another', place(1), 'amber', bytes(1));
    const left = (task: string): number[] => [0, 1, 2, 3].filter((round) => store.bodies(task, place(round)).size > 0);
    store.eraseRounds('task', 2);
    expect(left('task')).toEqual([0, 3]);
    store.eraseTask('task');
    expect(left('task')).toEqual([]);
    expect(left('another')).toEqual([1]);
  });

  test('uses an invitation once', () => {
    const store = open(newFile());
    store.addInvitation({ tenant: 'amber', codeHash: 'h', expiresAt: 5, usedAt: null });
    store.useInvitation('h', 1);
    store.useInvitation('h', 2);
    expect(store.invitations()).toEqual([{ tenant: 'amber', codeHash: 'h', expiresAt: 5, usedAt: 1 }]);
  });
});

describe('a store is not opened', () => {
  test('that a newer Parley wrote', () => {
    const file = newFile();
    open(file).close();
    const db = new DatabaseSync(file);
    db.exec('pragma user_version = 2');
    db.close();
    expect(() => openEventStore(file)).toThrow(`${file} was written by a newer Parley (schema 2`);
  });

  test('while another coordinator has it open', () => {
    const file = newFile();
    const first = open(file);
    expect(() => openEventStore(file)).toThrow('is in use by another coordinator');
    first.addFact('task', fact(1));
    first.close();
    expect(open(file).facts('task')).toEqual([fact(1)]);
  });

  test('that is no store', () => {
    const file = newFile();
    writeFileSync(file, 'customer,churn\n'.repeat(1000));
    expect(() => openEventStore(file)).toThrow('file is not a database');
  });
});

test.skipIf(process.platform === 'win32')(
  'a full disk is an error with the code of one, and nothing is half-written',
  () => {
    const file = newFile();
    const script = fileURLToPath(new URL('../support/full-disk.ts', import.meta.url));
    // a limit on the size of files, in KiB, stands in for the disk; the signal that comes with it is ignored
    const command = `trap '' XFSZ; ulimit -f 2000; exec "${process.execPath}" "${script}" "${file}"`;
    const { written, errcode } = JSON.parse(execFileSync('bash', ['-c', command], { encoding: 'utf8' })) as {
      written: number;
      errcode: number;
    };
    expect(written).toBeGreaterThan(20);
    expect([10, 13]).toContain(errcode & 0xff); // SQLITE_IOERR, SQLITE_FULL: exit code 7
    const store = open(file);
    const facts = store.facts('task');
    expect(facts).toEqual(facts.map((_, at) => fact(at)));
    expect(facts).toHaveLength(written);
    for (let round = 0; round <= written; round++)
      expect(store.bodies('task', { epoch: 1, round, stage: 'contribute', attempt: 1 }).size).toBe(
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
  const parley = fileURLToPath(new URL('../../parley.js', import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [parley, 'coordinator', '--folder', folder, '--port', '0'], {
    encoding: 'utf8',
  });
  expect(stderr).toContain('is in use by another coordinator');
  expect(status).toBe(7);
});
