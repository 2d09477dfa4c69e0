import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { type Frame, type Link, SEAL_BYTES } from './link.ts';
import { Outbox } from './outbox.ts';
import { MAX_FRAME } from './wire.ts';

/** How often each side asks the other whether it is still there; two unanswered questions close the connection. */
const PING_EVERY_MS = 5_000;
/** What may wait for a peer to read it: two of the longest messages, or many short ones. One that lets more wait fills the memory here. */
const MOST_UNREAD = { bytes: 2 * (SEAL_BYTES + MAX_FRAME.fromCoordinator), frames: 5_000 };
/** Pings after which a peer must have read some of what waits for it; a slow line takes seconds for what the network holds. */
const MOST_IDLE = 12;
/** Bytes that a connection waits for when it is to end: a last word, and not whatever a peer has left unread. */
const LAST_WORDS = 2 ** 16;

/**
 * A WebSocket as a link. A frame is one binary message, its seal and then its body (`outbox.ts`). How a message arrives in fragments is
 * the network's affair. Text frames are not part of the protocol and close it.
 *
 * Half-open connections are found by pings; any byte that arrives is an answer too, for the pong may wait behind a long message.
 * Who answers and reads nothing for a minute, while there is something to be read, is given up as well: it would keep it here.
 *
 * @param transport - what a server's connection came over; a client's is known when it opens
 */
export function webSocketLink(socket: WebSocket, transport?: Pick<Socket, 'bytesRead'>): Link {
  socket.binaryType = 'fragments';
  let tcp = transport;
  socket.once('upgrade', (response) => {
    tcp = response.socket;
  });
  let unanswered = 0;
  const outbox = new Outbox(socket);
  let heard = 0;
  let read = 0;
  let idle = 0;
  const timer = setInterval(() => {
    idle = outbox.unsent > LAST_WORDS && outbox.sent <= read ? idle + 1 : 0;
    read = outbox.sent;
    if (idle >= MOST_IDLE) return socket.terminate();
    const { bytesRead } = tcp ?? { bytesRead: 0 };
    if (bytesRead > heard) unanswered = 0;
    heard = bytesRead;
    if (unanswered >= 2) return socket.terminate();
    unanswered += 1;
    if (socket.readyState === socket.OPEN) socket.ping(); // while it connects there is nobody to ask, and ws throws
  }, PING_EVERY_MS);
  timer.unref();
  socket.on('close', () => clearInterval(timer));
  socket.on('error', () => socket.terminate()); // oversized frame, broken handshake: the connection is over, the process is not

  return {
    send: (frame, left) => {
      if (socket.readyState !== socket.OPEN) return;
      const unsent = outbox.unsent + frame.seal.length + frame.body.length;
      if (unsent > MOST_UNREAD.bytes || outbox.frames >= MOST_UNREAD.frames) return socket.terminate();
      outbox.put(frame, left);
    },
    close: () => (outbox.unsent > LAST_WORDS ? socket.terminate() : socket.close()),
    onFrame: (handler) => {
      socket.on('message', (data: Buffer[], isBinary: boolean) => {
        if (isBinary) handler(frameOf(data));
        else socket.close(1003, 'binary frames only');
      });
    },
    onClose: (handler) => {
      socket.on('close', handler);
    },
  };
}

/** What is too short for a seal holds none, and verifies nowhere. */
function frameOf(fragments: readonly Buffer[]): Frame {
  const [seal, body] = fragments;
  if (fragments.length === 2 && seal!.length === SEAL_BYTES) return { seal: seal!, body: body! };
  const bytes = fragments.length === 1 ? fragments[0]! : Buffer.concat(fragments);
  return { seal: bytes.subarray(0, SEAL_BYTES), body: bytes.subarray(SEAL_BYTES) };
}
