import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { federationOf } from '../../../aggregation/federation.ts';
import { keysIn } from '../../../aggregation/folder-keys.ts';
import { createIdentity, type Identity } from '../../../aggregation/identity.ts';
import { signNotice } from '../../../aggregation/notice.ts';
import { chargedEvent, hex, planSchema } from '../../../aggregation/plan.ts';
import { logKey } from '../../../aggregation/witness.ts';
import { openCoordinator } from '../../../coordinator/coordinator.ts';
import { type Manifest, writeBackup } from '../../../coordinator/keeping/backup.ts';
import { checkStore } from '../../../coordinator/keeping/check.ts';
import type { LedgerCopy } from '../../../coordinator/keeping/later-entries.ts';
import { restoreBackup } from '../../../coordinator/keeping/restore.ts';
import { openLedgerLog } from '../../../coordinator/ledger-log.ts';
import type { EventStore, StoredTask } from '../../../coordinator/store/event-store.ts';
import { openSqliteStore } from '../../../coordinator/store/sqlite.ts';
import { NO_TASK } from '../../../privacy/ledger.ts';
import { formatVerifierKey } from '../../../privacy/transparency/verifier-key.ts';
import { enrol } from '../../support/federation-on-disk.ts';
import { FIVE, smallTask } from '../../support/small-task.ts';

/*
 * A federation in which permissions were given, and taken back after it was backed up: what of them comes back with the backup.
 */
let folder: string;
let identity: Identity;
let copy: LedgerCopy;
/** of blue, since the backup */
const newKey = hex(createIdentity().publicKey);
const coral = createIdentity();
const erasure = (federation: string) => {
  const notice = { kind: 'erasure', tenant: 'coral', key: hex(coral.publicKey), nonce: 'e'.repeat(64) } as const;
  return signNotice(notice, federation, coral.sign);
};
const place = (name: string): string => join(folder, name);

const token = { secretHash: 'c'.repeat(64), role: 'auditor', holder: 'x', revokedAt: null } as const;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-permissions-'));
  const hub = place('hub');
  identity = keysIn(hub).identity;
  const store = openSqliteStore(join(hub, 'events.db'));
  const coordinator = await openCoordinator({ store, identity, clock: Date.now, version: 'test' });
  for (const name of FIVE) enrol(coordinator.enrolment, name, name === 'coral' ? coral : createIdentity());
  coordinator.notices.hear(erasure(coordinator.federation));
  coordinator.propose(smallTask('plain'));
  coordinator.enrolment.invite('late');
  store.addToken({ ...token, id: 'd'.repeat(16), createdAt: 1, expiresAt: Date.now() + 1e9 });
  store.putPendingAct('b'.repeat(16), '{}');
  writeFileSync(join(hub, 'operator.token'), 'x');
  const { federation, ledger } = coordinator;
  const { backup: _, ...likeDatabase } = store;
  for (const [to, from] of [
    ['backup', store],
    ['copied', likeDatabase as EventStore],
  ] as const)
    await writeBackup({ store: from, folder: hub, to: place(to), federation, version: 'test', now: Date.now() });

  coordinator.revoke('amber');
  const last = coordinator.store.roster().find(({ tenant }) => tenant === 'blue')!;
  ledger.commit(() => {
    const change = { tenant: 'blue', change: 're-keyed', key: newKey, replaces: last.key } as const;
    ledger.append({ kind: 'roster', ...change }, NO_TASK, Date.now());
  });
  copy = {
    name: 'it',
    ledger: {
      format: 'parley-ledger-export-v1',
      log: formatVerifierKey(logKey(identity.publicKey)),
      head: ledger.newsSince(ledger.head.size).note,
      notes: [],
      entries: store.ledger(0).map((text) => JSON.parse(text) as unknown),
    },
  };
  coordinator.close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const options = (to: string) => ({ backup: place('backup'), folder: place(to), now: Date.now() });

function withStore<T>(at: string, look: (store: EventStore) => T): T {
  const store = openSqliteStore(join(at, 'events.db'));
  try {
    return look(store);
  } finally {
    store.close();
  }
}

const permissionsIn = (at: string) =>
  withStore(at, (store) => ({
    codes: store.invitations().filter(({ usedAt, expiresAt }) => usedAt === null && expiresAt > Date.now()).length,
    tokens: store.tokens().filter(({ revokedAt }) => revokedAt === null).length,
    acts: store.pendingActs().length,
    file: existsSync(join(at, 'operator.token')),
  }));

describe('a restore', () => {
  test('to which it is said that nothing happened since leaves every permission as it was', async () => {
    await restoreBackup({ ...options('as-it-was'), ledgers: 'none-since' });
    expect(permissionsIn(place('as-it-was'))).toEqual({ codes: 1, tokens: 1, acts: 1, file: true });
  });

  test('with later entries takes back what may have been taken back since: codes, tokens, acts', async () => {
    await restoreBackup({ ...options('since'), ledgers: [copy] });
    expect(permissionsIn(place('since'))).toEqual({ codes: 0, tokens: 0, acts: 0, file: false });
  });

  test.each(['backup', 'copied'])(
    'remembers which notices were heard: none has its effect again (%s)',
    async (backup) => {
      await restoreBackup({ ...options(`heard-${backup}`), backup: place(backup), ledgers: [copy] });
      const store = openSqliteStore(join(place(`heard-${backup}`), 'events.db'));
      const restored = await openCoordinator({ store, identity, clock: Date.now, version: 'test' });
      onTestFinished(() => restored.close());
      expect(() => restored.notices.hear(erasure(restored.federation))).toThrow('was heard before');
    },
  );

  test('has of the ledger who is enrolled, with which key', async () => {
    await restoreBackup({ ...options('roster'), ledgers: [copy] });
    const roster = withStore(place('roster'), (store) => store.roster());
    expect(roster.map(({ tenant }) => tenant)).toEqual(FIVE.filter((name) => name !== 'amber'));
    expect(roster.find(({ tenant }) => tenant === 'blue')).toMatchObject({ key: newKey });
  });
});

/** The backup, changed by whoever writes its manifest too. */
function changed(change: (at: string) => void, manifest: Partial<Manifest> = {}): string {
  const at = mkdtempSync(join(tmpdir(), 'parley-backup-'));
  onTestFinished(() => rmSync(at, { recursive: true }));
  cpSync(place('backup'), at, { recursive: true });
  change(at);
  const file = join(at, 'manifest.json');
  const old = JSON.parse(readFileSync(file, 'utf8')) as Manifest;
  const hashOf = (name: string) =>
    createHash('sha256')
      .update(readFileSync(join(at, name)))
      .digest('hex');
  const files = Object.fromEntries(Object.keys(old.files).map((name) => [name, hashOf(name)]));
  writeFileSync(file, JSON.stringify({ ...old, files, ...manifest }));
  return at;
}

function sql(at: string, text: string): void {
  const db = new DatabaseSync(join(at, 'events.db'));
  expect(db.prepare(text).run().changes).toBe(1);
  db.close();
}

describe('a backup is not restored', () => {
  test.each([
    ['that a newer Parley made', () => changed(() => {}, { schema: 99, version: '9.9' }), 'made by Parley 9.9'],
    [
      'with another key than its federation’s',
      () =>
        changed((at) => {
          rmSync(join(at, 'identity.pem'));
          keysIn(at);
        }),
      'identity.pem is not the key of the federation that was backed up',
    ],
    [
      'that does not hold, though its manifest does',
      () => changed((at) => sql(at, `update tenant set key = '${'a'.repeat(64)}' where name = 'amber'`)),
      /does not hold:\n.*table tenant, amber/,
    ],
  ])('%s', async (_, backup, message) => {
    await expect(restoreBackup({ ...options('not'), backup: backup(), ledgers: 'none-since' })).rejects.toThrow(
      message,
    );
    expect(existsSync(place('not'))).toBe(false);
  });
});

test('a store whose facts have charged less than its ledger, or have not ended what that has, does not pass the check', () => {
  const at = changed(() => {});
  const problems = withStore(at, (store) => {
    const [{ id, plan }] = store.tasks() as [StoredTask];
    const before = checkStore(store, identity).flatMap(({ problems }) => problems);
    expect(before).toEqual([]);
    const ledger = openLedgerLog(store, identity, federationOf(identity.publicKey));
    const event = chargedEvent(planSchema.parse(JSON.parse(plan)));
    const charge = { kind: 'charge', round: 1, event, sumHash: 'a'.repeat(64), contributions: 5 } as const;
    ledger.commit(() => {
      ledger.append(charge, id, Date.now());
      ledger.append({ kind: 'stop', reason: 'too-few-tenants' }, id, Date.now());
    });
    return checkStore(store, identity).flatMap((each) => each.problems);
  });
  expect(problems.join('\n')).toContain('its facts charge 0 openings, the ledger 1');
  expect(problems.join('\n')).toContain('it is proposed, the ledger has ended it');
});

test('a store whose plan is not signed, or that lies beside another key, does not pass the check', () => {
  const at = changed((at) => sql(at, 'update task set signature = zeroblob(64)'));
  const found = (key: Identity) =>
    withStore(at, (store) =>
      checkStore(store, key).flatMap(({ what, problems }) => problems.map((one) => [what, one])),
    );
  expect(found(identity)).toEqual([['tasks', expect.stringContaining('the signature on its plan does not verify')]]);
  expect(found(createIdentity())).toContainEqual(['key', expect.stringContaining('is not the key of this federation')]);
});
