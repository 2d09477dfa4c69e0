import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createIdentity, type Identity, isSignedBy } from '../../aggregation/identity.ts';
import { type Notice, receiptDigest, type SignedNotice, signNotice } from '../../aggregation/notice.ts';
import { hex } from '../../aggregation/plan.ts';
import { openEnrolment } from '../../coordinator/enrolment.ts';
import { openLedgerLog } from '../../coordinator/ledger-log.ts';
import { openMembers } from '../../coordinator/members.ts';
import { NoticeRefused, openNotices } from '../../coordinator/notices.ts';
import type { EventStore } from '../../coordinator/store/event-store.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import { enrol, enrolmentRequest } from '../support/federation-on-disk.ts';
import { temporaryFolder } from '../support/folder.ts';

const FEDERATION = 'f'.repeat(64);
const NOW = 1_700_000_000_000;
const clock = (): number => NOW;
const coordinator = createIdentity();

/** A coordinator's rooms on a file, without its connections. */
function open(file: string, changed: (tenant: string) => void = () => {}) {
  const store = openSqliteStore(file);
  onTestFinished(() => {
    try {
      store.close();
    } catch {
      // closed by the test
    }
  });
  const ledger = openLedgerLog(store, coordinator, FEDERATION);
  const members = openMembers(store, clock, ledger, changed);
  const enrolment = openEnrolment(store, clock, members);
  const notices = openNotices({ store, ledger, members, identity: coordinator, federation: FEDERATION, clock });
  return { store, ledger, members, enrolment, notices };
}

function begin() {
  const file = join(temporaryFolder(), 'events.db');
  const changed: string[] = [];
  const opened = open(file, (tenant) => changed.push(tenant));
  const [amber, blue] = [createIdentity(), createIdentity()];
  enrol(opened.enrolment, 'amber', amber);
  enrol(opened.enrolment, 'blue', blue);
  return { ...opened, file, changed, amber, blue };
}

let nonces = 0;
const nonce = (): string => (++nonces).toString(16).padStart(64, '0');
const key = (identity: Identity): string => hex(identity.publicKey);
const leaving = (by: Identity, tenant = 'amber'): Notice => ({ kind: 'leave', tenant, key: key(by), nonce: nonce() });
const erasing = (by: Identity, tenant = 'amber'): Notice => ({ kind: 'erasure', tenant, key: key(by), nonce: nonce() });
const rekeying = (from: Identity, to: Identity, tenant = 'amber'): Notice => ({
  ...{ kind: 're-key', tenant, key: key(from), next: key(to), nonce: nonce() },
});
const leave = (by: Identity, tenant?: string): SignedNotice => signNotice(leaving(by, tenant), FEDERATION, by.sign);
const erasure = (by: Identity, tenant?: string): SignedNotice => signNotice(erasing(by, tenant), FEDERATION, by.sign);
const rekey = (from: Identity, to: Identity, tenant?: string): SignedNotice =>
  signNotice(rekeying(from, to, tenant), FEDERATION, from.sign, to.sign);

/** Entries after the two that enrolled amber and blue. */
const entriesIn = (store: EventStore) => store.ledger(2).map((text) => JSON.parse(text));

describe('another key', () => {
  test('takes the place of the old one, in the roster and in the ledger, and still does after a restart', () => {
    const { notices, members, store, file, amber, blue, changed } = begin();
    const next = createIdentity();
    const signed = rekey(amber, next);
    const receipt = notices.hear(signed);
    expect(isSignedBy(coordinator.publicKey, receiptDigest(signed.notice, FEDERATION), receipt)).toBe(true);
    expect(changed.at(-1)).toBe('amber');
    expect(entriesIn(store)).toMatchObject([
      { kind: 'roster', tenant: 'amber', change: 're-keyed', key: key(next), replaces: key(amber), task: '-' },
    ]);
    expect(hex(members.keyOf('amber')!)).toBe(key(next));
    store.close();
    const again = open(file);
    expect(again.members.roster()).toEqual([
      { tenant: 'amber', key: key(next) },
      { tenant: 'blue', key: key(blue) },
    ]);
    expect(hex(again.members.keyOf('amber')!)).toBe(key(next));
    expect(again.members.lastKeyOf('amber')).toBe(key(next));
    expect(again.members.mayHave('amber', key(amber))).toBe(false); // retired, the ledger says
  });

  test('is none that somebody has, or had before: not another tenant’s, not its own old one', () => {
    const { notices, store, amber, blue } = begin();
    expect(() => notices.hear(rekey(amber, blue))).toThrow('the new key is somebody’s, or was before');
    expect(() => notices.hear(rekey(amber, amber))).toThrow('the new key is somebody’s');
    const next = createIdentity();
    notices.hear(rekey(amber, next));
    expect(() => notices.hear(rekey(next, amber))).toThrow('the new key is somebody’s, or was before');
    expect(() => notices.hear(rekey(blue, amber, 'blue'))).toThrow('the new key is somebody’s, or was before');
    expect(entriesIn(store)).toHaveLength(1);
  });

  test('leaves the old one nothing to say', () => {
    const { notices, store, amber } = begin();
    const [next, third] = [createIdentity(), createIdentity()];
    notices.hear(rekey(amber, next));
    for (const signed of [leave(amber), erasure(amber), rekey(amber, third)])
      expect(() => notices.hear(signed)).toThrow('not an enrolled tenant, or not its key');
    expect(entriesIn(store)).toHaveLength(1);
    notices.hear(erasure(next));
    expect(entriesIn(store)).toHaveLength(2);
  });
});

describe('nothing is heard, and nothing written,', () => {
  const forgeries: readonly [string, (begun: ReturnType<typeof begin>) => SignedNotice][] = [
    [
      'of a key change that another tenant signs',
      ({ amber, blue }) => signNotice(rekeying(amber, blue), FEDERATION, blue.sign, blue.sign),
    ],
    [
      'of a key change that the coordinator signs',
      ({ amber }) => {
        const own = createIdentity();
        return signNotice(rekeying(amber, own), FEDERATION, coordinator.sign, own.sign);
      },
    ],
    [
      'of a key change that the old key alone signs',
      ({ amber }) => signNotice(rekeying(amber, createIdentity()), FEDERATION, amber.sign),
    ],
    ['of leaving, in the name of another', ({ blue }) => leave(blue, 'amber')],
    [
      'of leaving, with the right key and another’s signature',
      ({ amber, blue }) => signNotice(leaving(amber), FEDERATION, blue.sign),
    ],
    ['of leaving, by the coordinator', ({ amber }) => signNotice(leaving(amber), FEDERATION, coordinator.sign)],
    ['of leaving another federation', ({ amber }) => signNotice(leaving(amber), 'e'.repeat(64), amber.sign)],
    ['of an erasure in the name of another', ({ blue }) => erasure(blue, 'amber')],
    ['of an erasure by the coordinator', ({ amber }) => signNotice(erasing(amber), FEDERATION, coordinator.sign)],
    ['of somebody nobody knows', () => leave(createIdentity(), 'mauve')],
  ];
  test.each(forgeries)('%s', (_, forged) => {
    const begun = begin();
    const before = begun.members.roster();
    expect(() => begun.notices.hear(forged(begun))).toThrow(NoticeRefused);
    expect(begun.members.roster()).toEqual(before);
    expect(entriesIn(begun.store)).toEqual([]);
  });
});

describe('what was heard once', () => {
  test.each([
    ['an erasure', erasure],
    ['leaving', leave],
  ])('has no effect again, %s: but its receipt is given again', (_, notice) => {
    const { notices, store, amber } = begin();
    const signed = notice(amber);
    const receipt = notices.hear(signed);
    const error = caught(() => notices.hear(signed));
    expect(error).toMatchObject({ message: expect.stringContaining('was heard before'), receipt });
    expect(entriesIn(store)).toHaveLength(1);
  });

  test('has none when its tenant is back, with the same key', () => {
    const { notices, members, enrolment, store, amber } = begin();
    const signed = leave(amber);
    notices.hear(signed);
    enrol(enrolment, 'amber', amber);
    expect(() => notices.hear(signed)).toThrow('was heard before');
    expect(hex(members.keyOf('amber')!)).toBe(key(amber));
    notices.hear(leave(amber)); // another notice: it may leave again
    expect(entriesIn(store).map(({ change }) => change)).toEqual(['left', 'enrolled', 'left']);
  });

  test('has none after a restart', () => {
    const { notices, store, file, amber } = begin();
    const signed = erasure(amber);
    notices.hear(signed);
    store.close();
    expect(() => open(file).notices.hear(signed)).toThrow('was heard before');
  });

  test('gives no receipt to who shows it with another signature', () => {
    const { notices, amber, blue } = begin();
    const signed = erasure(amber);
    notices.hear(signed);
    const error = caught(() => notices.hear({ ...signed, signature: erasure(blue).signature }));
    expect(error).toMatchObject({ receipt: undefined, message: expect.stringContaining('does not verify') });
  });
});

test('an erasure is in the ledger without a word on who or how many', () => {
  const { notices, store, amber } = begin();
  notices.hear(erasure(amber));
  const [{ seq, previous, time, federation, v, ...said }] = entriesIn(store) as [Record<string, unknown>];
  void [seq, previous, time, federation, v];
  expect(said).toEqual({ kind: 'erasure', tenant: 'amber', task: '-' });
});

describe('a tenant that is gone', () => {
  test('by leaving, comes back with a new code, under its name, with its old key or another', () => {
    const { notices, members, enrolment, store, amber } = begin();
    notices.hear(leave(amber));
    expect(members.keyOf('amber')).toBeUndefined();
    expect(() => notices.hear(erasure(amber))).toThrow('not an enrolled tenant');
    enrol(enrolment, 'amber', amber);
    notices.hear(leave(amber));
    const next = createIdentity();
    enrol(enrolment, 'amber', next);
    expect(entriesIn(store).at(-1)).toMatchObject({ change: 'enrolled', key: key(next), replaces: key(amber) });
    expect(entriesIn(store)[1]).not.toHaveProperty('replaces');
  });

  test('by revocation, comes back with another key alone', () => {
    const { members, enrolment, store, amber, blue } = begin();
    members.change({ tenant: 'amber', change: 'revoked', key: key(amber) });
    const code = enrolment.invite('amber');
    expect(() => enrolment.enrol(enrolmentRequest('amber', code, amber))).toThrow('revoked or replaced before');
    const other = enrolment.invite('mauve');
    expect(() => enrolment.enrol(enrolmentRequest('mauve', other, amber))).toThrow('revoked or replaced before');
    const next = createIdentity();
    enrolment.enrol(enrolmentRequest('amber', code, next));
    expect(entriesIn(store)).toMatchObject([
      { tenant: 'amber', change: 'revoked', key: key(amber) },
      { tenant: 'amber', change: 'enrolled', key: key(next), replaces: key(amber) },
    ]);
    expect(members.roster()).toEqual([
      { tenant: 'amber', key: key(next) },
      { tenant: 'blue', key: key(blue) },
    ]);
  });

  test('does not come back with a code from before', () => {
    const { members, enrolment } = open(join(temporaryFolder(), 'events.db'));
    const [amber, thief] = [createIdentity(), createIdentity()];
    const [first, second] = [enrolment.invite('amber'), enrolment.invite('amber')];
    enrolment.enrol(enrolmentRequest('amber', first, amber));
    members.change({ tenant: 'amber', change: 'revoked', key: key(amber) });
    expect(() => enrolment.enrol(enrolmentRequest('amber', second, thief))).toThrow('has expired');
    expect(members.keyOf('amber')).toBeUndefined();
  });

  test('leaves its key to nobody else', () => {
    const { notices, enrolment, amber } = begin();
    notices.hear(leave(amber));
    const code = enrolment.invite('mauve');
    expect(() => enrolment.enrol(enrolmentRequest('mauve', code, amber))).toThrow('revoked or replaced before');
  });
});

test('a change that the disk does not take is none: roster, ledger and memory stay as they were', () => {
  const { store, members, notices, amber } = begin();
  const full: EventStore = {
    ...store,
    commit: (work) =>
      store.commit(() => {
        work();
        throw Object.assign(new Error('disk full'), { errcode: 13 });
      }),
  };
  const ledger = openLedgerLog(full, coordinator, FEDERATION);
  const head = ledger.head.size;
  const broken = openMembers(full, clock, ledger);
  const next = createIdentity();
  const hear = openNotices({
    store: full,
    ledger,
    members: broken,
    identity: coordinator,
    federation: FEDERATION,
    clock,
  });
  const signed = rekey(amber, next);
  expect(() => hear.hear(signed)).toThrow('disk full');
  expect(ledger.head.size).toBe(head);
  expect(hex(broken.keyOf('amber')!)).toBe(key(amber));
  expect(broken.mayHave('amber', key(next))).toBe(true);
  notices.hear(signed); // nothing of the first try is left: not even that it was heard
  expect(hex(members.keyOf('amber')!)).toBe(key(next));
});

function caught(work: () => void): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}

test('a tenant gives 200 notices a day at most, and takes nothing from the others', () => {
  const { notices, store, amber, blue } = begin();
  // its enrolment is one of them
  for (let i = 0; i < 199; i++) notices.hear(erasure(amber));
  expect(() => notices.hear(erasure(amber))).toThrow('200 notices a day are taken from a tenant');
  expect(entriesIn(store)).toHaveLength(199);
  notices.hear(erasure(blue, 'blue'));
  expect(entriesIn(store)).toHaveLength(200);
});
