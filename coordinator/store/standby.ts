import type { Server } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { listener } from '../listener.ts';
import { type CertificateLog, credentials, followCertificate, type TlsFiles } from '../tls.ts';

/**
 * What a coordinator answers while another one leads: that it is alive, not ready, and when to ask again. It takes in no connection
 * and reads no request.
 */
export interface Standby {
  /** http(s)://host:port */
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Seconds after which asking again makes sense: about as long as the lock is tried for. */
const RETRY_AFTER_S = 1;
const PROBLEM = JSON.stringify({
  type: 'about:blank',
  title: 'Stands by',
  status: 503,
  detail: 'another coordinator of this federation leads; this one stands by',
});
const LEADS_NOT = '# TYPE parley_leads gauge\nparley_leads 0\n';
const HEADERS = { 'retry-after': String(RETRY_AFTER_S), 'cache-control': 'no-store', connection: 'close' };

export interface StandbyOptions {
  readonly host: string;
  /** 0 for any free one */
  readonly port: number;
  readonly tls?: TlsFiles | undefined;
  /** told when the certificate is another: standing by may take longer than one lasts */
  readonly log: CertificateLog;
}

/** @throws Error EADDRINUSE, EACCES: as any server that listens */
export async function standBy({ host, port, tls: files, log }: StandbyOptions): Promise<Standby> {
  const server = listener(files && credentials(files), (request, reply) => {
    request.resume();
    if (request.method === 'GET' && request.url?.split('?')[0] === '/healthz')
      return reply.writeHead(200, { ...HEADERS, 'content-type': 'application/json' }).end('{"status":"ok"}');
    // no secret, and no reason for Prometheus to think that it is down
    if (request.method === 'GET' && request.url?.split('?')[0] === '/metrics')
      return reply.writeHead(200, { ...HEADERS, 'content-type': 'text/plain; version=0.0.4' }).end(LEADS_NOT);
    return reply.writeHead(503, { ...HEADERS, 'content-type': 'application/problem+json' }).end(PROBLEM);
  });
  server.on('upgrade', (_, socket) => {
    socket.on('error', () => socket.destroy()); // whoever asked is gone already
    socket.end(
      `HTTP/1.1 503 Service Unavailable\r\nretry-after: ${RETRY_AFTER_S}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
    );
  });
  await listening(server, host, port);
  const certificate = files && followCertificate(server as TlsServer, files, log);
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `http${files === undefined ? '' : 's'}://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    port: bound,
    async close() {
      certificate?.stop();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

const listening = (server: Server, host: string, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => resolve());
  });
