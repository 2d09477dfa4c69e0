/**
 * Signed notes: a text, an empty line, and a line for each signature. What every statement about the log is written in.
 *
 *     This is an example message.
 *
 *     — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
 *       └ key name      └ base64(key id ‖ signature over the text)
 *
 * Promise: the text of a note is handed out only with a good signature by a key the caller named, and with no bad one by
 * any of them. Signatures by others are passed over. Keys never come here: signing and verifying are arguments.
 *
 * @see C2SP signed-note
 */
import { base64, hasControl, parseBase64, TransparencyRefused } from './canonical-text.ts';
import {
  assertDistinct,
  ED25519,
  isKeyName,
  keyId,
  type Sign,
  type Signer,
  type VerifierKey,
  type Verify,
} from './verifier-key.ts';

/** A note may be 256 KiB: 16 of the largest signatures there are (signed-note, Format) fit in twice over. */
export const MAX_NOTE_BYTES = 262_144;
/** Lines of text. */
export const MAX_TEXT_LINES = 1_000;
/** A federation of 200 tenants may all cosign. */
export const MAX_SIGNATURES = 256;

export interface NoteSignature {
  /** of the key that is said to have signed */
  readonly name: string;
  /** its id, as `keyId` */
  readonly id: string;
  /** at least one byte */
  readonly signature: Uint8Array;
}

/** A note as it lies there: nothing in it is verified, and its text is to be ignored until it is. */
export interface UnverifiedNote {
  /** ends with a line break */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

const DASH = '\u2014 ';

/**
 * @throws RangeError when the text does not end with a line break
 * @throws TransparencyRefused when `parseNote` would refuse the result: without signatures, or beyond a limit
 */
export function formatNote({ text, signatures }: UnverifiedNote): string {
  // else its last line would be read as a signature
  if (!text.endsWith('\n')) throw new RangeError('the text of a note ends with a line break');
  const note = `${text}\n${signatures.map((each) => `${signatureLine(each)}\n`).join('')}`;
  parseNote(note);
  return note;
}

/** Without its line break. */
export function signatureLine({ name, id, signature }: NoteSignature): string {
  if (!isKeyName(name) || !/^[0-9a-f]{8}$/.test(id) || signature.length === 0) {
    throw new RangeError(`not a signature line: name ${JSON.stringify(name)}, id ${id}, ${signature.length} bytes`);
  }
  return `${DASH}${name} ${base64(Buffer.concat([Buffer.from(id, 'hex'), signature]))}`;
}

/** @throws TransparencyRefused unless `line` is what `signatureLine` writes */
export function parseSignatureLine(line: string, what = 'signature line'): NoteSignature {
  const [name, encoded, ...more] = line.startsWith(DASH) ? line.slice(DASH.length).split(' ') : [];
  if (name === undefined || encoded === undefined || more.length > 0 || !isKeyName(name)) {
    throw new TransparencyRefused(`${what}: not "\u2014 <key name> <base64>"`);
  }
  const bytes = parseBase64(encoded, what);
  if (bytes.length < 5) throw new TransparencyRefused(`${what}: ${bytes.length} bytes are no key id and signature`);
  return { name, id: Buffer.from(bytes.subarray(0, 4)).toString('hex'), signature: bytes.subarray(4) };
}

/**
 * Reads a note and verifies nothing.
 *
 * @param note - UTF-8, decoded
 * @throws TransparencyRefused unless this is a note with at least one signature, within the limits
 */
export function parseNote(note: string): UnverifiedNote {
  if (Buffer.byteLength(note) > MAX_NOTE_BYTES)
    throw new TransparencyRefused(`note: more than ${MAX_NOTE_BYTES} bytes`);
  if (!note.isWellFormed() || hasControl(note, '\n')) {
    throw new TransparencyRefused('note: not UTF-8, or with control characters other than line breaks');
  }
  // a text may hold empty lines: the last one separates
  const split = note.lastIndexOf('\n\n');
  const lines = note.slice(split + 2).split('\n');
  if (split < 0 || lines.length < 2 || lines.pop() !== '') {
    throw new TransparencyRefused('note: not a text, an empty line and signature lines, each ending with a line break');
  }
  if (lines.length > MAX_SIGNATURES) throw new TransparencyRefused(`note: more than ${MAX_SIGNATURES} signatures`);
  const text = note.slice(0, split + 1);
  if (text.split('\n').length - 1 > MAX_TEXT_LINES)
    throw new TransparencyRefused(`note: more than ${MAX_TEXT_LINES} lines`);
  return { text, signatures: lines.map((line, at) => parseSignatureLine(line, `note: signature ${at + 1}`)) };
}

/**
 * A note with one signature.
 *
 * @throws RangeError when the key is for another kind of signature, or `sign` gives none
 * @throws RangeError, TransparencyRefused as `formatNote`
 */
export function signNote(text: string, { key, sign }: Signer): string {
  if (key.type !== ED25519) throw new RangeError(`a note is signed with a key of type 1, got ${key.type}`);
  const signature = ed25519(sign, Buffer.from(text));
  return formatNote({ text, signatures: [{ name: key.name, id: keyId(key), signature }] });
}

/** @throws RangeError when what `sign` gives has not the length of a signature */
export function ed25519(sign: Sign, message: Uint8Array): Uint8Array {
  const signature = sign(message);
  if (signature.length !== 64) throw new RangeError(`an Ed25519 signature has 64 bytes, got ${signature.length}`);
  return signature;
}

/**
 * The note with one more signature; one by the same key before it gives way.
 *
 * @param line - as `signatureLine` writes it. Verify it first: a bad one by a key that others know spoils the note
 * @throws TransparencyRefused when note or line is none
 */
export function withSignature(note: string, line: string): string {
  const { text, signatures } = parseNote(note);
  const added = parseSignatureLine(line);
  return formatNote({ text, signatures: [...signatures.filter((each) => !isBy(each, added)), added] });
}

/** The signatures that name this key; whether one is good is still to be seen. */
export function signaturesBy({ signatures }: UnverifiedNote, key: VerifierKey): Uint8Array[] {
  const by = { name: key.name, id: keyId(key) };
  return signatures.filter((each) => isBy(each, by)).map(({ signature }) => signature);
}

export interface VerifiedNote extends UnverifiedNote {
  /** signed by every one of `signedBy` */
  readonly text: string;
  /** all that the note holds; only those by `signedBy` are verified */
  readonly signatures: readonly NoteSignature[];
  /** at least one, in the order of the keys the caller named */
  readonly signedBy: readonly VerifierKey[];
}

/**
 * Reads a note some of `keys` signed. Signatures by other keys are ignored, as signed-note asks, whatever they are.
 *
 * @param keys - of type ED25519
 * @throws TransparencyRefused when this is no note, none of `keys` signed it, or a signature that names one is bad
 * @throws RangeError when two of `keys` have one name and id, or one is for another kind of signature
 */
export function verifyNote(note: string, keys: readonly VerifierKey[], verify: Verify): VerifiedNote {
  for (const key of keys) {
    if (key.type !== ED25519)
      throw new RangeError(`the key of ${key.name} is for signatures of type ${key.type}, not 1`);
  }
  assertDistinct(keys);
  const read = parseNote(note);
  const message = Buffer.from(read.text);
  const signedBy = keys.filter((key) => {
    const signatures = signaturesBy(read, key);
    for (const signature of signatures) {
      if (!verify(key.publicKey, message, signature)) throw badSignature(key);
    }
    return signatures.length > 0;
  });
  if (signedBy.length === 0) throw new TransparencyRefused('note: not signed by a known key');
  return { ...read, signedBy };
}

export function badSignature(key: VerifierKey): TransparencyRefused {
  return new TransparencyRefused(`note: the signature by ${key.name}+${keyId(key)} does not verify`);
}

type KeyName = Pick<NoteSignature, 'name' | 'id'>;

const isBy = (signature: KeyName, key: KeyName): boolean => signature.name === key.name && signature.id === key.id;
