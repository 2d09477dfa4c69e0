import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { type Frame, type Link, SEAL_BYTES } from '../../aggregation/link.ts';
import { webSocketLink } from '../../aggregation/websocket-link.ts';
import { MAX_FRAME } from '../../aggregation/wire.ts';

const frame = (body: Uint8Array): Frame => ({ seal: Buffer.alloc(SEAL_BYTES, 9), body });

test('a connection that never opens is given up after three questions, and ends nothing else', async () => {
  const silent = createServer(() => {}); // takes the connection and never answers the handshake
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void silent.close());
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());

  const { port } = silent.address() as { port: number };
  const link = webSocketLink(new WebSocket(`ws://127.0.0.1:${port}/federation`));
  const closed = new Promise<void>((resolve) => link.onClose(resolve));
  link.send(frame(Buffer.of(1))); // goes nowhere, throws nothing
  expect(() => vi.advanceTimersByTime(15_000)).not.toThrow();
  await closed;
});

test('a connection on which bytes arrive stays, though no question is answered; one that falls silent does not', async () => {
  const piece = Buffer.alloc(100_000); // one message so long that it never ends here
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
    await new Promise<void>((resolve) => raw[0]!.write(piece, () => setTimeout(resolve, 20)));
    vi.advanceTimersByTime(5_000);
  }
  expect(isClosed).toBe(false);
  vi.advanceTimersByTime(15_000);
  await closed;
});

test.each([
  ['and reads nothing is given up when a minute has passed', false, 2 ** 22],
  ['and reads slowly is waited for', true, 2 ** 22],
  ['and reads one long message slowly is waited for', true, 2 ** 26],
])('a peer that answers %s', async (_, reads, length) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const far = new WebSocket(`ws://127.0.0.1:${port}`, { maxPayload: 2 ** 30 });
  const upgraded = once(far, 'upgrade') as Promise<[{ socket: Socket }]>;
  const [near, { socket }] = (await once(server, 'connection')) as [WebSocket, { socket: Socket }];
  const [{ socket: transport }] = await upgraded;
  if (far.readyState !== far.OPEN) await once(far, 'open');
  onTestFinished(() => {
    far.terminate();
    server.close();
  });
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  const link = webSocketLink(near, socket);
  let isClosed = false;
  const closed = closing(link).then(() => {
    isClosed = true;
  });
  far.pause();
  const readSome = (): Promise<void> =>
    new Promise((resolve) => {
      const got = transport.bytesRead;
      const stop = (): void => {
        if (transport.bytesRead < got + 2 ** 21) return;
        far.pause();
        transport.off('data', stop);
        resolve();
      };
      transport.on('data', stop);
      far.resume();
    });
  let unread = 0;
  const leaveSomethingToRead = (): void => {
    while (!isClosed && unread < 2 ** 26) {
      unread += length;
      link.send(frame(Buffer.alloc(length)), () => {
        unread -= length;
      });
    }
  };
  for (let i = 0; i < 14; i++) {
    leaveSomethingToRead();
    const answered = socket.bytesRead;
    far.ping();
    if (reads) await Promise.race([readSome(), closed]);
    await vi.waitUntil(() => isClosed || socket.bytesRead > answered);
    if (i === 11) expect(isClosed).toBe(false);
    leaveSomethingToRead();
    vi.advanceTimersByTime(5_000);
  }
  await vi.waitUntil(() => isClosed || reads);
  expect(isClosed).toBe(!reads);
});

/** A connection whose far side reads nothing, and that nobody gives up because time passes, until the test is over. */
async function unread(): Promise<{ link: Link; far: WebSocket }> {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const far = new WebSocket(`ws://127.0.0.1:${port}`, { maxPayload: 2 ** 30 });
  onTestFinished(() => {
    far.terminate();
    server.close();
  });
  const [near] = (await once(server, 'connection')) as [WebSocket];
  if (far.readyState !== far.OPEN) await once(far, 'open');
  far.pause();
  return { link: webSocketLink(near), far };
}

const closing = (link: Link): Promise<void> => new Promise((resolve) => link.onClose(resolve));
/** One buffer, however often it is sent. */
const long = frame(Buffer.alloc(MAX_FRAME.fromCoordinator));

test('a peer that reads nothing may leave two of the longest messages unread; with more the connection is over', async () => {
  const { link } = await unread();
  let isClosed = false;
  const closed = closing(link).then(() => {
    isClosed = true;
  });
  const left: number[] = [];
  for (let i = 0; i < 2; i++) link.send(long, () => left.push(i));
  await sleep(50);
  expect(isClosed).toBe(false);
  link.send(long, () => left.push(2));
  await closed;
  expect(left).toEqual([]); // they never left
});

test('a peer that reads nothing may leave five thousand short messages unread, besides what its network holds', async () => {
  const { link, far } = await unread();
  let isClosed = false;
  const closed = closing(link).then(() => {
    isClosed = true;
  });
  const short = frame(Buffer.alloc(1000));
  let left = 0;
  for (let i = 0; i < 5_000; i++) link.send(short, () => left++);
  await sleep(50);
  expect(isClosed).toBe(false);
  let read = 0;
  const all = new Promise<void>((resolve) => far.on('message', () => ++read === 5_000 && resolve()));
  far.resume();
  await all;
  far.pause();
  expect(left).toBe(5_000); // whoever reads may be sent more
  link.send(long); // nothing leaves any more
  await sleep(20);
  expect(isClosed).toBe(false);
  for (let i = 0; i < 5_000; i++) link.send(short);
  await closed;
});

test('what is sent has left when the peer reads it', async () => {
  const { link, far } = await unread();
  const left = new Promise<void>((resolve) => link.send(long, resolve));
  far.resume();
  await left;
});

test('a connection that ends waits for a last word, and not for what its peer has left unread', async () => {
  const { link } = await unread();
  link.send(long);
  const closed = closing(link);
  link.close();
  await closed;
  const last = await unread();
  last.link.send(frame(Buffer.of(7)));
  last.link.close();
  const [word, end] = [once(last.far, 'message'), once(last.far, 'close')];
  last.far.resume();
  expect((await word)[0].at(-1)).toBe(7);
  expect((await end)[0]).toBe(1005); // RFC 6455 §7.4.1: closed, and no reason given; 1006 would be cut off
});

test('a frame arrives as it was sent, however the network cuts it, and what is too short has no seal', async () => {
  const { link, far } = await unread();
  const heard: Frame[] = [];
  const two = Promise.withResolvers<void>();
  const other = webSocketLink(far);
  other.onFrame((one) => {
    heard.push(one);
    if (heard.length === 1) link.send({ seal: Buffer.alloc(3, 1), body: Buffer.alloc(0) });
    else two.resolve();
  });
  const near: Frame[] = [];
  const all = Promise.withResolvers<void>();
  link.onFrame((one) => near.push(one) === 3 && all.resolve());
  const body = Buffer.from('what is said');
  link.send(frame(body));
  far.resume();
  await two.promise;
  expect(heard[0]).toEqual({ seal: Buffer.alloc(SEAL_BYTES, 9), body });
  expect(heard[1]).toEqual({ seal: Buffer.alloc(3, 1), body: Buffer.alloc(0) });
  const bytes = Buffer.concat([Buffer.alloc(SEAL_BYTES, 9), body]);
  for (const cuts of [[], [10], [10, 70]])
    for (const [i, at] of [0, ...cuts].entries())
      far.send(bytes.subarray(at, cuts[i]), { binary: true, fin: i === cuts.length });
  await all.promise;
  expect(near).toEqual(Array(3).fill({ seal: Buffer.alloc(SEAL_BYTES, 9), body }));
});
