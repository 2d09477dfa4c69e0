import { type Plan, taskId } from '../aggregation/plan.ts';
import type { LedgerNews } from '../aggregation/wire.ts';
import { checkpointIn, logKey, witnessedBy } from '../aggregation/witness.ts';
import { type LedgerEntry, verifyChain } from '../privacy/ledger.ts';
import { TransparencyRefused } from '../privacy/transparency/canonical-text.ts';
import { rootOf } from '../privacy/transparency/merkle.ts';
import { formatVerifierKey } from '../privacy/transparency/verifier-key.ts';
import type { ClientStore } from './client-store.ts';
import { type Policy, pinnedTenants } from './policy.ts';

/**
 * The tenant's own view of the ledger: it only ever grows from the head this tenant saw last.
 *
 * A ledger that forks, shrinks or skips is not the ledger; the client takes part in nothing any more.
 */
export class LedgerBroken extends Error {
  override readonly name = 'LedgerBroken';
}

/**
 * Verifies news against the stored head and the coordinator's note, and moves the head.
 *
 * @param coordinatorKey - 32 bytes, pinned
 * @returns the new entries
 * @throws LedgerBroken
 */
export function takeInLedger(
  store: ClientStore,
  { entries: texts, note }: LedgerNews,
  coordinatorKey: Uint8Array,
): LedgerEntry[] {
  const signed = broken(() => checkpointIn(note, coordinatorKey));
  const entries: LedgerEntry[] = [];
  const verdict = verifyChain(texts, store.ledgerHead(), (entry) => entries.push(entry));
  if (!verdict.intact)
    throw new LedgerBroken(`the ledger does not continue at entry ${verdict.seq}: ${verdict.problem}`);
  const { head } = verdict;
  if (signed.size !== head.size || !rootOf(head).every((byte, i) => byte === signed.root[i]))
    throw new LedgerBroken(
      `the signed head says ${signed.size} entries, this tenant has verified ${head.size}: two ledgers are being shown`,
    );
  if (entries.length > 0) store.addLedger(entries, head);
  if (entries.length > 0 || !store.ledgerNotes().has('head')) {
    store.keepLedgerNote('head', note);
    store.keepLedgerNote('log', formatVerifierKey(logKey(coordinatorKey)));
  }
  return entries;
}

/**
 * Keeps a note that the plan's quorum has cosigned.
 *
 * @throws LedgerBroken when it is not cosigned by that quorum, of tenants that are pinned here, or over another tree
 */
export function takeInWitnessed(
  { store, policy }: { store: ClientStore; policy: Policy },
  plan: Plan,
  note: string,
  coordinatorKey: Uint8Array,
): void {
  const { checkpoint, cosignedBy } = broken(() => witnessedBy(plan, note, coordinatorKey));
  const { size, root } = checkpoint;
  // ghosts of the coordinator's cosign whatever it likes
  const pinned = pinnedTenants(policy, plan);
  if (cosignedBy.filter(({ name }) => pinned.has(name)).length < plan.derived.threshold)
    throw new LedgerBroken(`fewer than ${plan.derived.threshold} pinned tenants have cosigned the ledger`);
  const mine = store.ledgerRootAt(size);
  if (mine === undefined || !mine.every((byte, i) => byte === root[i]))
    throw new LedgerBroken(`a checkpoint over ${size} entries was cosigned that are not those this tenant has seen`);
  store.keepLedgerNote(String(size), note);
  if (size > witnessedSize(store, taskId(plan))) store.pin(witnessedName(taskId(plan)), JSON.stringify({ size, note }));
}

/** Entries up to which the task's quorum has cosigned; 0 when it has not. */
export function witnessedSize(store: ClientStore, task: string): number {
  const kept = store.pinned(witnessedName(task));
  return kept === undefined ? 0 : (JSON.parse(kept) as { size: number }).size;
}

const witnessedName = (task: string): string => `witnessed/${task}`;

function broken<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof TransparencyRefused) throw new LedgerBroken(error.message);
    throw error;
  }
}
