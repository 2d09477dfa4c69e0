/**
 * Cosignatures: a witness says when it saw a checkpoint, and that the log only grew until then. With enough of them no log
 * can show two histories to two readers.
 *
 *     cosignature/v1                                             what is signed: two lines, then the checkpoint
 *     time 1679315147
 *     example.com/behind-the-sofa
 *     20852163
 *     CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
 *
 * A witness signs only what continues the last tree it signed (`verifyConsistency`); that memory is the witness's own and
 * not kept here. The message does not hold the witness's name: one key never serves under two.
 *
 * @see C2SP tlog-cosignature, Ed25519 signed message
 */
import { decimal, TransparencyRefused } from './canonical-text.ts';
import { type Checkpoint, parseCheckpoint } from './checkpoint.ts';
import { badSignature, ed25519, parseNote, signatureLine, signaturesBy, verifyNote } from './signed-note.ts';
import {
  ED25519_COSIGNATURE,
  formatVerifierKey,
  keyId,
  type Signer,
  type VerifierKey,
  type Verify,
} from './verifier-key.ts';

/** What a cosignature signs: `text` is the checkpoint's, its extension lines included. `time` in Unix seconds. */
export function cosignedMessage(text: string, time: number): Uint8Array {
  return Buffer.from(`cosignature/v1\ntime ${decimal(time, 'time')}\n${text}`);
}

/**
 * The line a witness answers with, for `withSignature`.
 *
 * @param checkpoint - as a note; signatures are not looked at. Verify note and consistency first
 * @param time - Unix seconds
 * @throws TransparencyRefused when the note is none, or its text no checkpoint
 * @throws RangeError when the key is of another kind, the time no integer ≥ 0, or `sign` gives no signature
 */
export function cosign(checkpoint: string, time: number, { key, sign }: Signer): string {
  if (key.type !== ED25519_COSIGNATURE) throw new RangeError(`a witness has a key of type 4, got ${key.type}`);
  const { text } = parseNote(checkpoint);
  parseCheckpoint(text);
  const stamped = Buffer.alloc(72);
  const signature = ed25519(sign, cosignedMessage(text, time));
  stamped.writeBigUInt64BE(BigInt(time));
  stamped.set(signature, 8);
  return signatureLine({ name: key.name, id: keyId(key), signature: stamped });
}

/** A witness that was there. */
export interface Cosignature {
  /** of its key */
  readonly name: string;
  /** the key itself, as `formatVerifierKey` writes it: names alone may be shared */
  readonly key: string;
  /** Unix seconds, as the witness says; the latest where it signed more than once. May lie in the future: look */
  readonly time: number;
}

export interface CosignedCheckpoint {
  readonly checkpoint: Checkpoint;
  /** each witness at most once, in the order the caller named them */
  readonly cosignedBy: readonly Cosignature[];
}

export interface Trusted {
  /** type ED25519, named after the log's origin; more than one while a log changes its key */
  readonly logKeys: readonly VerifierKey[];
  /** type ED25519_COSIGNATURE; whether those who signed are enough is the caller's policy (`satisfied`) */
  readonly witnesses: readonly VerifierKey[];
  readonly verify: Verify;
}

/**
 * A checkpoint that its log signed, and who of `witnesses` cosigned it: none is for the caller to refuse.
 *
 * @throws TransparencyRefused when the note or its text is malformed, no log key of that origin signed, or a signature
 *   that names one of the given keys is bad
 * @throws RangeError when a key is of the wrong type or listed twice, or one key stands under two names
 */
export function verifyCosigned(note: string, { logKeys, witnesses, verify }: Trusted): CosignedCheckpoint {
  assertWitnesses(witnesses);
  const read = verifyNote(note, logKeys, verify);
  const checkpoint = parseCheckpoint(read.text);
  if (!read.signedBy.some(({ name }) => name === checkpoint.origin)) {
    throw new TransparencyRefused(`checkpoint: not signed by a known key named after its origin ${checkpoint.origin}`);
  }
  const cosignedBy = witnesses.flatMap((key) => {
    const times = signaturesBy(read, key).map((signature) => timeOf(signature, read.text, key, verify));
    return times.length === 0 ? [] : [{ name: key.name, key: formatVerifierKey(key), time: Math.max(...times) }];
  });
  return { checkpoint, cosignedBy };
}

/** @throws TransparencyRefused when `signature` is not `key`'s over the time it holds and `text` */
function timeOf(signature: Uint8Array, text: string, key: VerifierKey, verify: Verify): number {
  // timestamped_signature: u64 timestamp, 64 bytes of Ed25519
  if (signature.length !== 72) throw badSignature(key);
  const time = Number(Buffer.from(signature.subarray(0, 8)).readBigUInt64BE());
  if (!Number.isSafeInteger(time)) throw badSignature(key);
  if (!verify(key.publicKey, cosignedMessage(text, time), signature.subarray(8))) throw badSignature(key);
  return time;
}

function assertWitnesses(witnesses: readonly VerifierKey[]): void {
  const stranger = witnesses.find(({ type }) => type !== ED25519_COSIGNATURE);
  if (stranger !== undefined) throw new RangeError(`the key of ${stranger.name} is of type ${stranger.type}, not 4`);
  // else one signature, under another line, would count for two witnesses
  const keys = witnesses.map(({ publicKey }) => Buffer.from(publicKey).toString('hex'));
  const twice = keys.findIndex((key, at) => keys.indexOf(key) !== at);
  if (twice >= 0) throw new RangeError(`the witness ${witnesses[twice]!.name} has the key of another: list it once`);
}
