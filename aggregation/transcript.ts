import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { EMPTY_LEDGER } from '../privacy/ledger.ts';
import { type Identity, isSignedBy } from './identity.ts';
import type { Letters, Received, Said, SecureSum, TenantId } from './secure-sum.ts';

/**
 * What every signature of a tenant covers.
 *
 *   transcript = SHA-256(federation, roster, task, epoch, round, model, ledger head)
 *   statement  = (transcript, stage, attempt, from, heard, H(open), H(vector), H(sealed to each))
 *
 * `heard` is the hash of everything the tenant was shown of the stage before. So two tenants that
 * were shown different cohorts, or different models, sign different things, and each other's
 * signatures do not verify: equivocation by the coordinator stops the round (Bonawitz et al. 2017,
 * §6.2, has a round of its own for this; here it rides on signatures that are sent anyway).
 */
export interface Occasion {
  readonly federation: string;
  /** SHA-256 of the roster: names and keys, canonical JSON */
  readonly roster: string;
  readonly task: string;
  /** from 1; 0 before the first keys exist */
  readonly epoch: number;
  /** from 1; 0 while keys are made */
  readonly round: number;
  /** hash of the parameters the round starts from; empty while keys are made */
  readonly model: string;
  /** head of the ledger when the round, or the epoch, began: tenants that are shown different ledgers sign different things */
  readonly ledger: string;
}

/** 32 bytes. */
export function transcriptOf(occasion: Occasion): Uint8Array {
  return digest('parley/transcript/v1', canonicalize(occasion)!);
}

/**
 * What the keys of an epoch are bound to. Where none are made, no conversation of the epoch's own began with a ledger: a tenant
 * comes to it in whichever round it is asked first, and each of its rounds is bound to the ledger that it began with.
 */
export function epochOccasion({ keying }: Pick<SecureSum, 'keying'>, occasion: Omit<Occasion, 'model'>): Occasion {
  return { ...occasion, model: '', ledger: keying.length === 0 ? EMPTY_LEDGER.hash : occasion.ledger };
}

/** One signed thing a tenant said, as the coordinator has it. */
export interface Statement extends Received {
  readonly from: TenantId;
  readonly signature: Uint8Array;
}

/** A statement as one recipient gets it: vectors and what is sealed to others stay behind, their hashes do not. */
export interface Relayed {
  readonly from: TenantId;
  readonly open: Uint8Array;
  /** SHA-256 of its vector, where it said one */
  readonly vectorHash?: Uint8Array | undefined;
  readonly sealedHashes: [TenantId, Uint8Array][];
  readonly sealed?: Uint8Array | undefined;
  readonly signature: Uint8Array;
}

/** Where in a conversation a statement stands. */
export interface Place {
  readonly transcript: Uint8Array;
  readonly stage: string;
  readonly attempt: number;
  /** `heardHash` of what was shown before; 32 bytes */
  readonly heard: Uint8Array;
}

export function signStatement(identity: Identity, from: TenantId, place: Place, said: Said): Uint8Array {
  const vectorHash = said.vector && hashOnce(said.vector);
  return identity.sign(statementDigest(place, { from, open: said.open, vectorHash, sealedHashes: sealedHashes(said) }));
}

export function relayTo(recipient: TenantId, statement: Statement): Relayed {
  const sealed = statement.sealed.get(recipient);
  return { ...partsOf(statement), ...(sealed === undefined ? {} : { sealed }), signature: statement.signature };
}

/** Did the holder of `publicKey` say exactly this, exactly here? For the coordinator, which has all parts. */
export function isStatement(publicKey: Uint8Array, place: Place, statement: Statement): boolean {
  return isSignedBy(publicKey, statementDigest(place, partsOf(statement)), statement.signature);
}

/** As `isStatement`, for the recipient of a relayed one; the part sealed to it must be the part that was signed. */
export function isRelayed(publicKey: Uint8Array, place: Place, me: TenantId, relayed: Relayed): boolean {
  const mine = relayed.sealedHashes.find(([to]) => to === me);
  if ((mine === undefined) !== (relayed.sealed === undefined)) return false;
  if (mine && relayed.sealed && !Buffer.from(mine[1]).equals(sha256(relayed.sealed))) return false;
  return isSignedBy(publicKey, statementDigest(place, relayed), relayed.signature);
}

/**
 * The identity of what was heard in one stage: hash over all statements, in order of name. Taken over the
 * hashes of sealed parts, so everyone who was shown the same statements computes the same 32 bytes.
 */
export function heardHash(relayed: readonly (Parts & Pick<Relayed, 'signature'>)[]): Uint8Array {
  const sorted = [...relayed].sort((a, b) => (a.from < b.from ? -1 : 1));
  return digest('parley/heard/v1', ...sorted.flatMap((one) => [one.from, partsDigest(one), one.signature]));
}

/** Before anything was said. */
export const NOTHING_HEARD: Uint8Array = heardHash([]);

/** Of a statement, what everyone has. */
type Parts = Pick<Relayed, 'from' | 'open' | 'vectorHash' | 'sealedHashes'>;

const partsOf = (statement: Statement): Parts => ({
  from: statement.from,
  open: statement.open,
  ...(statement.vector === undefined ? {} : { vectorHash: statement.vector.hash }),
  sealedHashes: sealedHashes(statement),
});

function statementDigest(place: Place, parts: Parts): Uint8Array {
  const { transcript, stage, attempt, heard } = place;
  return digest('parley/statement/v1', transcript, stage, String(attempt), parts.from, heard, partsDigest(parts));
}

function partsDigest({ open, vectorHash, sealedHashes }: Parts): Uint8Array {
  const sorted = [...sealedHashes].sort(([a], [b]) => (a < b ? -1 : 1));
  return digest('parley/parts/v1', sha256(open), vectorHash ?? NO_VECTOR, ...sorted.flat());
}

const NO_VECTOR = new Uint8Array(0);

const hashesOf = new WeakMap<Letters, [TenantId, Uint8Array][]>();

/** A statement is relayed to every tenant; its parts are hashed once. */
function sealedHashes(said: Pick<Received, 'sealed'>): [TenantId, Uint8Array][] {
  let hashes = hashesOf.get(said.sealed);
  if (hashes === undefined) {
    hashes = [...said.sealed].map(([to, bytes]) => [to, sha256(bytes)]);
    hashesOf.set(said.sealed, hashes);
  }
  return hashes;
}

const hashOf = new WeakMap<Uint8Array, Uint8Array>();

/** SHA-256 of a vector that does not change any more: who made it and who signs it hash it once between them. */
export function hashOnce(vector: Uint8Array): Uint8Array {
  let hash = hashOf.get(vector);
  if (hash === undefined) {
    hash = sha256(vector);
    hashOf.set(vector, hash);
  }
  return hash;
}

export function sha256(bytes: Uint8Array | string): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}

/**
 * SHA-256 over length-prefixed parts, so that no two lists of parts run together into the same bytes.
 * The first part names what the digest is for.
 */
export function digest(...parts: readonly (string | Uint8Array)[]): Uint8Array {
  const hash = createHash('sha256');
  const length = Buffer.alloc(4);
  for (const part of parts) {
    const bytes = typeof part === 'string' ? Buffer.from(part, 'utf8') : part;
    length.writeUInt32BE(bytes.length);
    hash.update(length).update(bytes);
  }
  return hash.digest();
}
