import { type Identity, isSignedBy } from './identity.ts';
import { hex } from './plan.ts';
import { digest } from './transcript.ts';

/**
 * How a tenant shows over HTTP who asks: the key it has anyway signs what it asks for, when, and of whom.
 *
 *   Authorization: Parley key="<64 hex digits>", time=<Unix ms>, signature="<128 hex digits>"
 *
 * It can be shown for reading only, to one coordinator, for one path, for five minutes. Whoever sees it on the wire can repeat the
 * read it was made for within that time, and has seen the answer anyway: so there is no nonce, and nothing to remember.
 *
 * RFC 9421 (HTTP message signatures) does more, over headers that say what they cover, in a syntax of their own. A reader must
 * then refuse every signature that covers too little. Here there is one thing to cover and one way to write it.
 */
export interface Read {
  /** fingerprint of the coordinator that is asked, as the tenant pins it */
  readonly coordinator: string;
  /** path and query, as the coordinator is asked for it: `/ledger` */
  readonly path: string;
  /** Unix ms */
  readonly time: number;
}

export interface SignedRead {
  /** Ed25519 public key, hexadecimal */
  readonly key: string;
  /** Unix ms */
  readonly time: number;
  readonly signature: Uint8Array;
}

/** How far the clocks of a tenant and its coordinator may be apart. */
export const READ_WINDOW_MS = 5 * 60_000;

/** The header's value. */
export function signRead(identity: Identity, read: Read): string {
  const signature = hex(identity.sign(readDigest(read)));
  return `Parley key="${hex(identity.publicKey)}", time=${read.time}, signature="${signature}"`;
}

/** @returns undefined for what is no such header */
export function parseSignedRead(header: string): SignedRead | undefined {
  const found = /^Parley key="([0-9a-f]{64})", time=([1-9][0-9]{0,15}), signature="([0-9a-f]{128})"$/.exec(header);
  if (found === null) return undefined;
  const [, key, time, signature] = found as unknown as [string, string, string, string];
  return { key, time: Number(time), signature: Buffer.from(signature, 'hex') };
}

/** Did the holder of the key sign to read this path of this coordinator? Whose key it is, and whether now, is for the caller. */
export const isSignedRead = (
  { key, time, signature }: SignedRead,
  { coordinator, path }: Pick<Read, 'coordinator' | 'path'>,
): boolean => isSignedBy(Buffer.from(key, 'hex'), readDigest({ coordinator, path, time }), signature);

const readDigest = ({ coordinator, path, time }: Read): Uint8Array =>
  digest('parley/read/v1', coordinator, path, String(time));
