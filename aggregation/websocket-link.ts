import type { WebSocket } from 'ws';
import type { Link } from './link.ts';

/** How often each side asks the other whether it is still there; two unanswered questions close the connection. */
const PING_EVERY_MS = 5_000;

/**
 * A WebSocket as a link. Half-open connections are found by pings; whatever arrives is a sign of life, for an answer may wait
 * behind a long vector. Text frames are not part of the protocol and close it.
 */
export function webSocketLink(socket: WebSocket): Link {
  let unanswered = 0;
  const timer = setInterval(() => {
    if (unanswered >= 2) return socket.terminate();
    unanswered += 1;
    if (socket.readyState === socket.OPEN) socket.ping(); // while it connects there is nobody to ask, and ws throws
  }, PING_EVERY_MS);
  timer.unref();
  const isAlive = (): void => {
    unanswered = 0;
  };
  socket.on('pong', isAlive);
  socket.on('ping', isAlive);
  socket.on('message', isAlive);
  socket.on('close', () => clearInterval(timer));
  socket.on('error', () => socket.terminate()); // oversized frame, broken handshake: the connection is over, the process is not

  return {
    send: (frame) => {
      if (socket.readyState === socket.OPEN) socket.send(frame);
    },
    close: () => socket.close(),
    onFrame: (handler) => {
      socket.on('message', (data: Buffer, isBinary: boolean) => {
        if (isBinary) handler(data);
        else socket.close(1003, 'binary frames only');
      });
    },
    onClose: (handler) => {
      socket.on('close', handler);
    },
  };
}
