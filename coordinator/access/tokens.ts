import { timingSafeEqual } from 'node:crypto';
import type { Act } from '../../aggregation/act.ts';
import type { EventStore, StoredToken } from '../store/event-store.ts';
import { AccessRefused } from './access-refused.ts';
import { tokenIn } from './new-token.ts';
import type { Bearer } from './roles.ts';

/**
 * The tokens that were handed out: to whom, as what, until when. Only a hash of each secret is kept, compared in constant time.
 *
 * SHA-256 is enough for that: a secret has 256 random bits, nobody guesses one whatever a guess costs, and a slow hash would be
 * work that strangers can ask for. When a token was last used is not kept: it would be a write for every read.
 */
export interface Tokens {
  /** @returns undefined for whatever is no token of now: unknown, wrong, expired, revoked */
  bearerOf(shown: string): Bearer | undefined;
  /** The oldest first; revoked and expired ones too. */
  list(): readonly StoredToken[];
  /** People who hold an operator's token of now. */
  operators(): ReadonlySet<string>;
  /** Is this a token of now? */
  stands(id: string): boolean;
  /** @param also - done in the same transaction @throws AccessRefused when the id is taken */
  add(token: NewToken, also?: () => void): StoredToken;
  /** From now on it opens nothing. @throws AccessRefused when there is no such token */
  revoke(id: string): StoredToken;
}

export type NewToken = Omit<Extract<Act, { kind: 'token' }>, 'kind'>;

/** @param commit - of the ledger: what is done in the same transaction may be an entry */
export function openTokens(store: EventStore, commit: <T>(work: () => T) => T, clock: () => number): Tokens {
  const tokens = new Map(store.tokens().map((token) => [token.id, token]));
  const isOfNow = ({ expiresAt, revokedAt }: StoredToken): boolean => revokedAt === null && expiresAt > clock();

  return {
    bearerOf(shown) {
      const given = tokenIn(shown);
      if (given === undefined) return undefined;
      const stored = tokens.get(given.id);
      // an unknown id costs what a wrong secret costs, and is answered the same
      const isSame = timingSafeEqual(
        Buffer.from(given.secretHash, 'hex'),
        Buffer.from(stored?.secretHash ?? NONE, 'hex'),
      );
      if (stored === undefined || !isSame || !isOfNow(stored)) return undefined;
      const { role, holder, id } = stored;
      return { role, holder, id };
    },
    list: () => [...tokens.values()],
    operators: () =>
      new Set([...tokens.values()].filter((one) => one.role === 'operator' && isOfNow(one)).map(personOf)),
    stands(id) {
      const stored = tokens.get(id);
      return stored !== undefined && isOfNow(stored);
    },
    add({ id, secretHash, role, holder, days }, also = () => {}) {
      if (tokens.has(id)) throw new AccessRefused(409, `there is a token ${id} already; make another one`);
      const now = clock();
      const stored = { id, secretHash, role, holder, createdAt: now, expiresAt: now + days * DAY, revokedAt: null };
      commit(() => {
        also();
        store.addToken(stored);
      });
      tokens.set(id, stored);
      return stored;
    },
    revoke(id) {
      const stored = tokens.get(id);
      if (stored === undefined)
        throw new AccessRefused(404, `there is no token ${id}; \`parley token list\` shows them`);
      const revoked = { ...stored, revokedAt: stored.revokedAt ?? clock() };
      commit(() => store.revokeToken(id, revoked.revokedAt));
      tokens.set(id, revoked);
      return revoked;
    },
  };
}

/** Two tokens of one holder are one person, however the name is written. */
export const personOf = ({ holder }: Pick<Bearer, 'holder'>): string =>
  holder.normalize('NFKC').trim().replace(/\s+/g, ' ').toLowerCase();

const DAY = 24 * 60 * 60 * 1000;
/** Nobody finds a secret with this hash. */
const NONE = '0'.repeat(64);
