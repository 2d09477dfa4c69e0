import type { WebSocket } from 'ws';
import type { Frame } from './link.ts';

/**
 * Frames on their way to a peer. One is one binary message, its seal and then its body, in fragments: a body that goes to many is not
 * copied for each, and of a long one the next piece goes when the one before is with the system. So it is seen how much a peer reads
 * also of a message that takes it minutes, and pings get between (RFC 6455 §5.4).
 */
export class Outbox {
  readonly #socket: WebSocket;
  readonly #pieces: Piece[] = [];
  /** bytes that the socket has been given, and the system has not */
  #underWay = 0;
  #unsent = 0;
  #sent = 0;
  #frames = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  /** Bytes in memory here. */
  get unsent(): number {
    return this.#unsent;
  }

  /** Bytes that have left, since the beginning. */
  get sent(): number {
    return this.#sent;
  }

  /** Frames that have not left, or not all of them. */
  get frames(): number {
    return this.#frames;
  }

  /** @param left - as `Link.send` calls it */
  put({ seal, body }: Frame, left?: () => void): void {
    this.#frames += 1;
    this.#unsent += seal.length + body.length;
    let at = 0;
    do {
      const bytes = body.subarray(at, at + PIECE);
      const isLast = at + PIECE >= body.length;
      this.#pieces.push({ seal: at === 0 ? seal : undefined, bytes, isLast, left: isLast ? left : undefined });
      at += PIECE;
    } while (at < body.length);
    this.#flush();
  }

  #flush(): void {
    while (this.#pieces.length > 0 && this.#underWay < PIECE) this.#send(this.#pieces.shift()!);
  }

  #send({ seal, bytes, isLast, left }: Piece): void {
    const length = (seal?.length ?? 0) + bytes.length;
    this.#underWay += length;
    if (seal !== undefined) this.#socket.send(seal, { fin: false });
    this.#socket.send(bytes, { fin: isLast }, (error) => {
      if (error != null) return; // the connection is over
      this.#underWay -= length;
      this.#unsent -= length;
      this.#sent += length;
      if (isLast) this.#frames -= 1;
      left?.();
      this.#flush();
    });
  }
}

/** Bytes; a part of a vector (`PART_BYTES`), and what is said around it, goes in one. */
const PIECE = 5 * 2 ** 18;

interface Piece {
  /** before the first of a frame */
  readonly seal: Uint8Array | undefined;
  readonly bytes: Uint8Array;
  readonly isLast: boolean;
  readonly left: (() => void) | undefined;
}
