import { type Identity, isSignedBy } from './identity.ts';
import type { Frame } from './link.ts';
import { digest, sha256 } from './transcript.ts';
import { WireRefused } from './wire-check.ts';

/**
 * One end of a connection: every frame is signed over its connection and its place in it, in both directions.
 *
 *   coordinator's frame 0, hello      over nothing before it
 *   client's frame 0, identify        over the hello
 *   every later frame                 over both, its direction and its number
 *
 * Hello and identify hold a fresh nonce of their side, so a later frame verifies on one connection, once, in its place. One
 * that was recorded elsewhere, doubled, dropped, exchanged with another or made by somebody in between does not, and ends the
 * connection. The connection is known by the two frames as they arrived, signatures included, and not by their nonces alone:
 * who changes one bit of a client's greeting cannot make use of the refusal that the coordinator then signs.
 *
 * Only the hello is bound to nothing. Shown again it gives nothing: the client answers with a nonce that no frame recorded
 * before covers, and what it answers is over this hello, whose connection has ended. So a client believes the key in a hello,
 * and acts on nothing else that it says before a later frame confirms it.
 */
export class Channel {
  readonly #side: Side;
  #connection: Uint8Array = new Uint8Array(0);
  #sent = 0;
  #taken = 0;

  constructor(side: Side) {
    this.#side = side;
  }

  /** The next frame of this side. Seal in the order of sending. */
  seal(body: Body, { sign }: Pick<Identity, 'sign'>): Frame {
    const signature = sign(this.#digest(this.#side, this.#sent, body.hash));
    if (this.#sent++ === 0) this.#bind(signature, body.hash);
    return { signature, body: body.bytes };
  }

  /**
   * Takes in the next frame of the other side.
   * @param key - of the other side, 32 bytes; undefined when it has shown none
   * @returns whether its holder made it, for this connection and this place
   */
  takes({ signature, body }: Frame, key: Uint8Array | undefined): boolean {
    const hash = sha256(body);
    const signed = this.#digest(this.#side === 'client' ? 'coordinator' : 'client', this.#taken, hash);
    if (this.#taken++ === 0) this.#bind(signature, hash);
    return key !== undefined && isSignedBy(key, signed, signature);
  }

  #digest(from: Side, place: number, hash: Uint8Array): Uint8Array {
    return digest('parley/frame/v2', from, this.#connection, String(place), hash);
  }

  #bind(signature: Uint8Array, hash: Uint8Array): void {
    this.#connection = digest('parley/connection/v2', this.#connection, signature, hash);
  }
}

type Side = 'coordinator' | 'client';

/** A message as it travels, and its SHA-256: to be sealed for several connections it is hashed once. */
export interface Body {
  readonly bytes: Uint8Array;
  readonly hash: Uint8Array;
}

/** A frame that its sender did not make, or not for here and now. Whoever sits on the wire can cause it: it proves nothing. */
export class Unverified extends WireRefused {
  override readonly name = 'Unverified';
}
