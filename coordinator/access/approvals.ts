import { randomBytes } from 'node:crypto';
import { type Act, actHash } from '../../aggregation/act.ts';
import { type LedgerEntry, NO_TASK } from '../../privacy/ledger.ts';
import type { LedgerLog } from '../ledger-log.ts';
import type { EventStore } from '../store/event-store.ts';
import { AccessRefused } from './access-refused.ts';
import type { Bearer } from './roles.ts';
import { personOf, type Tokens } from './tokens.ts';

/**
 * Sensitive acts (`aggregation/act.ts`), done at once, or when as many people have approved as the federation's rule asks for.
 *
 *   ask ──▶ one is enough? ──▶ done
 *              └─ no ──▶ waits, on disk, for a day ──▶ approved by another ──▶ `approved` and the act in one transaction
 *                                                 └──▶ rejected, or expired
 *
 * The rule stands in the ledger, and changing it is such an act itself: it cannot be lowered by fewer than it asks for, nor unseen.
 * Done exactly once: what waits is dropped in the transaction that does it. What was approved with a token that has been
 * revoked or has expired since counts for nothing, and two tokens of one holder count once. So do a token and somebody who signs in
 * elsewhere: whose hands the token is in no issuer says, and an operator may well have both.
 */
export interface Approvals {
  /** People who must approve. */
  needed(): number;
  /** @throws AccessRefused, and whatever the act itself is refused with: nothing was recorded then */
  ask(act: Act, by: Bearer): Outcome;
  /** As `ask`. */
  approve(id: string, by: Bearer): Outcome;
  /** @throws AccessRefused when nothing waits under this id */
  reject(id: string): void;
  /** The oldest first. */
  pending(): readonly PendingAct[];
  /** Is this a token for somebody who may not approve now? A name that looks like another's is told by that. */
  addsApprover(act: Act): boolean;
}

export type Outcome = { readonly done: unknown } | { readonly pending: PendingAct };

export interface PendingAct {
  /** 16 hexadecimal digits */
  readonly id: string;
  readonly act: Act;
  /** as the ledger will hold it */
  readonly hash: string;
  readonly askedAt: number;
  readonly expiresAt: number;
  readonly approvals: readonly Approver[];
}

type Approver = Pick<Bearer, 'holder' | 'id' | 'issuer'>;

/** The rule itself is changed here. */
export type PerformedAct = Exclude<Act, { kind: 'approval-rule' }>;

export interface ApprovalsWorld {
  readonly store: EventStore;
  readonly ledger: LedgerLog;
  readonly tokens: Pick<Tokens, 'stands' | 'operators'>;
  /** operators may sign in elsewhere: who they are is not known here */
  readonly hasPeople: boolean;
  /** Unix ms */
  readonly clock: () => number;
  /** Throws what `perform` would throw now, as far as that can be told. */
  check(act: PerformedAct): void;
  /** @param also - in the same transaction, first */
  perform(act: PerformedAct, also: () => void): unknown;
}

const DAY = 24 * 60 * 60 * 1000;
/** Acts that wait at one time. */
const MOST_PENDING = 100;

export function openApprovals(world: ApprovalsWorld): Approvals {
  const { store, ledger, tokens, clock } = world;
  let needed = ruleIn(store);
  const waiting = new Map(store.pendingActs().map(({ id, text }) => [id, JSON.parse(text) as PendingAct]));

  function perform(act: Act, also: () => void): unknown {
    if (act.kind !== 'approval-rule') return world.perform(act, also);
    const { approvals } = act;
    checkRule(approvals);
    ledger.commit(() => {
      also();
      ledger.append({ kind: 'approval-rule', approvals }, NO_TASK, clock());
      // codes that one person handed out must not bring in tenants that two would have to agree on
      if (approvals > needed) for (const { tenant } of store.invitations()) store.expireInvitations(tenant, clock());
    });
    needed = approvals;
    return { approvals };
  }

  function checkRule(approvals: number): void {
    if (approvals === needed) throw new AccessRefused(409, `the rule asks for ${needed} already`);
    if (world.hasPeople || tokens.operators().size >= approvals) return;
    throw new AccessRefused(409, `${approvals} people must hold an operator's token first: \`parley token create\``);
  }

  function alive(): PendingAct[] {
    for (const { id, expiresAt } of waiting.values()) if (expiresAt <= clock()) drop(id);
    return [...waiting.values()].sort((a, b) => a.askedAt - b.askedAt);
  }

  function found(id: string): PendingAct {
    const act = alive().find((one) => one.id === id);
    if (act !== undefined) return act;
    throw new AccessRefused(404, `nothing waits for approval under ${id}; \`parley approvals list\` shows what does`);
  }

  function drop(id: string): void {
    store.commit(() => store.dropPendingAct(id));
    waiting.delete(id);
  }

  function keep(pending: PendingAct): Outcome {
    store.commit(() => store.putPendingAct(pending.id, JSON.stringify(pending)));
    waiting.set(pending.id, pending);
    return { pending };
  }

  return {
    needed: () => needed,
    pending: alive,
    addsApprover: (act) => act.kind === 'token' && act.role === 'operator' && !tokens.operators().has(personOf(act)),
    reject: (id) => drop(found(id).id),
    ask(act, by) {
      if (needed === 1) return { done: perform(act, () => {}) };
      if (act.kind === 'approval-rule') checkRule(act.approvals);
      else world.check(act);
      if (alive().length >= MOST_PENDING)
        throw new AccessRefused(409, `${MOST_PENDING} acts wait for approval: approve some of them, or reject them`);
      const id = randomBytes(8).toString('hex');
      const times = { askedAt: clock(), expiresAt: clock() + DAY };
      return keep({ id, act, hash: actHash(act), ...times, approvals: [approverOf(by)] });
    },
    approve(id, by) {
      const pending = found(id);
      const standing = pending.approvals.filter(({ issuer, id }) => issuer !== undefined || tokens.stands(id));
      for (const one of standing) refuseOnePerson(one, by);
      const approvals = [...standing, approverOf(by)];
      if (approvals.length < needed) return keep({ ...pending, approvals });
      const done = perform(pending.act, () => {
        store.dropPendingAct(id);
        const body = { act: pending.act.kind, hash: actHash(pending.act), by: approvals.map((one) => one.id) };
        ledger.append({ kind: 'approved', ...body }, NO_TASK, clock());
      });
      waiting.delete(id);
      return { done };
    },
  };
}

const approverOf = ({ holder, id, issuer }: Bearer): Approver => ({ holder, id, ...(issuer && { issuer }) });

/** @throws AccessRefused when both may be the same */
function refuseOnePerson(before: Approver, now: Approver): void {
  if (before.issuer !== now.issuer)
    throw new AccessRefused(
      409,
      `${before.holder} has approved this, and may be ${now.holder} as well: two who hold tokens must, or two who sign in`,
    );
  if (personOf(before) === personOf(now))
    throw new AccessRefused(409, `${now.holder} has approved this already: another person must`);
}

function ruleIn(store: EventStore): number {
  const rules = store
    .ledger(0)
    .filter((text) => text.includes('"kind":"approval-rule"'))
    .map((text) => JSON.parse(text) as LedgerEntry);
  return rules.findLast((entry) => entry.kind === 'approval-rule')?.approvals ?? 1;
}
