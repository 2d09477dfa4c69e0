import { randomInt } from 'node:crypto';
import { WebSocket } from 'ws';
import { SEAL_BYTES } from '../aggregation/link.ts';
import { webSocketLink } from '../aggregation/websocket-link.ts';
import { MAX_FRAME } from '../aggregation/wire.ts';
import type { Participant } from './participant.ts';

/**
 * Keeps a participant connected until told to stop. A connection that was lost, or that brought what the coordinator did not
 * say, is taken up again with pauses that grow, give or take a half, until one is let in; what the coordinator itself refuses (unknown tenant, other
 * version), or a broken ledger, is final and comes back as a reason.
 *
 * @param url - of the coordinator, or of several with its key: one leads, the others refuse the connection, so they are tried in
 * turn and a pause follows when all were
 */
export async function stayConnected(
  participant: Participant,
  url: string | readonly string[],
  {
    signal,
    sleep,
    onRetry,
    random = randomInt,
  }: {
    signal: AbortSignal;
    sleep: (ms: number) => Promise<void>;
    onRetry: (inMs: number, why: string) => void;
    /** whole numbers below: clients that lost the same coordinator do not come back at one moment */
    random?: (below: number) => number;
  },
): Promise<string | undefined> {
  const addresses = [url].flat();
  let pauseMs = 100;
  for (let tried = 1; !signal.aborted; tried++) {
    const socket = new WebSocket(federationUrl(addresses[(tried - 1) % addresses.length]!), {
      handshakeTimeout: HANDSHAKE_MS,
      perMessageDeflate: false,
      maxPayload: MAX_FRAME.fromCoordinator + SEAL_BYTES,
    });
    let why = 'the connection ended';
    socket.on('error', ({ message }) => {
      why = message;
    });
    socket.once('close', (code) => {
      if (code === RESTARTS) pauseMs = RESTART_MS;
    });
    const stop = (): void => socket.close();
    signal.addEventListener('abort', stop, { once: true });
    // a link is taken before it opens: the coordinator speaks first, and its greeting must not be missed
    const reason = await participant.take(webSocketLink(socket), () => {
      pauseMs = 100;
    });
    signal.removeEventListener('abort', stop);
    if (reason !== undefined) return reason;
    if (signal.aborted) break;
    if (tried % addresses.length !== 0) continue;
    const inMs = pauseMs / 2 + random(pauseMs);
    onRetry(inMs, why);
    await sleep(inMs);
    pauseMs = Math.min(pauseMs * 2, MOST_PAUSE_MS);
  }
  return undefined;
}

/** A coordinator that is back waits for its tenants: the longest pause, give or take a half, is part of how long a takeover lasts. */
const MOST_PAUSE_MS = 4_000;

/** The close code of a coordinator that ends to come back, and about how long that takes. */
const RESTARTS = 1012;
const RESTART_MS = 1_000;

/**
 * A machine may take a connection and never answer: one that is stopped, or a network that swallows. Where a message takes five
 * seconds one way, an answer takes ten, and twenty with TLS.
 */
const HANDSHAKE_MS = 30_000;

const federationUrl = (url: string): string => `${url.replace(/^http/, 'ws').replace(/\/$/, '')}/federation`;
