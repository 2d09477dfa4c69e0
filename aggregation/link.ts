/**
 * A connection that carries whole frames in order: a WebSocket between processes, a pair of queues within one.
 * Both sides of the protocol speak to this and to nothing else.
 */
export interface Link {
  /** @param left - called when the frame has left this machine; never, when the connection ends before */
  send(frame: Uint8Array, left?: () => void): void;
  /** Ends the connection when what was sent has left. A peer that has not read for long is not waited for. */
  close(): void;
  /** One handler each; set both before the first frame can arrive. */
  onFrame(handler: (frame: Uint8Array) => void): void;
  onClose(handler: () => void): void;
}
