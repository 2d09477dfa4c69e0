/**
 * Numbers and bytes as text, each with exactly one spelling: whatever reads one way is written one way, so that two copies
 * of a signed object never differ in bytes and mean the same.
 */

/** Not of its format, or not vouched for: where and why. The sender may be hostile; nothing was acted upon. */
export class TransparencyRefused extends Error {
  override readonly name = 'TransparencyRefused';
}

/** Standard base64 with padding, RFC 4648 §4. */
export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}

/**
 * @param what - for the message: which field of which object this is
 * @throws TransparencyRefused unless `text` is what `base64` writes: padding there, unused bits zero, nothing between
 */
export function parseBase64(text: string, what: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  // Node passes over what it does not know, so the only proof of a spelling is to spell it again.
  if (base64(bytes) !== text) throw new TransparencyRefused(`${what}: not canonical base64 (RFC 4648 §4)`);
  return new Uint8Array(bytes);
}

/** As `parseBase64`, for exactly 32 bytes: a SHA-256 hash. */
export function parseHash(text: string, what: string): Uint8Array {
  const bytes = parseBase64(text, what);
  if (bytes.length !== 32) throw new TransparencyRefused(`${what}: a hash has 32 bytes, got ${bytes.length}`);
  return bytes;
}

/**
 * @returns an integer from 0 to 2^53 − 1: beyond it JavaScript no longer counts, and no log of ours gets there
 * @throws TransparencyRefused for signs, leading zeros, anything but digits
 */
export function parseDecimal(text: string, what: string): number {
  const value = /^(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) {
    throw new TransparencyRefused(`${what}: a decimal from 0 to 2^53 - 1 without leading zeros is needed`);
  }
  return value;
}

/** @throws RangeError unless `value` is an integer from 0 to 2^53 − 1 */
export function decimal(value: number, what: string): string {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${what} must be an integer ≥ 0, got ${value}`);
  return String(value);
}

/** Holds a character below U+0020 other than `allowed`? They can hide in what people compare by eye. */
export function hasControl(text: string, allowed = ''): boolean {
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) < 0x20 && !allowed.includes(text[at]!)) return true;
  }
  return false;
}
