import type { Notice } from '../aggregation/notice.ts';
import type { LedgerEntry } from '../privacy/ledger.ts';
import type { ClientStore } from './client-store.ts';
import { LedgerBroken } from './ledger-view.ts';

/**
 * What the ledger may say in this tenant's name: only what the tenant said itself.
 *
 *   said: a key, a notice, a limit, an acceptance ──▶ noted in the store, before it is sent
 *   ledger: an entry about this tenant ──▶ noted? ──no──▶ LedgerBroken: it takes part in nothing any more
 *
 * Roster, erasure and budget entries carry no signature of the tenant: whoever writes the ledger could make them up. And an
 * acceptance that the store does not know means that the store is not the one that has counted what was spent.
 */

/** Notes that this is, or will be, one of this tenant's keys. @param key - hexadecimal */
export const noteKey = (store: ClientStore, key: string): void => store.pin(keyName(key), 'own');

/** Notes a notice before it is sent. Once for each. */
export function noteNotice(store: ClientStore, notice: Notice): void {
  if (notice.kind === 're-key') noteKey(store, notice.next);
  else addCredit(store, CREDIT[notice.kind], 1);
}

/** Notes a limit of a pool before it is told. */
export const noteLimit = (store: ClientStore, pool: string, limit: { epsilon: number; delta: number }): void =>
  store.pin(limitName(pool, limit), 'told');

/**
 * Call with news of the ledger, in the transaction in which they are taken in.
 *
 * @param own - this tenant's name, and its key in hexadecimal
 * @param isFirst - the store held no ledger before: of what was said in earlier lives it knows nothing
 * @throws LedgerBroken naming the entry
 */
export function checkOwnEntries(
  store: ClientStore,
  own: { readonly tenant: string; readonly key: string },
  entries: readonly LedgerEntry[],
  isFirst: boolean,
): void {
  const about = entries.filter((entry) => 'tenant' in entry && entry.tenant === own.tenant);
  for (const entry of about) {
    const problem = entry.kind === 'accept' ? acceptProblem(store, entry.task) : isFirst ? '' : problemOf(store, entry);
    if (problem !== '') throw new LedgerBroken(`ledger entry ${entry.seq}: ${problem}`);
  }
  const last = about.findLast((entry) => entry.kind === 'roster');
  if (last === undefined) return;
  const isIn = last.change === 'enrolled' || last.change === 're-keyed';
  if (!isIn || last.key !== own.key)
    throw new LedgerBroken(`ledger entry ${last.seq}: this tenant is not enrolled any more, or has another key there`);
}

function acceptProblem(store: ClientStore, task: string): string {
  return store.accepted(task) !== undefined || store.pinned(`declined/${task}`) !== undefined
    ? ''
    : 'this tenant accepted a task that its store knows nothing of: the store was lost, or is an old copy. Stop, put the newest copy back, or begin without one and run `parley client restore-budget`';
}

function problemOf(store: ClientStore, entry: LedgerEntry): string {
  switch (entry.kind) {
    case 'roster':
      return rosterProblem(store, entry);
    case 'erasure':
      return addCredit(store, CREDIT.erasure, -1) < 0 ? 'an erasure that this tenant did not notify' : '';
    case 'budget':
      return store.pinned(limitName(entry.pool, entry)) === undefined ? 'a limit that this tenant never told' : '';
    default:
      return '';
  }
}

function rosterProblem(store: ClientStore, { change, key }: Extract<LedgerEntry, { kind: 'roster' }>): string {
  switch (change) {
    case 'enrolled':
    case 're-keyed':
      return store.pinned(keyName(key)) === undefined ? 'a key that was never this tenant’s, under its name' : '';
    case 'left':
      return addCredit(store, CREDIT.leave, -1) < 0 ? 'this tenant has left, and it did not' : '';
    case 'revoked':
      return ''; // the operator's to say
  }
}

const CREDIT = { leave: 'said/leave', erasure: 'said/erasure' } as const;

/** What was said, less what the ledger has of it. @returns after the change */
function addCredit(store: ClientStore, name: string, change: 1 | -1): number {
  const credit = Number(store.pinned(name) ?? 0) + change;
  store.pin(name, String(credit));
  return credit;
}

const keyName = (key: string): string => `own-key/${key}`;
const limitName = (pool: string, { epsilon, delta }: { epsilon: number; delta: number }): string =>
  `told-limit/${pool}/${epsilon}/${delta}`;
