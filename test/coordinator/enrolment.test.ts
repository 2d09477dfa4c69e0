import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { enrolmentDigest } from '../../aggregation/enrolment.ts';
import { createIdentity, type Identity } from '../../aggregation/identity.ts';
import { hex } from '../../aggregation/plan.ts';
import { EnrolmentRefused, openEnrolment } from '../../coordinator/enrolment.ts';
import { openLedgerLog } from '../../coordinator/ledger-log.ts';
import { openMembers } from '../../coordinator/members.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import { enrolmentRequest } from '../support/federation-on-disk.ts';
import { temporaryFolder } from '../support/folder.ts';

const NOW = 1_700_000_000_000;

function begin() {
  const store = openSqliteStore(join(temporaryFolder(), 'events.db'));
  onTestFinished(() => store.close());
  const time = { now: NOW };
  const ledger = openLedgerLog(store, createIdentity(), hex(createIdentity().publicKey));
  const members = openMembers(store, () => time.now, ledger);
  return { store, time, ledger, members, enrolment: openEnrolment(store, () => time.now, members) };
}

const request = (tenant: string, code: string, identity: Identity = createIdentity()) =>
  enrolmentRequest(tenant, code, identity);

test('a tenant with its code is enrolled, and known by its key after a restart', () => {
  const { store, time, ledger, enrolment } = begin();
  const identity = createIdentity();
  enrolment.enrol(request('amber', enrolment.invite('amber'), identity));
  expect(enrolment.roster()).toEqual([{ tenant: 'amber', key: hex(identity.publicKey) }]);
  const again = openEnrolment(
    store,
    () => time.now,
    openMembers(store, () => time.now, ledger),
  );
  for (const one of [enrolment, again]) {
    expect(hex(one.keyOf('amber')!)).toBe(hex(identity.publicKey));
    expect(one.keyOf('blue')).toBeUndefined();
  }
  expect(ledger.newsSince(0).entries.map((text) => JSON.parse(text))).toMatchObject([
    { kind: 'roster', tenant: 'amber', change: 'enrolled', key: hex(identity.publicKey), task: '-' },
  ]);
});

test('a code has 128 random bits, and only its hash is kept', () => {
  const { store, enrolment } = begin();
  const code = enrolment.invite('amber');
  expect(code).toMatch(/^([0-9a-f]{4}-){7}[0-9a-f]{4}$/);
  expect(enrolment.invite('blue')).not.toBe(code);
  expect(JSON.stringify(store.invitations())).not.toContain(code);
});

describe('nobody is enrolled', () => {
  const refused = (enrol: (begun: ReturnType<typeof begin>, code: string) => void, why: string): void => {
    const begun = begin();
    const code = begun.enrolment.invite('amber');
    expect(() => enrol(begun, code)).toThrow(EnrolmentRefused);
    expect(() => enrol(begun, code)).toThrow(why);
    expect(begun.enrolment.keyOf('amber')).toBeUndefined();
    expect(begun.enrolment.roster()).toEqual([]);
    expect(begun.store.invitations()).toMatchObject([{ usedAt: null }]);
  };

  test('with a wrong code', () => {
    refused(({ enrolment }) => enrolment.enrol(request('amber', '0000-'.repeat(7).concat('0000'))), 'invites nobody');
    refused(({ enrolment }) => enrolment.enrol(request('amber', '')), 'invites nobody');
  });
  test('with a code for another name', () => {
    refused(({ enrolment }, code) => enrolment.enrol(request('blue', code)), 'invites nobody of that name');
  });
  test('with a code that has expired', () => {
    refused(({ enrolment, time }, code) => {
      time.now = NOW + 7 * 24 * 60 * 60 * 1000;
      enrolment.enrol(request('amber', code));
    }, 'has expired');
  });
  test('with a proof that was overheard: it holds for one name and one key', () => {
    refused(({ enrolment }, code) => {
      const { proof } = request('amber', code);
      const thief = createIdentity();
      const own = { tenant: 'amber', key: hex(thief.publicKey), proof };
      enrolment.enrol({ ...own, signature: thief.sign(enrolmentDigest(own)) });
    }, 'invites nobody');
  });
  test('without the key that is offered', () => {
    refused(({ enrolment }, code) => {
      const victim = createIdentity();
      const { signature } = request('amber', code);
      enrolment.enrol({ ...request('amber', code, victim), signature });
    }, 'signature does not verify');
  });
  test('with a key that is none', () => {
    refused(({ enrolment }, code) => enrolment.enrol({ ...request('amber', code), key: 'zz' }), 'invites nobody');
  });
});

describe('a name and a key are given once:', () => {
  test('a code is used up', () => {
    const { enrolment } = begin();
    const code = enrolment.invite('amber');
    enrolment.enrol(request('amber', code));
    expect(() => enrolment.enrol(request('amber', code))).toThrow('was used before');
  });
  test('a second code for the same name enrols nobody else', () => {
    const { enrolment } = begin();
    const [first, second] = [enrolment.invite('amber'), enrolment.invite('amber')];
    const identity = createIdentity();
    enrolment.enrol(request('amber', first, identity));
    expect(() => enrolment.enrol(request('amber', second))).toThrow('enrolled already');
    expect(hex(enrolment.keyOf('amber')!)).toBe(hex(identity.publicKey));
  });
  test('a key that has a name gets no second one', () => {
    const { enrolment } = begin();
    const identity = createIdentity();
    enrolment.enrol(request('amber', enrolment.invite('amber'), identity));
    expect(() => enrolment.enrol(request('blue', enrolment.invite('blue'), identity))).toThrow('enrolled already');
    expect(enrolment.keyOf('blue')).toBeUndefined();
  });
  test('a name that is taken is not invited again', () => {
    const { enrolment } = begin();
    enrolment.enrol(request('amber', enrolment.invite('amber')));
    expect(() => enrolment.invite('amber')).toThrow('amber is enrolled already');
  });
});

test.each(['', 'Amber', '-amber', 'a b', 'a'.repeat(33), 'ambér', '../amber', '__proto__'])(
  '"%s" is no tenant name',
  (name) => {
    const { enrolment, store } = begin();
    expect(() => enrolment.invite(name)).toThrow('is no tenant name');
    expect(store.invitations()).toEqual([]);
  },
);
