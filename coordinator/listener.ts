import { createServer as createPlain, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTls } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SecureContextOptions } from 'node:tls';
import proxyAddress from '@fastify/proxy-addr';
import { normalizeIP } from '@fastify/rate-limit';
import { type WebSocket, WebSocketServer } from 'ws';
import { isLoopback } from '../aggregation/address.ts';
import { CommandError, EXIT } from '../aggregation/exit.ts';
import { type Link, SEAL_BYTES } from '../aggregation/link.ts';
import { webSocketLink } from '../aggregation/websocket-link.ts';
import { MAX_FRAME } from '../aggregation/wire.ts';
import type { Door } from './door.ts';
import { FRAGMENTS, HTTP, MOST_SOCKETS, STRANGERS } from './limits.ts';

/**
 * The sockets of a coordinator: with TLS or without, each counted for its address, none waited for that says its part slowly.
 */

/** @param tls - from `credentials`; without, everything can be read and changed on the way */
export function listener(
  tls: SecureContextOptions | undefined,
  handler: RequestListener,
  { headersMs, requestMs, keepAliveMs, checkMs }: Patience = HTTP,
): Server {
  const patience = {
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    keepAliveTimeout: keepAliveMs,
    connectionsCheckingInterval: checkMs,
    maxHeaderSize: HTTP.headerBytes,
    shouldUpgradeCallback: asksForWebSocket,
  };
  const server =
    tls === undefined
      ? createPlain(patience, handler)
      : createTls({ ...patience, ...tls, handshakeTimeout: HTTP.tlsHandshakeMs }, handler);
  server.maxRequestsPerSocket = HTTP.requestsPerSocket;
  server.maxConnections = MOST_SOCKETS;
  return server;
}

/** Whoever offers another protocol (h2c, as `curl --http2` and Java's HttpClient do) is answered in HTTP/1.1: RFC 9110 §7.8. */
const asksForWebSocket = ({ headers }: IncomingMessage): boolean => headers.upgrade?.toLowerCase() === 'websocket';

/** How long a peer may take, in milliseconds; `HTTP` in `limits.ts`. */
export type Patience = { readonly [of in 'headersMs' | 'requestMs' | 'keepAliveMs' | 'checkMs']: number };

/** Whether an address is one of the operator's proxies. */
export type Trust = (address: string) => boolean;

/** @param proxies - addresses and CIDR blocks @throws CommandError when one is none */
export function trusting(proxies: readonly string[]): Trust {
  try {
    const trusted = proxyAddress.compile([...proxies]);
    return (address) => trusted(address, 0);
  } catch {
    throw new CommandError(
      EXIT.usage,
      `--trust-proxy ${proxies.join(',')}: give addresses or CIDR blocks, as 10.0.0.0/8`,
    );
  }
}

/**
 * Refuses to listen where others can read and change what is said.
 * @throws CommandError naming the ways out
 */
export function refuseToListen(host: string): void {
  if (isLoopback(host)) return;
  throw new CommandError(
    EXIT.usage,
    `on ${host} others could read and change what is said: give --tls-cert and --tls-key; or --trust-proxy with the addresses of a proxy that speaks TLS; or --host 127.0.0.1; or, on a network that is closed, --insecure-plaintext`,
  );
}

/** Closes sockets of an address that has too many. A proxy's are everybody's, and are not counted for it. */
export function limitSockets(server: Server, door: Door, trust: Trust): void {
  server.on('connection', (socket: Socket) => {
    const { remoteAddress = '' } = socket;
    if (trust(remoteAddress)) return;
    const closed = door.opened(normalizeIP(remoteAddress));
    if (closed === undefined) socket.destroy();
    else socket.once('close', closed);
  });
}

/** The connections of clients. */
export interface Clients {
  /** bytes that wait here because nobody has read them yet */
  unsent(): number;
  /** Lets nobody new in: they are told to ask again. */
  shut(): void;
  /** Tells all that this coordinator restarts. Resolves when they have said goodbye, or had the time to. */
  end(): Promise<void>;
}

/** Lets clients in on their path. @param connect - told of each */
export function acceptClients(
  server: Server,
  { door, trust, connect }: { door: Door; trust: Trust; connect: (link: Link) => void },
): Clients {
  const options = {
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME.fromClient + SEAL_BYTES,
    maxFragments: FRAGMENTS.most,
    maxBufferedChunks: FRAGMENTS.chunks,
    closeTimeout: HTTP.closeMs, // @types/ws does not know it yet
    autoPong: false,
  };
  const sockets = new WebSocketServer(options);
  let isShut = false;
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => {}); // whoever asked is gone already
    if (request.url?.split('?')[0] !== '/federation') return turnAway(socket, '404 Not Found');
    // who was reset meanwhile has no address any more
    if (request.socket.remoteAddress === undefined) return socket.destroy();
    if (isShut) return turnAway(socket, '503 Service Unavailable');
    const settled = door.knocked(normalizeIP(proxyAddress(request, trust)), () => socket.destroy());
    if (settled === 'too-often') return turnAway(socket, '429 Too Many Requests');
    if (settled === 'full') return turnAway(socket, '503 Service Unavailable');
    socket.once('close', settled);
    return sockets.handleUpgrade(request, socket, head, (client) => {
      const unlimited = limitGreeting(request.socket);
      const identified = (): void => {
        unlimited();
        settled();
      };
      // one that asks and does not read would fill the memory with answers; what waits for it already is an answer too
      client.on('ping', (data) => {
        if (client.bufferedAmount === 0) client.pong(data);
      });
      connect({ ...webSocketLink(client, request.socket), identified });
    });
  });
  return {
    unsent: () => [...sockets.clients].reduce((bytes, { bufferedAmount }) => bytes + bufferedAmount, 0),
    shut() {
      isShut = true;
    },
    async end() {
      isShut = true;
      await Promise.all([...sockets.clients].map(sayGoodbye));
    },
  };
}

/** RFC 6455 §7.4.1 and IANA's registry: "service restart", come back after a random delay. */
const RESTARTS = 1012;
/** Time to read what was sent before, and to answer. */
const GOODBYE_MS = 1_000;

const sayGoodbye = (socket: WebSocket): Promise<void> =>
  new Promise((resolve) => {
    const late = setTimeout(() => socket.terminate(), GOODBYE_MS);
    socket.once('close', () => {
      clearTimeout(late);
      resolve();
    });
    socket.close(RESTARTS, 'restarts');
  });

function turnAway(socket: Duplex, status: string): void {
  const answer = `HTTP/1.1 ${status}\r\nretry-after: 10\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`;
  socket.end(answer, () => {}); // or it would be kept for as long as the other side likes
}

/**
 * Counts what arrives: ws would hold as much of a stranger's message as of a tenant's before anybody saw it.
 * @returns what to call when it is a stranger no more
 */
function limitGreeting(socket: Socket): () => void {
  let arrived = 0;
  const count = (chunk: Buffer): void => {
    arrived += chunk.length;
    if (arrived > STRANGERS.bytes) socket.destroy();
  };
  socket.on('data', count);
  return () => socket.off('data', count);
}
