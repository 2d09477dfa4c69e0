import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../client/client-store.ts';

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
