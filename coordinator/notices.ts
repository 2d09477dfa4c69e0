import type { Identity } from '../aggregation/identity.ts';
import { isSignedNotice, type Notice, noticeDigest, receiptDigest, type SignedNotice } from '../aggregation/notice.ts';
import { hex } from '../aggregation/plan.ts';
import { type LedgerEntry, NO_TASK } from '../privacy/ledger.ts';
import type { LedgerLog } from './ledger-log.ts';
import type { Members } from './members.ts';
import type { EventStore } from './store/event-store.ts';

/**
 * Hears what tenants say about themselves (`aggregation/notice.ts`), each once.
 *
 *   signed by the key in the roster? ──▶ notice, roster and ledger in one transaction ──▶ receipt
 *
 * A notice that was heard before has no effect again. The receipt goes back all the same, to whoever lost it on the way.
 */
export interface Notices {
  /** @returns the receipt, 64 bytes @throws NoticeRefused */
  hear(signed: SignedNotice): Uint8Array;
}

export class NoticeRefused extends Error {
  override readonly name = 'NoticeRefused';
  /** of a notice that was heard before */
  readonly receipt: Uint8Array | undefined;
  constructor(message: string, receipt?: Uint8Array) {
    super(message);
    this.receipt = receipt;
  }
}

export interface NoticesWorld {
  readonly store: EventStore;
  readonly ledger: LedgerLog;
  readonly members: Members;
  readonly identity: Identity;
  readonly federation: string;
  /** Unix milliseconds */
  readonly clock: () => number;
}

const MOST_NOTICES = 200;
const DAY = 24 * 60 * 60 * 1000;
const OF_NOTICES: readonly LedgerEntry['kind'][] = ['roster', 'erasure'];

export function openNotices({ store, ledger, members, identity, federation, clock }: NoticesWorld): Notices {
  return {
    hear(signed) {
      const { notice } = signed;
      if (!isSignedNotice(signed, federation))
        throw new NoticeRefused('the signature does not verify: not the tenant, or meant for another federation');
      const id = hex(noticeDigest(notice, federation));
      const receipt = identity.sign(receiptDigest(notice, federation));
      if (store.wasHeard(id)) throw new NoticeRefused('this notice was heard before; it has no effect again', receipt);
      const key = members.keyOf(notice.tenant);
      // one answer for "unknown", "gone" and "another key": whoever guesses names learns nothing
      if (key === undefined || hex(key) !== notice.key)
        throw new NoticeRefused('not an enrolled tenant, or not its key');
      if (ledger.countAbout(notice.tenant, OF_NOTICES, clock() - DAY) >= MOST_NOTICES)
        throw new NoticeRefused(
          `${MOST_NOTICES} notices a day are taken from a tenant: each is an entry all keep for good`,
        );
      take(notice, () => store.addNotice(id, clock()));
      return receipt;
    },
  };

  function take(notice: Notice, note: () => void): void {
    const { tenant, key } = notice;
    switch (notice.kind) {
      case 're-key':
        if (!members.mayHave(tenant, notice.next))
          throw new NoticeRefused('the new key is somebody’s, or was before: make another one');
        return members.change({ tenant, change: 're-keyed', key: notice.next, replaces: key }, note);
      case 'leave':
        return members.change({ tenant, change: 'left', key }, note);
      case 'erasure':
        return ledger.commit(() => {
          note();
          ledger.append({ kind: 'erasure', tenant }, NO_TASK, clock());
        });
    }
  }
}
