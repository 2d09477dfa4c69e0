import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Act } from '../../../aggregation/act.ts';
import { createIdentity } from '../../../aggregation/identity.ts';
import { PlanRefused } from '../../../aggregation/plan-refused.ts';
import { approvalProblems } from '../../../aggregation/verify-approvals.ts';
import { openAccess } from '../../../coordinator/access/access.ts';
import type { Outcome } from '../../../coordinator/access/approvals.ts';
import { newToken } from '../../../coordinator/access/new-token.ts';
import type { Bearer } from '../../../coordinator/access/roles.ts';
import { openCoordinator } from '../../../coordinator/coordinator.ts';
import type { EventStore } from '../../../coordinator/store/event-store.ts';
import { openSqliteStore } from '../../../coordinator/store/sqlite.ts';
import type { LedgerEntry } from '../../../privacy/ledger.ts';
import { enrol, enrolmentRequest } from '../../support/federation-on-disk.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { FIVE, smallTask } from '../../support/small-task.ts';

const DAY = 86_400_000;
const identity = createIdentity();

/** A coordinator on a file, with two operators, Anna and Ben. @param wrap - what stands between it and the disk */
async function begin(folder = temporaryFolder(), wrap = (store: EventStore) => store) {
  let now = 1_700_000_000_000;
  const clock = (): number => now;
  const store = wrap(openSqliteStore(join(folder, 'events.db')));
  const coordinator = await openCoordinator({ store, identity, clock, version: 'test' });
  const { approvals, tokens } = openAccess({ coordinator, identity, folder, clock });
  const bearer = (holder: string): Bearer => {
    const made = newToken();
    tokens.add({ ...made, role: 'operator', holder, days: 90 });
    return tokens.bearerOf(made.token)!;
  };
  const entries = (): LedgerEntry[] => store.ledger(0).map((text) => JSON.parse(text) as LedgerEntry);
  const kinds = (): string[] => entries().map((entry) => ('act' in entry ? `approved ${entry.act}` : entry.kind));
  const askForTwo = (by: Bearer): Outcome => approvals.ask({ kind: 'approval-rule', approvals: 2 }, by);
  return {
    ...{ folder, store, coordinator, approvals, tokens, bearer, entries, kinds, askForTwo },
    pass(ms: number) {
      now += ms;
    },
  };
}

const invitation: Act = { kind: 'invitation', tenant: 'amber' };
const task: Act = { kind: 'task', settings: smallTask() };
const idOf = (outcome: Outcome): string => ('pending' in outcome ? outcome.pending.id : 'it was done');
const doneOf = <T>(outcome: Outcome): T => ('done' in outcome ? outcome.done : undefined) as T;

/** Where two must approve. */
async function ofTwo(folder?: string) {
  const world = await begin(folder);
  const [anna, ben] = [world.bearer('Anna'), world.bearer('Ben')];
  world.askForTwo(anna);
  return { ...world, anna, ben };
}

test('where one is enough, acts are done at once, and the ledger tells of no approval', async () => {
  const { approvals, bearer, kinds, coordinator } = await begin();
  const { code } = doneOf<{ code: string }>(approvals.ask(invitation, bearer('Anna')));
  coordinator.enrolment.enrol(enrolmentRequest('amber', code, createIdentity()));
  expect(doneOf(approvals.ask({ kind: 'revocation', tenant: 'amber' }, bearer('Anna')))).toEqual({ tenant: 'amber' });
  expect(kinds()).toEqual(['roster', 'roster']);
  expect(approvals.pending()).toEqual([]);
});

describe('the rule of two', () => {
  test('needs two people who could keep it', async () => {
    const { approvals, bearer, askForTwo, kinds, tokens } = await begin();
    for (const { id } of tokens.list()) tokens.revoke(id); // the folder's own
    const anna = bearer('Anna');
    bearer('ANNA ');
    expect(() => askForTwo(anna)).toThrow('2 people must hold an operator');
    bearer('Ben');
    expect(doneOf(askForTwo(anna))).toEqual({ approvals: 2 });
    expect([approvals.needed(), kinds()]).toEqual([2, ['approval-rule']]);
    expect(() => askForTwo(anna)).toThrow('the rule asks for 2 already');
  });

  test('is lowered by two, and stands in the ledger after a restart', async () => {
    const { approvals, anna, ben, folder, store } = await ofTwo();
    const id = idOf(approvals.ask({ kind: 'approval-rule', approvals: 1 }, anna));
    expect(approvals.needed()).toBe(2);
    store.close();
    const again = await begin(folder);
    expect(again.approvals.needed()).toBe(2);
    again.approvals.approve(id, ben);
    expect(again.approvals.needed()).toBe(1);
    expect(again.kinds()).toEqual(['approval-rule', 'approved approval-rule', 'approval-rule']);
    expect(approvalProblems(again.entries())).toEqual([]);
  });

  test('ends the codes that one person has handed out', async () => {
    const { approvals, bearer, askForTwo, coordinator, entries } = await begin();
    const anna = bearer('Anna');
    bearer('Ben');
    const { code } = doneOf<{ code: string }>(approvals.ask(invitation, anna));
    askForTwo(anna);
    const join = () => coordinator.enrolment.enrol(enrolmentRequest('amber', code, createIdentity()));
    expect(join).toThrow('has expired');
    expect(approvalProblems(entries())).toEqual([]);
  });
});

describe('where two must approve, an act', () => {
  test('waits for another person, whatever it is, and is done in the transaction that says who approved', async () => {
    const { approvals, anna, ben, coordinator, kinds, entries, tokens } = await ofTwo();
    for (const tenant of FIVE.slice(1)) {
      const asked = idOf(approvals.ask({ kind: 'invitation', tenant }, ben));
      const { code } = doneOf<{ code: string }>(approvals.approve(asked, anna));
      coordinator.enrolment.enrol(enrolmentRequest(tenant, code, createIdentity()));
    }
    const before = kinds().length;
    const made = newToken();
    const token: Act = {
      kind: 'token',
      id: made.id,
      secretHash: made.secretHash,
      role: 'auditor',
      holder: 'Cleo',
      days: 9,
    };
    const asked = [invitation, token, { kind: 'revocation', tenant: 'blue' } as const].map((act) =>
      idOf(approvals.ask(act, anna)),
    );
    expect(kinds()).toHaveLength(before);
    expect(coordinator.store.invitations().some(({ tenant }) => tenant === 'amber')).toBe(false);
    expect(tokens.bearerOf(made.token)).toBeUndefined();

    const [invited] = asked.map((id) => approvals.approve(id, ben));
    const { code } = doneOf<{ code: string }>(invited!);
    coordinator.enrolment.enrol(enrolmentRequest('amber', code, createIdentity()));
    expect(tokens.bearerOf(made.token)).toMatchObject({ holder: 'Cleo', role: 'auditor' });
    expect(kinds().slice(before)).toEqual([
      ...['approved invitation', 'approved token', 'approved revocation', 'roster', 'roster'],
    ]);
    expect(entries().find((entry) => entry.kind === 'approved' && entry.act === 'token')).toMatchObject({
      by: [anna.id, ben.id],
    });
    expect(JSON.stringify(entries())).not.toMatch(/Anna|Ben|Cleo/);
    expect(approvalProblems(entries())).toEqual([]);
    expect(approvals.pending()).toEqual([]);
  });

  test('is not approved twice by one person, with another token of the same name either', async () => {
    const { approvals, anna, bearer, kinds } = await ofTwo();
    const id = idOf(approvals.ask(invitation, anna));
    for (const same of [anna, bearer('anna'), bearer('Anna ')])
      expect(() => approvals.approve(id, same)).toThrow('another person must');
    const other = idOf(approvals.ask(invitation, bearer('Dora Dahl')));
    expect(() => approvals.approve(other, bearer('dora  dahl'))).toThrow('another person must');
    expect(kinds()).toEqual(['approval-rule']);
  });

  test('is not approved by a token that was revoked meanwhile', async () => {
    const { approvals, anna, ben, bearer, tokens } = await ofTwo();
    const id = idOf(approvals.ask(invitation, anna));
    tokens.revoke(anna.id);
    expect(approvals.approve(id, ben)).toMatchObject({ pending: { approvals: [{ holder: 'Ben' }] } });
    expect(approvals.approve(id, bearer('Anna'))).toMatchObject({ done: { tenant: 'amber' } });
  });

  test('is not approved by a token that is not here; people who sign in elsewhere have none', async () => {
    const { approvals, anna, ben, kinds } = await ofTwo();
    const id = idOf(approvals.ask(invitation, { ...anna, id: '0'.repeat(16) }));
    expect(approvals.approve(id, ben)).toMatchObject({ pending: { approvals: [{ holder: 'Ben' }] } });
    const issuer = 'https://sso.example';
    const [carla, dora] = ['Carla', 'Dora'].map(
      (holder, i): Bearer => ({ ...anna, holder, issuer, id: String(i).repeat(16) }),
    );
    const other = idOf(approvals.ask(invitation, carla!));
    expect(approvals.approve(other, dora!)).toMatchObject({ done: { tenant: 'amber' } });
    expect(kinds().slice(-1)).toEqual(['approved invitation']);
  });

  test('is done once, and not after it was rejected', async () => {
    const { approvals, anna, ben, kinds, store } = await ofTwo();
    const [first, second] = [approvals.ask(invitation, anna), approvals.ask(invitation, anna)].map(idOf) as [
      string,
      string,
    ];
    approvals.approve(first, ben);
    expect(() => approvals.approve(first, ben)).toThrow('nothing waits for approval');
    approvals.reject(second);
    expect(() => approvals.approve(second, ben)).toThrow('nothing waits for approval');
    expect(() => approvals.reject('0'.repeat(16))).toThrow('nothing waits for approval');
    expect(kinds()).toEqual(['approval-rule', 'approved invitation']);
    expect(store.pendingActs()).toEqual([]); // nor after a restart
  });

  test('waits for a day, also over a restart, and no longer', async () => {
    const { approvals, anna, ben, folder, store } = await ofTwo();
    const id = idOf(approvals.ask(invitation, anna));
    store.close();
    const again = await begin(folder);
    expect(again.approvals.pending()).toMatchObject([{ id, act: invitation, approvals: [{ holder: 'Anna' }] }]);
    again.pass(DAY - 1);
    expect(again.approvals.pending()).toHaveLength(1);
    again.pass(1);
    expect(() => again.approvals.approve(id, ben)).toThrow('nothing waits for approval');
    expect(again.store.pendingActs()).toEqual([]);
  });

  test('that cannot be is not asked for, and one that cannot be any more is refused and waits on', async () => {
    const { approvals, anna, ben, coordinator, kinds } = await ofTwo();
    expect(() => approvals.ask(task, anna)).toThrow(PlanRefused);
    expect(approvals.pending()).toEqual([]);
    for (const tenant of FIVE) enrol(coordinator.enrolment, tenant, createIdentity());
    const id = idOf(approvals.ask(task, anna));
    for (const tenant of FIVE.slice(2)) coordinator.revoke(tenant);
    const before = kinds().length;
    expect(() => approvals.approve(id, ben)).toThrow(PlanRefused);
    expect(kinds()).toHaveLength(before);
    for (const tenant of FIVE.slice(2)) enrol(coordinator.enrolment, tenant, createIdentity());
    // the plan is of the roster as it is now
    expect(doneOf(approvals.approve(id, ben))).toMatchObject({ phase: 'proposed' });
    expect(kinds().slice(-2)).toEqual(['approved task', 'plan']);
    expect(coordinator.tasks()).toHaveLength(1);
  });

  test('is not asked for with a name that is none, which would be text on another’s terminal', async () => {
    const { approvals, anna } = await ofTwo();
    const name = 'north\u001b[2K\rnobody';
    expect(() => approvals.ask({ kind: 'invitation', tenant: name }, anna)).toThrow('is no tenant name');
    expect(() => approvals.ask({ kind: 'revocation', tenant: name }, anna)).toThrow('is not enrolled');
    expect(approvals.pending()).toEqual([]);
  });

  test('that makes one more person who may approve is told from another token of the same person', async () => {
    const { approvals } = await ofTwo();
    const of = (holder: string, role: 'operator' | 'auditor' = 'operator'): Act => ({
      ...{ kind: 'token', id: '0'.repeat(16), secretHash: '0'.repeat(64), days: 9 },
      ...{ holder, role },
    });
    expect(approvals.addsApprover(of('ANNA'))).toBe(false);
    expect(approvals.addsApprover(of('\u0410nna'))).toBe(true); // a Cyrillic А
    expect(approvals.addsApprover(of('Cleo', 'auditor'))).toBe(false);
    expect(approvals.addsApprover(invitation)).toBe(false);
  });

  test('that the disk does not take is not done, and can be approved again', async () => {
    let isFull = false;
    const full = (store: EventStore): EventStore => ({
      ...store,
      commit: (work) =>
        store.commit(() => {
          const done = work();
          if (isFull) throw Object.assign(new Error('disk full'), { errcode: 13 });
          return done;
        }),
    });
    const { approvals, bearer, kinds, askForTwo, coordinator } = await begin(temporaryFolder(), full);
    const [anna, ben] = [bearer('Anna'), bearer('Ben')];
    askForTwo(anna);
    const id = idOf(approvals.ask(invitation, anna));
    isFull = true;
    expect(() => approvals.approve(id, ben)).toThrow('disk full');
    expect([kinds(), coordinator.ledger.head.size]).toEqual([['approval-rule'], 1]);
    isFull = false;
    expect(approvals.approve(id, ben)).toMatchObject({ done: { tenant: 'amber' } });
  });

  test('is one of a hundred at most', async () => {
    const { approvals, anna } = await ofTwo();
    for (let i = 0; i < 100; i++) approvals.ask(invitation, anna);
    expect(() => approvals.ask(invitation, anna)).toThrow('100 acts wait for approval');
  });
});
