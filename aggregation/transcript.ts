import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { type Identity, isSignedBy } from './identity.ts';
import type { Said, Stage, TenantId } from './secure-sum.ts';

/**
 * What every signature of a tenant covers.
 *
 *   transcript = SHA-256(federation, roster, task, epoch, round, model, ledger head)
 *   statement  = (transcript, stage, attempt, from, heard, H(open), H(sealed to each))
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

/** One signed thing a tenant said. */
export interface Statement extends Said {
  readonly from: TenantId;
  readonly signature: Uint8Array;
}

/** A statement as one recipient gets it: what is sealed to others stays behind, its hashes do not. */
export interface Relayed {
  readonly from: TenantId;
  /** all of the open part, or its SHA-256 */
  readonly open: Uint8Array;
  /** `open` is the SHA-256 of what was said */
  readonly hashed?: true | undefined;
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

export function signStatement(identity: Identity, from: TenantId, place: Place, said: Said): Statement {
  const hashes = sealedHashes(said);
  return { ...said, from, signature: identity.sign(statementDigest(place, from, openHash(said), hashes)) };
}

/** @param passes - `hashes`: the open part is passed on as its hash alone */
export function relayTo(recipient: TenantId, statement: Statement, passes?: Stage['passes']): Relayed {
  const sealed = statement.sealed.get(recipient);
  return {
    from: statement.from,
    ...(passes === 'hashes' ? { open: hashOnce(statement.open), hashed: true } : { open: statement.open }),
    sealedHashes: sealedHashes(statement),
    ...(sealed === undefined ? {} : { sealed }),
    signature: statement.signature,
  };
}

/** Did the holder of `publicKey` say exactly this, exactly here? For the coordinator, which has all parts. */
export function isStatement(publicKey: Uint8Array, place: Place, statement: Statement): boolean {
  const message = statementDigest(place, statement.from, openHash(statement), sealedHashes(statement));
  return isSignedBy(publicKey, message, statement.signature);
}

/** As `isStatement`, for the recipient of a relayed one; the part sealed to it must be the part that was signed. */
export function isRelayed(publicKey: Uint8Array, place: Place, me: TenantId, relayed: Relayed): boolean {
  const mine = relayed.sealedHashes.find(([to]) => to === me);
  if ((mine === undefined) !== (relayed.sealed === undefined)) return false;
  if (mine && relayed.sealed && !Buffer.from(mine[1]).equals(sha256(relayed.sealed))) return false;
  if (relayed.hashed && relayed.open.length !== 32) return false;
  const message = statementDigest(place, relayed.from, openHash(relayed), relayed.sealedHashes);
  return isSignedBy(publicKey, message, relayed.signature);
}

/**
 * The identity of what was heard in one stage: hash over all statements, in order of name. Taken over the
 * hashes of sealed parts, so everyone who was shown the same statements computes the same 32 bytes.
 */
export function heardHash(
  relayed: readonly Pick<Relayed, 'from' | 'open' | 'hashed' | 'sealedHashes' | 'signature'>[],
): Uint8Array {
  const sorted = [...relayed].sort((a, b) => (a.from < b.from ? -1 : 1));
  return digest(
    'parley/heard/v1',
    ...sorted.flatMap((one) => [one.from, partsDigest(openHash(one), one.sealedHashes), one.signature]),
  );
}

/** Before anything was said. */
export const NOTHING_HEARD: Uint8Array = heardHash([]);

function statementDigest(
  place: Place,
  from: TenantId,
  hashOfOpen: Uint8Array,
  sealedHashes: readonly (readonly [TenantId, Uint8Array])[],
): Uint8Array {
  return digest(
    'parley/statement/v1',
    place.transcript,
    place.stage,
    String(place.attempt),
    from,
    place.heard,
    partsDigest(hashOfOpen, sealedHashes),
  );
}

function partsDigest(hashOfOpen: Uint8Array, sealedHashes: readonly (readonly [TenantId, Uint8Array])[]): Uint8Array {
  const sorted = [...sealedHashes].sort(([a], [b]) => (a < b ? -1 : 1));
  return digest('parley/parts/v1', hashOfOpen, ...sorted.flat());
}

/** The same for a statement and for its hash: a signature over one is a signature over the other. */
const openHash = ({ open, hashed }: Pick<Relayed, 'open' | 'hashed'>): Uint8Array => (hashed ? open : sha256(open));

const hashesOf = new WeakMap<Said['sealed'], [TenantId, Uint8Array][]>();

/** A statement is relayed to every tenant; its parts are hashed once. */
function sealedHashes(said: Said): [TenantId, Uint8Array][] {
  let hashes = hashesOf.get(said.sealed);
  if (hashes === undefined) {
    hashes = [...said.sealed].map(([to, bytes]) => [to, sha256(bytes)]);
    hashesOf.set(said.sealed, hashes);
  }
  return hashes;
}

const hashOf = new WeakMap<Uint8Array, Uint8Array>();

/** As with sealed parts: what is passed on as a hash may be a large vector, and goes to everybody. */
function hashOnce(open: Uint8Array): Uint8Array {
  let hash = hashOf.get(open);
  if (hash === undefined) {
    hash = sha256(open);
    hashOf.set(open, hash);
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
