import { WebSocket } from 'ws';
import { SIGNATURE_BYTES } from '../aggregation/link.ts';
import { webSocketLink } from '../aggregation/websocket-link.ts';
import { MAX_FRAME } from '../aggregation/wire.ts';
import type { Participant } from './participant.ts';

/**
 * Keeps a participant connected until told to stop. A connection that was lost, or that brought what the coordinator did not
 * say, is taken up again with pauses that grow until one is let in; what the coordinator itself refuses (unknown tenant, other
 * version), or a broken ledger, is final and comes back as a reason.
 */
export async function stayConnected(
  participant: Participant,
  url: string,
  {
    signal,
    sleep,
    onRetry,
  }: { signal: AbortSignal; sleep: (ms: number) => Promise<void>; onRetry: (inMs: number) => void },
): Promise<string | undefined> {
  for (let pauseMs = 100; !signal.aborted; pauseMs = Math.min(pauseMs * 2, 10_000)) {
    const socket = new WebSocket(federationUrl(url), {
      perMessageDeflate: false,
      maxPayload: MAX_FRAME.fromCoordinator + SIGNATURE_BYTES,
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
    onRetry(pauseMs);
    await sleep(pauseMs);
  }
  return undefined;
}

const federationUrl = (url: string): string => `${url.replace(/^http/, 'ws').replace(/\/$/, '')}/federation`;
