import { readFileSync } from 'node:fs';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { createIdentity, type Identity } from '../../aggregation/identity.ts';
import type { TenantId } from '../../aggregation/secure-sum.ts';
import { operatorTokenFile } from '../../coordinator/access/first-token.ts';
import { type ServeOptions, type Serving, serve } from '../../coordinator/serve.ts';
import { enrolmentRequest } from './federation-on-disk.ts';
import { temporaryFolder } from './folder.ts';

/** A coordinator on a port of its own, until the running test is over. */
export interface Server extends Serving {
  readonly folder: string;
  readonly token: string;
  /** lines of its log */
  readonly log: readonly string[];
  /** Shows the operator's token; whatever `init` says instead, where it is given. */
  get(path: string, init?: RequestInit): Promise<Response>;
  /** As the operator, unless another token is given. */
  post(path: string, body: unknown, token?: string): Promise<Response>;
}

export async function startServer(folder = temporaryFolder(), options: Partial<ServeOptions> = {}): Promise<Server> {
  const lines: string[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
  const onFailure = (error: unknown): void => void lines.push(`FAILED ${String(error)}`);
  const serving = await serve({
    ...{ folder, host: '127.0.0.1', port: 0, version: '9.9.9-test', log, onFailure },
    ...options,
  });
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= serving.close());
  onTestFinished(close);
  const token = readFileSync(operatorTokenFile(folder), 'utf8').trim();
  const get = (path: string, init: RequestInit = { headers: bearer(token) }): Promise<Response> =>
    fetch(`${serving.url}${path}`, init);
  return {
    ...serving,
    close,
    folder,
    token,
    log: lines,
    get,
    post: (path, body, shown = token) =>
      get(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...bearer(shown) },
        body: JSON.stringify(body),
      }),
  };
}

export const bearer = (token: string): { authorization: string } => ({ authorization: `Bearer ${token}` });

/** Invites and enrols over HTTP. */
export async function enrolOverHttp(
  server: Pick<Server, 'get' | 'post'>,
  tenant: TenantId,
  identity: Identity = createIdentity(),
) {
  const invitation = await server.post('/invitations', { tenant });
  const { code } = (await invitation.json()) as { code: string };
  const { signature, ...request } = enrolmentRequest(tenant, code, identity);
  const body = JSON.stringify({ ...request, signature: Buffer.from(signature).toString('hex') });
  const headers = { 'content-type': 'application/json' };
  return { identity, code, body, response: await server.get('/enrolments', { method: 'POST', headers, body }) };
}
