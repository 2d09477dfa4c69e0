/**
 * Verifier keys: who is trusted, by name and public key, in the one line that policies and people pass around.
 *
 *     example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k
 *     └ name          └ id     └ base64(type ‖ public key)
 *
 * @see C2SP signed-note, Verifier keys and Signature types
 */
import { hash } from 'node:crypto';
import { base64, hasControl, parseBase64, TransparencyRefused } from './canonical-text.ts';

/** Ed25519 over the note's text (signed-note, Signature types). */
export const ED25519 = 0x01;
/** Ed25519 over a checkpoint with a time (tlog-cosignature). */
export const ED25519_COSIGNATURE = 0x04;

/** @returns 64 bytes, RFC 8032 §5.1.6, by a key this room never sees */
export type Sign = (message: Uint8Array) => Uint8Array;
/** Is `signature` by the holder of the Ed25519 key `publicKey` (32 bytes) over `message`? Throws for nothing. */
export type Verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;

/** A key someone is trusted by, and for which kind of signature. */
export interface VerifierKey {
  /** not empty, without spaces or plus signs; an address without its scheme is recommended */
  readonly name: string;
  readonly type: typeof ED25519 | typeof ED25519_COSIGNATURE;
  /** 32 bytes, RFC 8032 §5.1.5 */
  readonly publicKey: Uint8Array;
}

export interface Signer {
  readonly key: VerifierKey;
  readonly sign: Sign;
}

/** Eight hexadecimal digits. They tell keys of one name apart and prove nothing (signed-note, Signatures). */
export function keyId({ name, type, publicKey }: VerifierKey): string {
  return hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), Uint8Array.of(type), publicKey])).slice(0, 8);
}

/**
 * `<name>+<key id>+<base64 of type and public key>`
 *
 * @throws RangeError when the name or the length of the key is not allowed
 */
export function formatVerifierKey(key: VerifierKey): string {
  if (!isKeyName(key.name)) throw new RangeError(`not a key name: ${JSON.stringify(key.name)}`);
  if (key.publicKey.length !== 32) throw new RangeError(`an Ed25519 key has 32 bytes, got ${key.publicKey.length}`);
  return `${key.name}+${keyId(key)}+${base64(Uint8Array.of(key.type, ...key.publicKey))}`;
}

/** @throws TransparencyRefused unless `text` is what `formatVerifierKey` writes for some key */
export function parseVerifierKey(text: string): VerifierKey {
  // the name has no plus sign, so the first two separate; base64 may hold more
  const [, name, id, encoded] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/s.exec(text) ?? [];
  if (name === undefined || !isKeyName(name)) throw new TransparencyRefused('verifier key: not <name>+<id>+<key>');
  const [type, ...bytes] = parseBase64(encoded!, `verifier key of ${name}`);
  if (type !== ED25519 && type !== ED25519_COSIGNATURE) {
    throw new TransparencyRefused(
      `verifier key of ${name}: signature type ${type} is not supported, use Ed25519 (1, 4)`,
    );
  }
  const key = { name, type, publicKey: Uint8Array.from(bytes) } as const;
  if (bytes.length !== 32) throw new TransparencyRefused(`verifier key of ${name}: ${bytes.length} bytes, expected 32`);
  if (keyId(key) !== id) throw new TransparencyRefused(`verifier key of ${name}: its id is ${keyId(key)}, not ${id}`);
  return key;
}

/** @throws RangeError when name and id do not say which of `keys` signed */
export function assertDistinct(keys: readonly VerifierKey[]): void {
  const ids = keys.map((key) => `${key.name}+${keyId(key)}`);
  const twice = ids.find((id, at) => ids.indexOf(id) !== at);
  if (twice !== undefined) throw new RangeError(`two keys are called ${twice}: list each key once`);
}

/** Not empty, without Unicode spaces or plus signs (signed-note, Format), and what else a note may not hold. */
export const isKeyName = (name: string): boolean =>
  /^[^\p{White_Space}+]+$/u.test(name) && !hasControl(name) && name.isWellFormed();
