import type { Identity } from '../aggregation/identity.ts';
import type { LedgerNews } from '../aggregation/wire.ts';
import { signedHead } from '../aggregation/witness.ts';
import {
  appendEntry,
  EMPTY_LEDGER,
  entryText,
  type LedgerBody,
  type LedgerHead,
  verifyChain,
} from '../privacy/ledger.ts';
import type { EventStore } from './event-store.ts';

/**
 * The federation's ledger as the coordinator keeps it: entries in the event store, a signed note over
 * its head (`aggregation/witness.ts`). An entry is on disk in the same transaction as the fact it belongs to.
 */
export interface LedgerLog {
  readonly head: LedgerHead;
  /** Adds an entry. Call inside `EventStore.commit`. @returns how to take the new head into use, after the commit */
  append(body: LedgerBody, task: string, time: number): void;
  /** Call when the transaction an `append` belonged to was rolled back. */
  reload(): void;
  /** Entries from number `from` on, and the signed head. */
  newsSince(from: number): LedgerNews;
}

/** @throws Error when the stored chain does not hold: the file was changed by someone else */
export function openLedgerLog(store: EventStore, identity: Identity, federation: string): LedgerLog {
  let head = readHead(store);
  let signed: { readonly size: number; readonly note: string } | undefined;

  return {
    get head() {
      return head;
    },
    append(body, task, time) {
      const appended = appendEntry(head, body, { federation, task, time });
      store.addLedgerEntry(head.size, entryText(appended.entry));
      head = appended.head;
    },
    reload() {
      head = readHead(store);
      signed = undefined;
    },
    newsSince(from) {
      if (signed?.size !== head.size) signed = { size: head.size, note: signedHead(head, identity) };
      return { entries: store.ledger(from), note: signed.note };
    },
  };
}

function readHead(store: EventStore): LedgerHead {
  const verdict = verifyChain(
    store.ledger(0).map((text) => JSON.parse(text)),
    EMPTY_LEDGER,
  );
  if (!verdict.intact) throw new Error(`the stored ledger does not hold at entry ${verdict.seq}: ${verdict.problem}`);
  return verdict.head;
}
