import { stretches } from '../../aggregation/stored-vector.ts';
import { PART_BYTES } from '../../aggregation/wire.ts';
import type { LedgerEntry } from '../../privacy/ledger.ts';
import { vectorIn } from '../hearing.ts';
import type { BodyPlace, EventStore } from '../store/event-store.ts';
import { placesNeeded } from './check-task.ts';

/**
 * Copies a store into an empty one, of whichever kind: everything but what tenants said that no task needs any more, and vectors
 * that are half here. A sum, a statement, or parameters, at a time.
 */
export function copyStore(from: EventStore, to: EventStore, federation: string): void {
  to.claim(federation);
  for (const task of from.tasks()) {
    const { id } = task;
    to.commit(() => {
      to.addTask(task);
      for (const fact of from.facts(id)) to.addFact(id, fact);
    });
    for (const sum of from.sums(id, 0)) to.commit(() => to.putSum(id, sum));
    for (const place of placesNeeded(from, task)) copySaid(from, to, id, place);
  }
  const entries = from.ledger(0);
  for (const hash of parametersNamed(from, entries)) copyParameters(from, to, hash);
  to.commit(() => {
    for (const [seq, text] of entries.entries()) to.addLedgerEntry(seq, text);
    for (const { size, note } of from.notes(0)) to.putNote(size, note);
    for (const invitation of from.invitations()) to.addInvitation(invitation);
    for (const { tenant, key, enrolledAt } of from.roster()) to.enrol(tenant, key, enrolledAt);
    for (const { id, at } of from.notices()) to.addNotice(id, at);
    for (const { tenant, pool, text } of from.standings()) to.putStanding(tenant, pool, text);
    for (const { id, text } of from.pendingActs()) to.putPendingAct(id, text);
    for (const token of from.tokens()) {
      to.addToken(token);
      if (token.revokedAt !== null) to.revokeToken(token.id, token.revokedAt);
    }
  });
}

/** What was said at a place, each statement with its vector. */
function copySaid(from: EventStore, to: EventStore, task: string, place: BodyPlace): void {
  for (const [tenant, body] of from.bodies(task, place))
    to.commit(() => {
      for (const { from: at } of stretches(vectorIn(body)?.length ?? 0, PART_BYTES)) {
        const bytes = from.part(task, place, tenant, at);
        if (bytes !== undefined) to.putPart(task, place, tenant, at, bytes); // one that is missing `checkStore` names
      }
      to.putBody(task, place, tenant, body);
    });
}

/** What tasks start from, and what the ledger releases. */
function parametersNamed(store: EventStore, entries: readonly string[]): Set<string> {
  const starts = store.tasks().flatMap(({ id }) => {
    const [first] = store.facts(id);
    return first?.type === 'proposed' ? [first.model] : [];
  });
  const released = parsed(entries).flatMap((entry) => (entry.kind === 'release' ? [entry.modelHash] : []));
  return new Set([...starts, ...released]);
}

function copyParameters(from: EventStore, to: EventStore, hash: string): void {
  const bytes = from.parameters(hash);
  if (bytes !== undefined) to.commit(() => to.putParameters(hash, bytes));
}

const parsed = (entries: readonly string[]): LedgerEntry[] => entries.map((text) => JSON.parse(text) as LedgerEntry);
