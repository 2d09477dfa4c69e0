import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';

/**
 * Somebody between client and coordinator who speaks WebSocket, and passes messages on as he likes: one twice, two the other way
 * round, one with a bit flipped. Which ones follows from `tamper` alone.
 */
export interface FaultyMessages {
  readonly port: number;
  readonly connections: readonly Relay[];
  close(): Promise<void>;
}

/** What was done on one connection. */
export interface Relay {
  /** in order */
  readonly done: Tampering[];
  isOpen: boolean;
}

export type Tampering = 'twice' | 'swapped' | 'changed';

export interface MessagesOptions {
  /** port of the coordinator; asked for each connection */
  readonly to: () => number;
  /** What happens to message `index` (from 0) of connection `connection` in one direction. */
  readonly tamper: (message: Passing) => Tampering | undefined;
}

export interface Passing {
  readonly connection: number;
  readonly from: 'client' | 'coordinator';
  readonly index: number;
}

export async function startFaultyMessages({ to, tamper }: MessagesOptions): Promise<FaultyMessages> {
  const connections: Relay[] = [];
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  await once(server, 'listening');
  server.on('connection', (near, request) => {
    const connection = connections.length;
    const relay: Relay = { done: [], isOpen: true };
    connections.push(relay);
    const far = new WebSocket(`ws://127.0.0.1:${to()}${request.url}`, { perMessageDeflate: false });
    carry(near, far, (index) => noted(relay, tamper({ connection, from: 'client', index })));
    carry(far, near, (index) => noted(relay, tamper({ connection, from: 'coordinator', index })));
    near.on('close', () => {
      relay.isOpen = false;
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    connections,
    async close() {
      for (const client of server.clients) client.terminate();
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}

/** How long a message waits to be overtaken. */
const LATEST_MS = 300;

function noted(relay: Relay, what: Tampering | undefined): Tampering | undefined {
  if (what !== undefined) relay.done.push(what);
  return what;
}

function carry(from: WebSocket, to: WebSocket, tamper: (index: number) => Tampering | undefined): void {
  const opened = to.readyState === to.CONNECTING ? once(to, 'open').catch(() => {}) : Promise.resolve();
  let index = 0;
  let before: Buffer | undefined;
  const pass = (data: Buffer): void => {
    const what = tamper(index++);
    if (what === 'swapped') {
      before = data;
      setTimeout(late, LATEST_MS); // perhaps nothing follows
      return;
    }
    to.send(what === 'changed' ? flipped(data) : data);
    if (what === 'twice') to.send(data);
    late();
  };
  const late = (): void => {
    if (before !== undefined && to.readyState === to.OPEN) to.send(before);
    before = undefined;
  };
  from.on('message', (data: Buffer) => void opened.then(() => to.readyState === to.OPEN && pass(data)));
  from.on('close', () => to.close());
  from.on('error', () => to.terminate());
}

function flipped(data: Buffer): Buffer {
  const copy = Buffer.from(data);
  copy[copy.length - 1]! ^= 1;
  return copy;
}
