import { createSecretKey, hkdfSync, type KeyObject, randomBytes, scryptSync } from 'node:crypto';
import canonicalize from 'canonicalize';
import { z } from 'zod';
import { decrypt, encrypt, NONCE_BYTES, TAG_BYTES } from './aes-gcm.ts';
import { CommandError, EXIT } from './exit.ts';

/**
 * A text on disk that opens with a passphrase or a key file, and with nothing else.
 *
 *   passphrase ─▶ scrypt (RFC 7914)      ┐
 *                                        ├─▶ 256-bit key ─▶ AES-256-GCM ─▶ one line of canonical JSON
 *   key file ───▶ HKDF-SHA-256 (RFC 5869)┘   a new salt, so a new key, each time
 *
 * Format, version, purpose, derivation and salt are associated data: one file cannot be passed off as another. A wrong secret
 * and a changed byte are told apart by nobody. Older copies of the file still open with the secret they were made with.
 */
export interface Secret {
  readonly kind: 'passphrase' | 'key-file';
  /** what was typed, in UTF-8, or the bytes of the file; a KeyObject shows nothing when it is printed */
  readonly key: KeyObject;
}

/**
 * CPU and memory cost, block size, parallelism: about 0.4 s and 128 MiB for each guess.
 * @see OWASP Password Storage Cheat Sheet, "scrypt": N = 2^17, r = 8, p = 1
 */
export const SCRYPT = { N: 2 ** 17, r: 8, p: 1 } as const;
export const SALT_BYTES = 16;

/**
 * @param purpose - what the text is, in a few words; not hidden
 * @returns the text of a file; a different one each time
 */
export function encryptAtRest(text: string, secret: Secret, purpose: string): string {
  const salt = randomBytes(SALT_BYTES).toString('hex');
  const kdf: Header['kdf'] =
    secret.kind === 'passphrase' ? { name: 'scrypt', ...SCRYPT, salt } : { name: 'hkdf-sha256', salt };
  const header: Header = { format: FORMAT, version: 1, purpose, kdf };
  const nonce = randomBytes(NONCE_BYTES);
  const encrypted = encrypt(keyFor(header, secret), nonce, Buffer.from(text), associated(header));
  return textOf({ ...header, nonce: hex(nonce), encrypted: hex(encrypted) });
}

/**
 * @param file - where the text was read, for messages
 * @throws CommandError `input` when it is not a whole file of this format, `refused` when it does not open with this secret
 */
export function decryptAtRest(text: string, secret: Secret, purpose: string, file: string): string {
  const { nonce, encrypted, ...header } = read(text, file);
  if (header.purpose !== purpose)
    throw new CommandError(EXIT.refused, `${file} was protected for another purpose; put the right file in its place`);
  const kind = kindOf(header);
  if (kind !== secret.kind)
    throw new CommandError(EXIT.refused, `${file} ${protectedBy(kind)} (a ${SPOKEN[secret.kind].name} was given)`);
  const plain = decrypt(keyFor(header, secret), bytes(nonce), bytes(encrypted), associated(header));
  if (plain === undefined)
    throw new CommandError(
      EXIT.refused,
      `${file} does not open: it is protected by another ${SPOKEN[kind].name}, or was changed. Check what you gave, or restore the file from a copy`,
    );
  return Buffer.from(plain).toString();
}

/** What opens this text. @throws CommandError when it is not a whole file of this format */
export const protectionIn = (text: string, file: string): Secret['kind'] => kindOf(read(text, file));

interface Cost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/** RFC 7914 §6. @param cost - memory is 128 · N · r bytes @returns `length` bytes */
export function scryptBytes(passphrase: Uint8Array, salt: Uint8Array, cost: Cost = SCRYPT, length = 32): Buffer {
  const { N, r, p } = cost;
  // node:crypto stops at 32 MiB unless it is told: V, two blocks to work in, and B (RFC 7914 §5 and §6)
  return scryptSync(passphrase, salt, length, { N, r, p, maxmem: 128 * r * (N + 2 + p) });
}

/** RFC 5869 §2, with SHA-256. @returns `length` bytes */
export function hkdfBytes(secret: KeyObject, salt: Uint8Array, info: Uint8Array = INFO, length = 32): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, info, length));
}
const INFO = Buffer.from('parley/at-rest/v1');

const SPOKEN = {
  passphrase: { name: 'passphrase', give: 'set PARLEY_PASSPHRASE, or type it on a terminal' },
  'key-file': { name: 'key file', give: 'name it with --key-file' },
} as const;

/** What a file is protected by, and how to give it, as a clause for messages. */
export const protectedBy = (kind: Secret['kind']): string =>
  `is protected by a ${SPOKEN[kind].name}: ${SPOKEN[kind].give}`;

const FORMAT = 'parley-protected';
const octets = (count: number) => z.string().regex(new RegExp(`^[0-9a-f]{${2 * count}}$`));
const headerShape = {
  format: z.literal(FORMAT),
  version: z.literal(1),
  purpose: z.string().max(100),
  // exactly these costs: a file that asks for more could exhaust the memory of whoever opens it
  kdf: z.discriminatedUnion('name', [
    z.strictObject({
      name: z.literal('scrypt'),
      N: z.literal(SCRYPT.N),
      r: z.literal(SCRYPT.r),
      p: z.literal(SCRYPT.p),
      salt: octets(SALT_BYTES),
    }),
    z.strictObject({ name: z.literal('hkdf-sha256'), salt: octets(SALT_BYTES) }),
  ]),
};
const envelope = z.strictObject({
  ...headerShape,
  nonce: octets(NONCE_BYTES),
  encrypted: z
    .string()
    .regex(/^([0-9a-f]{2})*$/)
    .min(2 * TAG_BYTES),
});
type Envelope = z.infer<typeof envelope>;
type Header = Omit<Envelope, 'nonce' | 'encrypted'>;

const kindOf = ({ kdf }: Header): Secret['kind'] => (kdf.name === 'scrypt' ? 'passphrase' : 'key-file');
const textOf = (value: Envelope): string => `${canonicalize(value)!}\n`;
const associated = (header: Header): Uint8Array => Buffer.from(canonicalize(header)!);
const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex');
const bytes = (text: string): Uint8Array => Buffer.from(text, 'hex');

function read(text: string, file: string): Envelope {
  const value = parsed(text);
  const { format, version } = (value ?? {}) as { format?: unknown; version?: unknown };
  if (format === FORMAT && typeof version === 'number' && version > 1)
    throw new CommandError(
      EXIT.input,
      `${file} was protected by a newer Parley (version ${version}): install that one`,
    );
  const found = envelope.safeParse(value);
  // one text for one content: nothing in the file can be changed, not even a space, without being noticed
  if (!found.success || textOf(found.data) !== text)
    throw new CommandError(
      EXIT.input,
      `${file}: not a whole protected file, it was cut or changed; restore it from a copy`,
    );
  return found.data;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const keyFor = ({ kdf }: Header, { key }: Secret): KeyObject =>
  createSecretKey(kdf.name === 'scrypt' ? scryptBytes(key.export(), bytes(kdf.salt)) : hkdfBytes(key, bytes(kdf.salt)));
