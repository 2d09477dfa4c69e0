import type { Identity } from '../aggregation/identity.ts';
import type { TenantId } from '../aggregation/secure-sum.ts';
import type { LedgerNews } from '../aggregation/wire.ts';
import { signedHead } from '../aggregation/witness.ts';
import {
  appendEntry,
  EMPTY_LEDGER,
  entryText,
  type LedgerBody,
  type LedgerEntry,
  type LedgerHead,
  verifyChain,
} from '../privacy/ledger.ts';
import type { EventStore } from './store/event-store.ts';
import { StoreDamaged } from './store/store-damaged.ts';

/**
 * The federation's ledger as the coordinator keeps it: entries in the event store, a signed note over
 * its head (`aggregation/witness.ts`). An entry is on disk in the same transaction as the fact it belongs to.
 */
export interface LedgerLog {
  readonly head: LedgerHead;
  /** of the last entry that was there when the ledger was opened, Unix ms; 0 when there was none */
  readonly openedAt: number;
  /** A transaction of the store in which entries may be added: all of it is on disk when this returns, or nothing. */
  commit<T>(work: () => T): T;
  /** Adds an entry. Call inside `commit`. */
  append(body: LedgerBody, task: string, time: number): void;
  /** How many entries of these kinds are about this tenant since then; each is one that all tenants keep for good. */
  countAbout(tenant: TenantId, kinds: readonly LedgerEntry['kind'][], since: number): number;
  /** Entries from number `from` on, and the signed head. */
  newsSince(from: number): LedgerNews;
}

/** @throws StoreDamaged when the stored chain does not hold: the file was changed by someone else */
export function openLedgerLog(store: EventStore, identity: Identity, federation: string): LedgerLog {
  let head = readHead(store);
  const openedAt = lastTime(store, head);
  let signed: { readonly size: number; readonly note: string } | undefined;

  return {
    get head() {
      return head;
    },
    openedAt,
    append(body, task, time) {
      const appended = appendEntry(head, body, { federation, task, time });
      store.addLedgerEntry(head.size, entryText(appended.entry));
      head = appended.head;
    },
    commit(work) {
      const before = head;
      try {
        return store.commit(work);
      } catch (error) {
        head = before;
        signed = undefined; // it may have been over what was rolled back
        throw error;
      }
    },
    countAbout(tenant, kinds, since) {
      let found = 0;
      for (let end = head.size; end > 0; end -= CHUNK) {
        const from = Math.max(0, end - CHUNK);
        const entries = store.ledger(from, end - from).map((text) => JSON.parse(text) as LedgerEntry);
        const recent = entries.filter(({ time }) => time > since);
        found += recent.filter(
          (entry) => kinds.includes(entry.kind) && 'tenant' in entry && entry.tenant === tenant,
        ).length;
        if (recent.length < entries.length) break;
      }
      return found;
    },
    newsSince(from) {
      if (signed?.size !== head.size) signed = { size: head.size, note: signedHead(head, identity) };
      return { entries: store.ledger(from), note: signed.note };
    },
  };
}

/** Entries read at a time, from the ledger's end backwards. */
const CHUNK = 500;

function lastTime(store: EventStore, { size }: LedgerHead): number {
  const [last] = size === 0 ? [] : store.ledger(size - 1);
  return last === undefined ? 0 : (JSON.parse(last) as LedgerEntry).time;
}

function readHead(store: EventStore): LedgerHead {
  const verdict = verifyChain(store.ledger(0), EMPTY_LEDGER);
  if (!verdict.intact)
    throw new StoreDamaged(`the stored ledger does not hold at entry ${verdict.seq}: ${verdict.problem}`);
  return verdict.head;
}
