import { createHash } from 'node:crypto';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { webSocketLink } from '../../aggregation/websocket-link.ts';

test('a connection that never opens is given up after three questions, and ends nothing else', async () => {
  const silent = createServer(() => {}); // takes the connection and never answers the handshake
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void silent.close());
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());

  const { port } = silent.address() as { port: number };
  const link = webSocketLink(new WebSocket(`ws://127.0.0.1:${port}/federation`));
  const closed = new Promise<void>((resolve) => link.onClose(resolve));
  link.send(Uint8Array.of(1)); // goes nowhere, throws nothing
  expect(() => vi.advanceTimersByTime(15_000)).not.toThrow();
  await closed;
});

test('a connection on which bytes arrive stays, though no question is answered; one that falls silent does not', async () => {
  const frame = Buffer.alloc(100_000); // one message so long that it never ends here
  const raw: Socket[] = [];
  const server = createHttpServer();
  server.on('upgrade', (request, socket) => {
    const key = createHash('sha1').update(
      `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`,
    );
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key.digest('base64')}\r\n\r\n`,
    );
    socket.write(Buffer.from([0x82, 127, 0, 0, 0, 0, 0x10, 0, 0, 0])); // binary, 2^28 bytes to come (RFC 6455 §5.2)
    raw.push(socket as Socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const socket = new WebSocket(`ws://127.0.0.1:${port}/federation`, { maxPayload: 2 ** 30 });
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  const link = webSocketLink(socket);
  let isClosed = false;
  const closed = new Promise<void>((resolve) =>
    link.onClose(() => {
      isClosed = true;
      resolve();
    }),
  );
  await new Promise<void>((resolve) => socket.on('open', resolve));
  for (let i = 0; i < 6; i++) {
    await new Promise<void>((resolve) => raw[0]!.write(frame, () => setTimeout(resolve, 20)));
    vi.advanceTimersByTime(5_000);
  }
  expect(isClosed).toBe(false);
  vi.advanceTimersByTime(15_000);
  await closed;
});
