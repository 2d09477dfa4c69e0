import { federationOf } from '../../aggregation/federation.ts';
import type { Identity } from '../../aggregation/identity.ts';
import { planSchema } from '../../aggregation/plan.ts';
import { protocolNamed } from '../../aggregation/protocols.ts';
import type { LedgerEntry } from '../../privacy/ledger.ts';
import { replay } from '../advance-task.ts';
import { openLedgerLog } from '../ledger-log.ts';
import type { EventStore, StoredTask } from '../store/event-store.ts';
import { rulesOf } from '../task-facts.ts';
import { rosterIn } from './check.ts';
import type { LaterEntries } from './later-entries.ts';

/** What taking over did. */
export interface TakenOver {
  /** entries that the backup did not hold */
  readonly entries: number;
  /** tasks that were ended */
  readonly ended: readonly string[];
}

/**
 * Brings a store from a backup to where the ledger is, so that no privacy event is forgotten: entries, cosigned notes and the
 * roster are taken over, and every task that ran in the backup or began after it is ended. What tenants said is lost, so none goes
 * on; what it charged stays charged.
 *
 * @param now - Unix ms
 */
export function takeOver(store: EventStore, identity: Identity, later: LaterEntries, now: number): TakenOver {
  const size = store.ledger(0).length;
  store.commit(() => {
    for (let seq = size; seq < later.entries.length; seq++) store.addLedgerEntry(seq, later.entries[seq]!);
    for (const { size: of, note } of later.notes) store.putNote(of, note);
  });
  const entries = store.ledger(0).map((text) => JSON.parse(text) as LedgerEntry);
  store.commit(() => bringRoster(store, entries));
  return { entries: entries.length - size, ended: endTasks(store, identity, entries, now) };
}

/**
 * Takes back what may have been taken back since the backup, and nothing says so: codes that may have been used, tokens that may
 * have been revoked, acts that may have been done.
 */
export function forgetPermissions(store: EventStore, now: number): void {
  store.commit(() => {
    for (const { tenant } of store.invitations()) store.expireInvitations(tenant, now);
    for (const { id } of store.pendingActs()) store.dropPendingAct(id);
    for (const { id } of store.tokens()) store.revokeToken(id, now);
  });
}

function bringRoster(store: EventStore, entries: readonly LedgerEntry[]): void {
  const roster = rosterIn(entries);
  const before = new Map(store.roster().map(({ tenant, key }) => [tenant, key]));
  for (const tenant of before.keys()) if (!roster.has(tenant)) store.removeTenant(tenant);
  for (const [tenant, key] of roster) {
    if (!before.has(tenant)) store.enrol(tenant, key, enrolledAt(entries, tenant));
    else if (before.get(tenant) !== key) store.rekey(tenant, key);
  }
}

const enrolledAt = (entries: readonly LedgerEntry[], tenant: string): number =>
  entries.findLast((entry) => entry.kind === 'roster' && entry.tenant === tenant)!.time;

function endTasks(store: EventStore, identity: Identity, entries: readonly LedgerEntry[], now: number): string[] {
  const ledger = openLedgerLog(store, identity, federationOf(identity.publicKey));
  const time = Math.max(now, entries.at(-1)?.time ?? 0);
  const of = Map.groupBy(entries, ({ task }) => task);
  const hasEnded = (task: string): boolean =>
    (of.get(task) ?? []).some(({ kind }) => kind === 'stop' || kind === 'finish');
  const stored = new Set(store.tasks().map(({ id }) => id));
  const running = store.tasks().filter((task) => isRunning(store, task));
  const unknown = entries.flatMap(({ kind, task }) =>
    kind === 'plan' && !stored.has(task) && !hasEnded(task) ? [task] : [],
  );
  ledger.commit(() => {
    for (const { id } of running) {
      store.addFact(id, { type: 'restored', ...spentBy(of.get(id) ?? []) });
      store.eraseTask(id);
      if (!hasEnded(id)) ledger.append({ kind: 'stop', reason: 'restored' }, id, time);
    }
    for (const id of unknown) ledger.append({ kind: 'stop', reason: 'restored' }, id, time);
  });
  for (const { id } of running) while (store.eraseParts(id, Number.MAX_SAFE_INTEGER));
  return [...running.map(({ id }) => id), ...unknown];
}

/** Not over, and more is left than that its end is cosigned. */
function isRunning(store: EventStore, { id, plan: text }: StoredTask): boolean {
  const plan = planSchema.parse(JSON.parse(text));
  const state = replay(store.facts(id), rulesOf(plan, protocolNamed(plan.settings.secureSum.protocol)));
  return state.phase === 'proposed' || (state.phase === 'running' && state.end === undefined);
}

function spentBy(entries: readonly LedgerEntry[]): { charges: number; rounds: number } {
  const rounds = entries.flatMap((entry) => ('round' in entry ? [entry.round] : []));
  return { charges: entries.filter(({ kind }) => kind === 'charge').length, rounds: Math.max(0, ...rounds) };
}
