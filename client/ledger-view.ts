import { isSignedBy } from '../aggregation/identity.ts';
import type { LedgerNews } from '../aggregation/wire.ts';
import { checkpointText, type LedgerEntry, readEntry, verifyChain } from '../privacy/ledger.ts';
import type { ClientStore } from './client-store.ts';

/**
 * The tenant's own view of the ledger: it only ever grows from the head this tenant saw last.
 *
 * A ledger that forks, shrinks or skips is not the ledger; the client takes part in nothing any more.
 */
export class LedgerBroken extends Error {
  override readonly name = 'LedgerBroken';
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new LedgerBroken('a ledger entry that is not JSON');
  }
}

/**
 * Verifies news against the stored head and the coordinator's signature, and moves the head.
 * @param coordinatorKey - 32 bytes, pinned
 * @returns the new entries
 * @throws LedgerBroken
 */
export function takeInLedger(store: ClientStore, news: LedgerNews, coordinatorKey: Uint8Array): LedgerEntry[] {
  const from = store.ledgerHead();
  const { checkpoint, signature } = news;
  if (!isSignedBy(coordinatorKey, Buffer.from(checkpointText(checkpoint)), signature))
    throw new LedgerBroken("the coordinator's signature on the ledger's head does not verify");
  const candidates = news.entries.map(parsed);
  const verdict = verifyChain(candidates, from);
  if (!verdict.intact)
    throw new LedgerBroken(`the ledger does not continue at entry ${verdict.seq}: ${verdict.problem}`);
  if (verdict.head.size !== checkpoint.size || verdict.head.hash !== checkpoint.head)
    throw new LedgerBroken(
      `the signed head says ${checkpoint.size} entries, this tenant has verified ${verdict.head.size}: two ledgers are being shown`,
    );
  const entries = candidates.map((candidate) => readEntry(candidate) as LedgerEntry);
  if (entries.length > 0) store.addLedger(entries, verdict.head);
  return entries;
}
