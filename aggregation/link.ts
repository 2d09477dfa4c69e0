/**
 * A connection that carries whole frames in order: a WebSocket between processes, a pair of queues within one.
 * Both sides of the protocol speak to this and to nothing else.
 */
export interface Link {
  send(frame: Uint8Array): void;
  close(): void;
  /** One handler each; set both before the first frame can arrive. */
  onFrame(handler: (frame: Uint8Array) => void): void;
  onClose(handler: () => void): void;
}
