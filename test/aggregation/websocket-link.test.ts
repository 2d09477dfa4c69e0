import { createServer } from 'node:net';
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
