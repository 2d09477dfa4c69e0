import { fingerprint, type Identity } from '../aggregation/identity.ts';
import type { LedgerNews } from '../aggregation/wire.ts';
import {
  appendEntry,
  type Checkpoint,
  checkpointText,
  EMPTY_LEDGER,
  entryText,
  type LedgerBody,
  type LedgerHead,
  verifyChain,
} from '../privacy/ledger.ts';
import type { EventStore } from './event-store.ts';

/**
 * The federation's ledger as the coordinator keeps it: entries in the event store, a signed checkpoint over
 * its head. An entry is on disk in the same transaction as the fact it belongs to.
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
  const origin = `parley:${fingerprint(identity.publicKey)}`;
  let head = readHead(store);
  let signed: Pick<LedgerNews, 'checkpoint' | 'signature'> | undefined;
  const signHead = (): Pick<LedgerNews, 'checkpoint' | 'signature'> => {
    const checkpoint: Checkpoint = { origin, size: head.size, head: head.hash };
    return { checkpoint, signature: identity.sign(Buffer.from(checkpointText(checkpoint))) };
  };

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
      if (signed === undefined || signed.checkpoint.size !== head.size) signed = signHead();
      return { entries: store.ledger(from), ...signed };
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
