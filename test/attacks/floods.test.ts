import { once } from 'node:events';
import { request } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { createIdentity } from '../../aggregation/identity.ts';
import { PROTOCOL } from '../../aggregation/wire.ts';
import { openCoordinator } from '../../coordinator/coordinator.ts';
import { ADDRESS, HTTP, ROUTES, STRANGERS, TENANT } from '../../coordinator/limits.ts';
import { listener } from '../../coordinator/listener.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import { enrol } from '../support/federation-on-disk.ts';
import { ScriptedTenant } from '../support/scripted-tenant.ts';
import { type Server, startServer } from '../support/serving.ts';
import { TappedTenant } from '../support/tapped-tenant.ts';

/*
 * Who sends much, often or slowly is shed, before anything is allocated or computed for it, and takes no place from others.
 */
async function until(isTrue: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 30_000; !isTrue(); await sleep(5))
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
}

const amber = createIdentity();

async function withAmber(): Promise<Server> {
  const server = await startServer();
  enrol(server.coordinator.enrolment, 'amber', amber);
  return server;
}

/** As amber, from 127.0.0.1. @returns when it has been let in, or not */
async function comeIn(server: Server): Promise<TappedTenant> {
  const tapped = new TappedTenant(server.url, server.coordinator.publicKey, 'amber', amber);
  onTestFinished(() => tapped.close());
  await until(() => tapped.received.length > 0 || tapped.closed !== undefined, 'a greeting');
  tapped.say({
    ...{ type: 'identify', protocol: PROTOCOL, version: 'test', tenant: 'amber', ledger: 0, open: [] },
    exchange: tapped.exchange,
  });
  await until(() => tapped.received.length > 1 || tapped.closed !== undefined, 'an answer');
  return tapped;
}

const portOf = (server: Server): number => Number(new URL(server.url).port);

/** What becomes of sockets from this address that say nothing after the upgrade. */
async function knock(server: Server, localAddress: string, times: number, headers = {}) {
  const came = { in: 0, refused: new Map<string, number>() };
  const settled = Array.from({ length: times }, async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${portOf(server)}/federation`, { localAddress, headers });
    onTestFinished(() => socket.terminate());
    await new Promise<void>((resolve) => {
      socket.once('message', () => {
        came.in += 1;
        resolve();
      });
      socket.once('error', ({ message }) => {
        came.refused.set(message, (came.refused.get(message) ?? 0) + 1);
        resolve();
      });
    });
  });
  await Promise.all(settled);
  return came;
}

describe('from one address', () => {
  test('a thousand strangers take its places, and none of another’s', async () => {
    const server = await withAmber();
    const { in: there, refused } = await knock(server, '127.0.0.2', 1_000);
    expect(there).toBe(ADDRESS.strangers);
    expect([...refused.keys()].sort()).toEqual([
      'Unexpected server response: 429', // before anything is signed
      'Unexpected server response: 503',
    ]);
    const tapped = await comeIn(server);
    expect(tapped.received.at(-1)).toMatchObject({ type: 'welcome' });
    expect((await server.get('/healthz')).status).toBe(200);
  });

  test('tenants are no strangers: they leave its places to others', async () => {
    const server = await withAmber();
    const tapped = await comeIn(server);
    expect((await knock(server, '127.0.0.1', ADDRESS.strangers)).in).toBe(ADDRESS.strangers);
    expect((await knock(server, '127.0.0.1', 1)).in).toBe(0);
    tapped.close(); // a tenant has no place to give back
    await until(() => server.coordinator.present().size === 0, 'the end of the connection');
    expect((await knock(server, '127.0.0.1', 1)).in).toBe(0);
  });
});

test('strangers of many addresses take all places, and keep no tenant out', async () => {
  const server = await withAmber();
  const first = new WebSocket(`ws://127.0.0.1:${portOf(server)}/federation`, { localAddress: '127.0.1.0' });
  onTestFinished(() => first.terminate());
  const shownOut = once(first, 'close');
  await once(first, 'message');
  const full = STRANGERS.most / ADDRESS.strangers;
  for (let i = 1; i < full; i++) await knock(server, `127.0.1.${i}`, ADDRESS.strangers);
  expect((await knock(server, `127.0.1.${full}`, ADDRESS.strangers)).in).toBe(ADDRESS.strangers);
  const tapped = await comeIn(server);
  expect(tapped.received.at(-1)).toMatchObject({ type: 'welcome' });
  expect((await shownOut)[0]).toBe(1006); // at once, not when its time was over
});

test('strangers behind a trusted proxy are of the addresses it names, and of nobody else’s', async () => {
  const server = await startServer(undefined, { trustProxy: ['127.0.0.2'] });
  const from = (forwarded: string) => ({ 'x-forwarded-for': forwarded });
  const many = ADDRESS.strangers + 1;
  expect((await knock(server, '127.0.0.2', many, from('203.0.113.1'))).in).toBe(ADDRESS.strangers);
  expect((await knock(server, '127.0.0.2', 1, from('203.0.113.2'))).in).toBe(1);
  expect((await knock(server, '127.0.0.3', many, from('203.0.113.3'))).in).toBe(ADDRESS.strangers);
  expect((await knock(server, '127.0.0.3', 1, from('203.0.113.4'))).in).toBe(0);
});

describe('a stranger', () => {
  test('that announces much and sends little more than a greeting is cut off at once', async () => {
    const server = await withAmber();
    const silent = new TappedTenant(server.url, server.coordinator.publicKey, 'amber', amber);
    onTestFinished(() => silent.close());
    await until(() => silent.received.length > 0, 'a greeting');
    const socket = connect(portOf(server), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => {});
    const closed = once(socket, 'close');
    socket.write(
      'GET /federation HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    await once(socket, 'data');
    // whoever answers no ping is cut off too, and much later: here none has come yet (0x89, RFC 6455 §5.5.2)
    const pings: Buffer[] = [];
    socket.on('data', (data) => data[0] === 0x89 && pings.push(data));
    // binary, masked with zeros, four megabytes to come (RFC 6455 §5.2)
    socket.write(Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0x3f, 0xff, 0xff, 0, 0, 0, 0]));
    socket.write(Buffer.alloc(STRANGERS.bytes));
    await closed;
    expect(pings).toEqual([]);
    expect(silent.closed).toBeUndefined(); // that came before, and has its time
  });
  test('may send as much once it has said who it is', async () => {
    const server = await withAmber();
    const tapped = await comeIn(server);
    tapped.say({
      type: 'decline',
      ...{ task: 'a'.repeat(64), cause: 'data', reason: '', signature: new Uint8Array(64) },
    });
    await until(() => tapped.closed !== undefined, 'the end, for a false signature');
    const again = await comeIn(server);
    const part = { task: 'a'.repeat(64), epoch: 1, round: 1, stage: 'contribute', attempt: 1, at: 0 };
    again.say({ type: 'part', ...part, bytes: new Uint8Array(2 ** 20) });
    await until(() => again.refusals.length > 0, 'an answer');
    expect([again.refusals, again.closed]).toEqual([['unknown-task'], undefined]);
  });
});

describe('a tenant', () => {
  test('that comes back again and again is let in so often, and not refused for good; the connection it has stays', async () => {
    const server = await withAmber();
    let last: TappedTenant | undefined;
    for (let i = 0; i < TENANT.returns.burst; i++) last = await comeIn(server);
    const returned = server.log.length;
    for (let one = await comeIn(server); one.closed === undefined; one = await comeIn(server)) last = one; // a second has passed
    expect(server.log.slice(returned).join()).toContain('amber comes back too often');
    expect([last!.closed, last!.unverified]).toEqual([undefined, 0]);
    expect(server.coordinator.present()).toEqual(new Set(['amber']));
  });

  test('that asks whether anybody is there, and reads no answer, is answered no more than the network holds', async () => {
    const server = await withAmber();
    const { socket } = await comeIn(server);
    let answers = 0;
    socket.on('pong', () => answers++);
    socket.pause();
    const data = Buffer.alloc(125);
    for (let i = 0; i < 200_000; i++) socket.ping(data); // 26 MB
    await new Promise<void>((resolve) => socket.ping(data, true, () => resolve()));
    socket.resume();
    const last = Buffer.from('the last');
    const end = new Promise<void>((resolve) => socket.on('pong', (said) => said.equals(last) && resolve()));
    while (socket.readyState === socket.OPEN && answers === 0) await sleep(5);
    const again = setInterval(() => socket.ping(last), 50);
    await end;
    clearInterval(again);
    expect(answers).toBeGreaterThan(0);
    expect(answers).toBeLessThan(150_000);
  });

  test('that says more than a tenant needs loses its connection', async () => {
    let reason = '';
    const coordinator = await openCoordinator({
      ...{ store: openSqliteStore(':memory:'), identity: createIdentity(), clock: () => 0, version: 'test' },
      onEvent: (event) => {
        if (event.type === 'refused-connection') reason = event.reason;
      },
    });
    onTestFinished(() => coordinator.close());
    const flooding = new ScriptedTenant('coral');
    enrol(coordinator.enrolment, 'coral', flooding.identity);
    flooding.connect(coordinator);
    await until(() => coordinator.present().size === 1, 'a welcome');
    const said = { type: 'cosign', size: 0, line: '' } as const;
    for (let i = 0; i < TENANT.messages.burst; i++) flooding.send(said);
    await sleep(5);
    expect([flooding.isConnected, reason]).toEqual([true, '']);
    flooding.send(said);
    await until(() => !flooding.isConnected, 'the end');
    expect(reason).toBe('more messages, or bytes, than a tenant needs');
  });
});

describe('HTTP', () => {
  /** Sends this and then waits. @returns what came back before the other side ended it */
  const slow = async (port: number, ...lines: string[]): Promise<string> => {
    const socket: Socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.on('data', (data) => (answer += data));
    socket.on('error', () => {});
    for (const line of lines) socket.write(line);
    const drip = setInterval(() => lines.length > 1 && socket.write('x-a: b\r\n'), 20);
    await once(socket, 'close');
    clearInterval(drip);
    return answer;
  };

  test('that is spoken slowly, or not at all, is waited for so long and no longer', async () => {
    const patience = { headersMs: 200, requestMs: 1_500, keepAliveMs: 100, checkMs: 20 };
    const server = listener(undefined, (_, reply) => void reply.end('done'), patience);
    server.listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const head = 'POST / HTTP/1.1\r\nhost: x\r\n';
    const ended: string[] = [];
    const noting = (of: string, answer: Promise<string>) => answer.finally(() => ended.push(of));
    const answers = await Promise.all([
      noting('head', slow(port)),
      noting('head', slow(port, 'GET / HT')),
      noting('head', slow(port, head, 'x-b: c\r\n')), // and on, a header at a time
      noting('body', slow(port, `${head}content-length: 10\r\n\r\n`)), // and no body
      slow(port, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'), // and keeps the connection
    ]);
    expect(answers.map((answer) => answer.split('\r\n')[0])).toEqual([
      ...Array(3).fill('HTTP/1.1 408 Request Timeout'),
      ...Array(2).fill('HTTP/1.1 200 OK'),
    ]);
    expect(ended).toEqual(['head', 'head', 'head', 'body']);
  });

  test('has bodies and headers of so many bytes, and JSON of no depth that harms', async () => {
    const server = await startServer();
    const post = (path: string, body: string, headers = {}) =>
      server.get(path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });
    expect((await post('/enrolments', 'x'.repeat(HTTP.bodyBytes + 1))).status).toBe(413);
    const deep = '['.repeat(HTTP.bodyBytes / 2) + ']'.repeat(HTTP.bodyBytes / 2);
    expect((await post('/enrolments', deep)).status).toBe(400);
    expect((await post('/enrolments', '{"__proto__":{"tenant":"amber"}}')).status).toBe(400);
    expect((await post('/enrolments', '{}', { 'x-long': 'x'.repeat(HTTP.headerBytes) })).status).toBe(431);
    const large = { 'content-type': 'application/json', authorization: `Bearer ${server.token}` };
    const task = `{"name":"${'x'.repeat(HTTP.bodyBytes)}"}`;
    expect((await server.get('/tasks', { method: 'POST', headers: large, body: task })).status).toBe(422);
  });

  test('is counted for an address, and for what a trusted proxy says is one; dear routes are counted for themselves', async () => {
    const server = await startServer(undefined, { trustProxy: ['127.0.0.2'] });
    const get = (path: string, localAddress: string, forwarded: string): Promise<number> =>
      new Promise((resolve, reject) => {
        const headers = { 'x-forwarded-for': forwarded };
        request({ port: portOf(server), host: '127.0.0.1', path, localAddress, headers, agent: false }, (reply) => {
          reply.resume();
          resolve(reply.statusCode!);
        })
          .on('error', reject)
          .end();
      });
    const most = ROUTES['/ledger']!.perMinute!;
    const several = async (from: string, forwarded: (i: number) => string) => {
      const statuses = [];
      for (let i = 0; i <= most; i++) statuses.push(await get('/ledger', from, forwarded(i)));
      return statuses.indexOf(429);
    };
    expect(await several('127.0.0.2', () => '203.0.113.1')).toBe(most);
    expect(await get('/ledger', '127.0.0.2', '203.0.113.2')).not.toBe(429);
    expect(await several('127.0.0.2', (i) => `2001:db8::${i}`)).toBe(most); // one network
    expect(await several('127.0.0.3', (i) => `203.0.113.${i}`)).toBe(most); // whoever says so himself
    expect(await get('/healthz', '127.0.0.3', '')).toBe(200);
  });

  test('has every route that is named among the limits', async () => {
    const server = await startServer();
    const { paths } = (await (await server.get('/docs/json')).json()) as { paths: object };
    const known = Object.keys(paths).map((path) => path.replaceAll(/\{(\w+)\}/g, ':$1').replace('{*}', '*'));
    expect(known).toEqual(expect.arrayContaining(Object.keys(ROUTES)));
  });
});
