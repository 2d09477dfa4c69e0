import canonicalize from 'canonicalize';
import { z } from 'zod';
import { isSignedBy } from './identity.ts';
import { digest } from './transcript.ts';

/**
 * What a tenant tells the federation about itself: that its key is another one from now on, that it leaves, that it no longer
 * uses a customer it had.
 *
 *   notice ──signed with the tenant's key; a new key signs too──▶ coordinator: heard once ──▶ ledger, receipt
 *
 * Signatures cover the federation and a number used once: a notice holds for one federation, and has its effect once. The
 * coordinator's receipt covers the notice, so that nobody on the wire can make a tenant throw away a key that is still in use.
 */
const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/);
const octets32 = z.string().regex(/^[0-9a-f]{64}$/);
const signature = z.string().regex(/^[0-9a-f]{128}$/);

const common = {
  tenant: name,
  /** Ed25519 public key that the tenant has in the roster, hexadecimal */
  key: octets32,
  /** 32 random bytes, hexadecimal: used once */
  nonce: octets32,
};

export const noticeSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('re-key'), ...common, /** its key from now on */ next: octets32 }),
  z.strictObject({ kind: z.literal('leave'), ...common }),
  /** says neither who nor how many */
  z.strictObject({ kind: z.literal('erasure'), ...common }),
]);
export type Notice = z.infer<typeof noticeSchema>;

export const signedNoticeSchema = z.strictObject({
  notice: noticeSchema,
  /** over `noticeDigest`, with `notice.key` */
  signature,
  /** over `nextKeyDigest`, with `notice.next`: whoever is given a name holds the key */
  nextSignature: signature.exactOptional(),
});
export type SignedNotice = z.infer<typeof signedNoticeSchema>;

/** What the tenant signs; and, in hexadecimal, what a notice is known by. @param federation - its hash */
export const noticeDigest = (notice: Notice, federation: string): Uint8Array =>
  digest('parley/notice/v1', federation, canonicalize(notice)!);

/** What the new key signs. Another digest than the old key's: neither signature can stand in for the other. */
export const nextKeyDigest = (notice: Notice, federation: string): Uint8Array =>
  digest('parley/notice-next-key/v1', federation, canonicalize(notice)!);

/** What the coordinator signs when the notice has had its effect. */
export const receiptDigest = (notice: Notice, federation: string): Uint8Array =>
  digest('parley/notice-receipt/v1', noticeDigest(notice, federation));

/** Signs with the tenant's key, and, for another key, with that too. */
export function signNotice(
  notice: Notice,
  federation: string,
  sign: (digest: Uint8Array) => Uint8Array,
  signNext?: (digest: Uint8Array) => Uint8Array,
): SignedNotice {
  const signed = { notice, signature: hex(sign(noticeDigest(notice, federation))) };
  return signNext === undefined
    ? signed
    : { ...signed, nextSignature: hex(signNext(nextKeyDigest(notice, federation))) };
}

/** Did the holder of `notice.key`, and of the next one where there is one, sign exactly this for this federation? */
export function isSignedNotice({ notice, signature, nextSignature }: SignedNotice, federation: string): boolean {
  if (!isSignedBy(bytes(notice.key), noticeDigest(notice, federation), bytes(signature))) return false;
  if (notice.kind !== 're-key') return nextSignature === undefined;
  const digest = nextKeyDigest(notice, federation);
  return nextSignature !== undefined && isSignedBy(bytes(notice.next), digest, bytes(nextSignature));
}

const bytes = (text: string): Uint8Array => Buffer.from(text, 'hex');
const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex');
