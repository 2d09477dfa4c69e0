import { fingerprint, type Identity } from '../../aggregation/identity.ts';
import { hex } from '../../aggregation/plan.ts';
import { isSignedRead, parseSignedRead, READ_WINDOW_MS } from '../../aggregation/signed-read.ts';
import { digest } from '../../aggregation/transcript.ts';
import type { Members } from '../members.ts';
import type { People } from './oidc.ts';
import { type Caller, NOBODY } from './roles.ts';
import type { Tokens } from './tokens.ts';

/** Says who makes a request, from what it shows. */
export interface Callers {
  /** @throws IssuerUnavailable when it is a person's token, and the issuer cannot be asked */
  callerOf(request: Shown): Promise<Caller | Unproven>;
}

export interface Shown {
  /** the header's value, as it came */
  readonly authorization: string | undefined;
  readonly method: string;
  /** path and query */
  readonly path: string;
}

/** Something was shown, and it is not enough. */
export interface Unproven {
  readonly role: undefined;
  /** 403 where we know who it is */
  readonly status: 401 | 403;
  readonly detail: string;
}

export interface CallersWorld {
  readonly tokens: Tokens;
  readonly members: Pick<Members, 'roster'>;
  readonly identity: Identity;
  /** undefined where nobody signs in elsewhere */
  readonly people: People | undefined;
  /** Unix ms */
  readonly clock: () => number;
}

/** One answer for everything that is unknown, wrong, expired or revoked: whoever tries learns nothing. */
const UNKNOWN: Unproven = {
  role: undefined,
  status: 401,
  detail:
    'what was shown as authorisation opens nothing here: it is unknown, revoked, expired or meant for another place',
};

export function openCallers({ tokens, members, identity, people, clock }: CallersWorld): Callers {
  const coordinator = fingerprint(identity.publicKey);

  /** Signed with a key of the roster, for this very path, just now. */
  function tenantOf({ authorization, method, path }: Shown): Caller | Unproven {
    const read = parseSignedRead(authorization!);
    // for reading only: a change could be made again by whoever saw the signature
    if (read === undefined || (method !== 'GET' && method !== 'HEAD')) return UNKNOWN;
    const tenant = members.roster().find(({ key }) => key === read.key)?.tenant;
    if (!isSignedRead(read, { coordinator, path }) || tenant === undefined) return UNKNOWN;
    const ahead = Math.round((read.time - clock()) / 60_000);
    if (Math.abs(read.time - clock()) <= READ_WINDOW_MS) return { role: 'tenant', tenant };
    const detail = `this was signed by a clock ${ahead} minutes ahead of the coordinator's: set it`;
    return { role: undefined, status: 401, detail };
  }

  async function personOf(jwt: string): Promise<Caller | Unproven> {
    const person = await people?.bearerOf(jwt);
    if (person === undefined) return UNKNOWN;
    if (person === 'no-role')
      return { role: undefined, status: 403, detail: 'none of your groups has a role here: see "roles" in oidc.json' };
    const { role, holder, issuer } = person;
    return { role, holder, id: pseudonym(identity, issuer, holder), issuer };
  }

  return {
    async callerOf(shown) {
      const { authorization } = shown;
      if (authorization === undefined) return NOBODY;
      if (authorization.startsWith('Parley ')) return tenantOf(shown);
      const [, text] = /^Bearer ([\x21-\x7e]+)$/i.exec(authorization) ?? [];
      if (text === undefined) return UNKNOWN;
      // a JWT has dots, a token of ours has none
      return text.includes('.') ? personOf(text) : (tokens.bearerOf(text) ?? UNKNOWN);
    },
  };
}

/**
 * What a person is known by in the ledger, where a name must not stand: only who has the coordinator's key can tell whose it is.
 * Ed25519 signs the same text the same way each time (RFC 8032).
 */
const pseudonym = (identity: Identity, issuer: string, holder: string): string =>
  hex(digest('parley/pseudonym/v1', identity.sign(digest('parley/person/v1', issuer, holder)))).slice(0, 16);
