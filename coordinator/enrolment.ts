import { randomBytes, timingSafeEqual } from 'node:crypto';
import { type EnrolmentRequest, enrolmentDigest, enrolmentProof, invitationHash } from '../aggregation/enrolment.ts';
import { isSignedBy } from '../aggregation/identity.ts';
import type { TenantId } from '../aggregation/secure-sum.ts';
import type { Members } from './members.ts';
import type { EventStore } from './store/event-store.ts';

/**
 * How a tenant joins, or comes back under its name after it left or lost its key: the operator hands it a one-time code out of
 * band; with the code the tenant's client registers its public key. A code works once, for one name, until it expires;
 * only its hash is stored.
 */
export interface Enrolment {
  /** @throws EnrolmentRefused when this is no name, or is taken */
  checkInvitation(tenant: TenantId): void;
  /**
   * @param also - done in the same transaction, first
   * @returns the code; shown once @throws EnrolmentRefused when the name is taken
   */
  invite(tenant: TenantId, validForMs?: number, also?: () => void): string;
  /** @throws EnrolmentRefused */
  enrol(request: EnrolmentRequest): void;
  keyOf: Members['keyOf'];
  roster: Members['roster'];
}

export class EnrolmentRefused extends Error {
  override readonly name = 'EnrolmentRefused';
}

const DAY = 24 * 60 * 60 * 1000;

/** @param commit - the ledger's, where entries may be written along with an invitation */
export function openEnrolment(
  store: EventStore,
  clock: () => number,
  members: Members,
  commit: <T>(work: () => T) => T = store.commit,
): Enrolment {
  function checkInvitation(tenant: TenantId): void {
    if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(tenant))
      throw new EnrolmentRefused(`"${tenant}" is no tenant name: use 1 to 32 of a-z, 0-9 and -`);
    if (members.keyOf(tenant) !== undefined) throw new EnrolmentRefused(`${tenant} is enrolled already`);
  }

  return {
    checkInvitation,
    invite(tenant, validForMs = 7 * DAY, also = () => {}) {
      checkInvitation(tenant);
      const code = randomBytes(16).toString('hex').match(/.{4}/g)!.join('-');
      const codeHash = invitationHash(code);
      commit(() => {
        also();
        store.addInvitation({ tenant, codeHash, expiresAt: clock() + validForMs, usedAt: null });
      });
      return code;
    },
    enrol(request) {
      const invitation = store
        .invitations()
        .find((one) => one.tenant === request.tenant && sameText(enrolmentProof(one.codeHash, request), request.proof));
      if (invitation === undefined)
        throw new EnrolmentRefused('this code invites nobody of that name; ask the operator for a new one');
      if (invitation.usedAt !== null)
        throw new EnrolmentRefused('this code was used before; if that was not you, tell the operator');
      if (invitation.expiresAt <= clock())
        throw new EnrolmentRefused('this code has expired; ask the operator for a new one');
      const key = Buffer.from(request.key, 'hex');
      if (!isSignedBy(key, enrolmentDigest(request), request.signature))
        throw new EnrolmentRefused('the signature does not verify: the key offered is not held by the sender');
      const { tenant, key: text } = request;
      if (members.roster().some((one) => one.key === text || one.tenant === tenant))
        throw new EnrolmentRefused('this name or this key is enrolled already');
      if (!members.mayHave(tenant, text))
        throw new EnrolmentRefused(
          'this key was revoked or replaced before: join with a new one, `parley client rekey --code CODE`',
        );
      const last = members.lastKeyOf(tenant);
      const replaces = last === undefined || last === text ? {} : { replaces: last };
      members.change({ tenant, change: 'enrolled', key: text, ...replaces }, () =>
        store.useInvitation(invitation.codeHash, clock()),
      );
    },
    keyOf: members.keyOf,
    roster: members.roster,
  };
}

const sameText = (a: string, b: string): boolean =>
  a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
