import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { type Identity, isSignedBy } from './identity.ts';
import { type AgreementKey, ephemeralKey, hkdf } from './key-agreement.ts';
import { type Frame, SEAL_BYTES } from './link.ts';
import { digest, sha256 } from './transcript.ts';
import { WireRefused } from './wire-check.ts';

/**
 * One end of a connection: every frame is sealed for its connection and its place in it, in both directions.
 *
 *   coordinator's frame 0, hello      signed, over nothing before it
 *   client's frame 0, identify        signed, over the hello
 *   coordinator's frame 1, welcome    signed, over both
 *   every later frame                 a tag, over both, its direction and its number
 *
 * Hello and identify each hold a fresh X25519 key, so a later frame verifies on one connection, once, in its place. One that was
 * recorded elsewhere, doubled, dropped, exchanged with another or made by somebody in between does not, and ends the connection.
 * The connection is known by the two frames as they arrived, seals included, and not by their keys alone: who changes one bit of
 * a client's greeting cannot make use of the refusal that the coordinator then signs.
 *
 * Only the hello is bound to nothing. Shown again it gives nothing: the client answers with a key that no frame recorded before
 * covers, and what it answers is over this hello, whose connection has ended. So a client believes the identity in a hello, and
 * acts on nothing else that it says before the coordinator has signed its next frame.
 *
 * Why tags are as good here: the three signed frames are the signed Diffie-Hellman exchange of Canetti and Krawczyk 2001
 * (their protocol SIG-DH; ISO/IEC 9798-3), each side signing both keys, and what it agrees on is known to the two signers alone. The tag is
 * HMAC-SHA-512 (RFC 2104) under HKDF (RFC 5869) of it, salted with both greetings. What a tag is not: proof to a third. Whatever
 * somebody else must be able to check (an answer, a statement, a standing, a line under the ledger) has a signature of its own.
 * Not claimed: secrecy, which is TLS's affair; tags that hold against who computes discrete logarithms while the connection lasts.
 */
export class Channel {
  readonly #side: Side;
  readonly #agreement: AgreementKey;
  #key: KeyObject | undefined;
  /** who has greeted, so it says */
  #other: Uint8Array | undefined;
  #connection: Uint8Array = new Uint8Array(0);
  #sent = 0;
  #taken = 0;

  /** @param agreement - of this connection alone */
  constructor(side: Side, agreement: AgreementKey = ephemeralKey()) {
    this.#side = side;
    this.#agreement = agreement;
  }

  /** This side's fresh X25519 key, 32 bytes: its greeting holds it. */
  get exchange(): Uint8Array {
    return this.#agreement.publicKey;
  }

  /**
   * Once both greetings have been sealed and taken: from here on there are tags.
   * @param exchange - of the other side's greeting
   * @throws Unverified when it is no key that may be used
   */
  agree(exchange: Uint8Array): void {
    const secret = this.#agreement.agree(exchange);
    if (secret === undefined) throw new Unverified('the greeting holds no X25519 key that may be used (RFC 7748 §6.1)');
    this.#key = createSecretKey(hkdf(secret, this.#connection, Buffer.from('parley/frame/v2'), 64));
    secret.fill(0);
  }

  /** The next frame of this side. Seal in the order of sending. @throws Error for a tag before `agree` */
  seal(body: Body, { sign }: Pick<Identity, 'sign'>): Frame {
    const place = this.#sent++;
    const sealed = this.#digest(this.#side, place, body.hash);
    const seal = place < SIGNED[this.#side] ? sign(sealed) : this.#tag(sealed);
    if (place === 0) this.#bind(seal, body.hash);
    return { seal, body: body.bytes };
  }

  /**
   * Takes in the next frame of the other side.
   * @param key - of the other side, 32 bytes; undefined when it has none. A tag is of who signed the greeting, and of no later key
   * @returns whether its holder made it, for this connection and this place
   */
  takes({ seal, body }: Frame, key: Uint8Array | undefined): boolean {
    const hash = sha256(body);
    const from = this.#side === 'client' ? 'coordinator' : 'client';
    const place = this.#taken++;
    const sealed = this.#digest(from, place, hash);
    if (place === 0) {
      this.#bind(seal, hash);
      this.#other = key && Uint8Array.from(key);
    }
    if (key === undefined || this.#other === undefined) return false;
    if (place < SIGNED[from]) return isSignedBy(key, sealed, seal);
    if (Buffer.compare(key, this.#other) !== 0) return false;
    return this.#key !== undefined && seal.length === SEAL_BYTES && timingSafeEqual(seal, this.#tag(sealed));
  }

  #tag(sealed: Uint8Array): Uint8Array {
    if (this.#key === undefined) throw new Error('a frame before both sides have greeted');
    return createHmac('sha512', this.#key).update(sealed).digest();
  }

  #digest(from: Side, place: number, hash: Uint8Array): Uint8Array {
    return digest('parley/frame/v2', from, this.#connection, String(place), hash);
  }

  #bind(seal: Uint8Array, hash: Uint8Array): void {
    this.#connection = digest('parley/connection/v2', this.#connection, seal, hash);
  }
}

type Side = 'coordinator' | 'client';

/** Frames of each side that are signed; the rest have tags. */
const SIGNED: Readonly<Record<Side, number>> = { coordinator: 2, client: 1 };

/** A message as it travels, and its SHA-256: to be sealed for several connections it is hashed once. */
export interface Body {
  readonly bytes: Uint8Array;
  readonly hash: Uint8Array;
}

/** A frame that its sender did not make, or not for here and now. Whoever sits on the wire can cause it: it proves nothing. */
export class Unverified extends WireRefused {
  override readonly name = 'Unverified';
}
