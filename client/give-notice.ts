import { randomBytes } from 'node:crypto';
import { CommandError, EXIT } from '../aggregation/exit.ts';
import { type Identity, isSignedBy } from '../aggregation/identity.ts';
import { type Notice, noticeSchema, receiptDigest, signNotice } from '../aggregation/notice.ts';
import { hex } from '../aggregation/plan.ts';
import type { ClientStore } from './client-store.ts';
import { coordinatorOf, refusal, request } from './coordinator-http.ts';
import { noteNotice } from './own-word.ts';
import type { Policy } from './policy.ts';

/**
 * Gives the federation notice (`aggregation/notice.ts`), for certain.
 *
 *   noted in the store ──▶ signed, sent ──▶ the coordinator's receipt verifies ──▶ done
 *
 * Killed or cut off on the way, the same notice is sent the next time, until there is a receipt: of a notice that was
 * heard, the coordinator gives the receipt again and does nothing else.
 */
export interface NoticeWorld {
  readonly store: ClientStore;
  readonly policy: Policy;
  readonly identity: Identity;
  /** for another key: whose it is */
  readonly next?: Identity;
}

/** A notice of this kind that was begun and has no receipt yet. */
export function pendingNotice(store: ClientStore, kind: Notice['kind']): Notice | undefined {
  const text = store.pinned(pendingName(kind)) ?? '';
  return text === '' ? undefined : noticeSchema.parse(JSON.parse(text));
}

/** @throws CommandError when nobody answers, when it is refused, or when the receipt does not verify */
export async function giveNotice(kind: Notice['kind'], world: NoticeWorld): Promise<void> {
  const { store, policy, identity, next } = world;
  const { url, key, federation } = await coordinatorOf(policy.coordinator);
  const notice = begun(kind, world);
  const signed = signNotice(notice, federation, identity.sign, next?.sign);
  const { status, body } = await request(`${url}/notices`, signed);
  if (status !== 200 && status !== 409) throw refusal(url, status, body);
  const { receipt } = (body ?? {}) as { receipt?: unknown };
  const isReceipt = typeof receipt === 'string' && isSignedBy(key, receiptDigest(notice, federation), bytes(receipt));
  if (!isReceipt)
    throw new CommandError(EXIT.broken, `${url} answered without a receipt of the coordinator; try again`);
  // that of a key change stays, until the next key is in its place: killed before, the same one is given again
  if (kind !== 're-key') store.pin(pendingName(kind), '');
}

/** Durable when it returns. */
function begun(kind: Notice['kind'], { store, policy, identity, next }: NoticeWorld): Notice {
  const nextKey = next && hex(next.publicKey);
  const key = hex(identity.publicKey);
  const pending = pendingNotice(store, kind);
  if (pending?.key === key && (pending.kind !== 're-key' || pending.next === nextKey)) return pending;
  const notice = noticeSchema.parse({
    ...{ kind, tenant: policy.tenant, key, nonce: randomBytes(32).toString('hex') },
    ...(nextKey === undefined ? {} : { next: nextKey }),
  });
  store.commit(() => {
    noteNotice(store, notice);
    store.pin(pendingName(kind), JSON.stringify(notice));
  });
  return notice;
}

const pendingName = (kind: Notice['kind']): string => `notice/${kind}`;
const bytes = (text: string): Uint8Array => Buffer.from(text, 'hex');
