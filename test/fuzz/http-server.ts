import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { pino } from 'pino';
import { operatorTokenFile } from '../../coordinator/access/first-token.ts';
import { type Serving, serve } from '../../coordinator/serve.ts';
import type { EventStore } from '../../coordinator/store/event-store.ts';
import { played } from './lives.ts';
import type { JsonSchema } from './schema-values.ts';

/** A coordinator on a port, with what the last scene has on disk: tasks that ran, a ledger, a model. */
export interface FuzzedServer {
  /** the operator's */
  readonly token: string;
  /** what its log says went wrong inside */
  readonly errors: string[];
  /** Whatever a request may change, as text. */
  state(): string;
  ask(asked: Asked): Promise<Answer>;
  /** Bytes of any kind, and the end of them. @returns what came back, before it closed */
  raw(bytes: Uint8Array): Promise<string>;
  close(): Promise<void>;
}

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
  /** in pieces, its length not said before */
  readonly chunked: boolean;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export async function startFuzzed(): Promise<FuzzedServer> {
  const { scenes } = await played();
  const last = scenes.at(-1)!.folder;
  const folder = mkdtempSync(join(last, '..', 'http-'));
  cpSync(last, folder, { recursive: true });
  const errors: string[] = [];
  const log = pino({ level: 'error' }, { write: (line: string) => void errors.push(line) });
  // behind a proxy that is believed, every request can come from another address: limits by address are not what is tried here
  const serving: Serving = await serve({
    ...{ folder, host: '127.0.0.1', port: 0, version: '7.7.7-fuzzed', log, trustProxy: ['127.0.0.1'] },
    onFailure: (error) => void errors.push(`storage: ${String(error)}`),
  });
  const { hostname, port } = new URL(serving.url);
  const agent = new Agent({ keepAlive: true });
  return {
    token: readFileSync(operatorTokenFile(folder), 'utf8').trim(),
    errors,
    state: () => stateOf(serving.coordinator.store),
    ask: (asked) => answerOf(asked, { hostname, port, agent }),
    raw: (bytes) => rawAnswer(bytes, hostname, Number(port)),
    async close() {
      agent.destroy();
      await serving.close();
      rmSync(folder, { recursive: true });
    },
  };
}

const stateOf = (store: EventStore): string =>
  JSON.stringify([
    store.roster(),
    store.invitations(),
    store.tokens(),
    store.pendingActs(),
    store.tasks().map(({ id }) => id),
  ]);

interface Address {
  readonly hostname: string;
  readonly port: string;
  readonly agent: Agent;
}

function answerOf({ method, path, headers, body, chunked }: Asked, address: Address): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const length = body === undefined || chunked ? {} : { 'content-length': String(body.length) };
    const asking = request({ ...address, method, path, headers: { ...headers, ...length } }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }),
      );
    });
    // the server may have said all it has to say, and closed, before it was told everything
    asking.on('error', (error: NodeJS.ErrnoException) =>
      ['ECONNRESET', 'EPIPE'].includes(error.code ?? '')
        ? resolve({ status: 0, headers: {}, body: Buffer.alloc(0) })
        : reject(error),
    );
    if (body !== undefined && chunked)
      for (let at = 0; at < body.length; at += 1000) asking.write(body.subarray(at, at + 1000));
    asking.end(chunked ? undefined : body);
  });
}

function rawAnswer(bytes: Uint8Array, host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, host, () => socket.end(bytes));
    socket.on('data', (part) => {
      text += part.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });
}

/** A route of the running program, as its own description has it. */
export interface Route {
  readonly method: string;
  /** `{…}` stands for what is filled in */
  readonly path: string;
  readonly body: JsonSchema | undefined;
}

/** Every route that the program describes, and the doors it does not: its pages, the clients' path. */
export async function routesOf(server: FuzzedServer): Promise<Route[]> {
  const { body } = await server.ask({
    method: 'GET',
    path: '/docs/json',
    headers: {},
    body: undefined,
    chunked: false,
  });
  const { paths } = JSON.parse(body.toString()) as { paths: Record<string, Record<string, Operation>> };
  const described = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({
      ...{ method: method.toUpperCase(), path },
      body: operation.requestBody?.content?.['application/json']?.schema,
    })),
  );
  const pages = ['/docs', '/docs/json', '/docs/static/{file}', '/federation', '/{nowhere}'];
  return [...described, ...pages.map((path) => ({ method: 'GET', path, body: undefined }))];
}

interface Operation {
  readonly requestBody?: { readonly content?: Readonly<Record<string, { readonly schema?: JsonSchema }>> };
}
