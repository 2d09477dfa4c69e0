/**
 * A connection that carries whole frames in order: a WebSocket between processes, a pair of queues within one.
 * Both sides of the protocol speak to this and to nothing else.
 */
export interface Link {
  /** @param left - called when the frame has left this machine; never, when the connection ends before */
  send(frame: Frame, left?: () => void): void;
  /** Ends the connection when what was sent has left. A peer that has not read for long is not waited for. */
  close(): void;
  /** The peer has proved who it is: from now on it may send more than a greeting. */
  identified?(): void;
  /** One handler each; set both before the first frame can arrive. */
  onFrame(handler: (frame: Frame) => void): void;
  onClose(handler: () => void): void;
}

/** One message and the sender's seal over it and its place (`channel.ts`). Two arrays: a body may go to many, and is long. */
export interface Frame {
  /** a signature or a tag: 64 bytes, or it is none */
  readonly seal: Uint8Array;
  readonly body: Uint8Array;
}

export const SEAL_BYTES = 64;
