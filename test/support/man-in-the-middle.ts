import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { type Frame, SEAL_BYTES } from '../../aggregation/link.ts';
import {
  decodeFromClient,
  decodeFromCoordinator,
  type FromClient,
  type FromCoordinator,
} from '../../aggregation/wire.ts';

/**
 * Somebody on the wire between a client and its coordinator, without either's key: sees every frame, and passes on what he
 * likes, in the order he likes. The sockets are real.
 */
export interface Middle {
  /** what the client is told to connect to */
  readonly url: string;
  /** so far */
  readonly connections: readonly Passing[];
  /** What he does with each frame; as it is, when it says nothing. */
  meddle: Meddling;
  /** Ends what is connected. */
  cut(): void;
  close(): void;
}

/** One connection, with the frames that went each way as they came to him. */
export interface Passing {
  readonly toClient: Buffer[];
  readonly toCoordinator: Buffer[];
  closed: boolean;
}

/** @returns what is passed on instead */
export type Meddling = (seen: Seen, passing: Passing) => readonly Uint8Array[] | undefined;

export type Seen =
  | { readonly to: 'client'; readonly bytes: Buffer; readonly message: FromCoordinator }
  | { readonly to: 'coordinator'; readonly bytes: Buffer; readonly message: FromClient };

export async function startMiddle(coordinatorUrl: string): Promise<Middle> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
  await once(server, 'listening');
  const connections: Passing[] = [];
  const middle: Middle = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections,
    meddle: () => undefined,
    cut() {
      for (const client of server.clients) client.terminate();
    },
    close() {
      middle.cut();
      server.close();
    },
  };
  server.on('connection', (client) => {
    const coordinator = new WebSocket(`${coordinatorUrl.replace('http', 'ws')}/federation`, {
      perMessageDeflate: false,
    });
    const passing: Passing = { toClient: [], toCoordinator: [], closed: false };
    connections.push(passing);
    const pass = (to: WebSocket, seen: Seen): void => {
      for (const bytes of middle.meddle(seen, passing) ?? [seen.bytes]) if (to.readyState === to.OPEN) to.send(bytes);
    };
    coordinator.on('message', (bytes: Buffer) => {
      passing.toClient.push(bytes);
      pass(client, { to: 'client', bytes, message: decodeFromCoordinator(frameOf(bytes).body) });
    });
    client.on('message', (bytes: Buffer) => {
      passing.toCoordinator.push(bytes);
      pass(coordinator, { to: 'coordinator', bytes, message: decodeFromClient(frameOf(bytes).body) });
    });
    for (const [one, other] of [
      [client, coordinator],
      [coordinator, client],
    ] as const) {
      one.on('error', () => {});
      one.on('close', () => {
        passing.closed = true;
        other.close();
      });
    }
  });
  return middle;
}

export const frameOf = (bytes: Buffer): Frame => ({
  seal: bytes.subarray(0, SEAL_BYTES),
  body: bytes.subarray(SEAL_BYTES),
});
