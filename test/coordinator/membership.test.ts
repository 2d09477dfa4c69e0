import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Channel } from '../../aggregation/channel.ts';
import { createIdentity, type Identity, isSignedBy } from '../../aggregation/identity.ts';
import type { Frame } from '../../aggregation/link.ts';
import { type Notice, receiptDigest, signNotice } from '../../aggregation/notice.ts';
import { hex } from '../../aggregation/plan.ts';
import {
  answerDigest,
  decodeFromCoordinator,
  encode,
  type FromClient,
  type FromCoordinator,
  PROTOCOL,
  type Stated,
  standingDigest,
} from '../../aggregation/wire.ts';
import { NO_TASK } from '../../privacy/ledger.ts';
import { enrolOverHttp, type Server, startServer } from '../support/serving.ts';
import { FIVE, smallTask } from '../support/small-task.ts';
import { TappedTenant } from '../support/tapped-tenant.ts';

async function until(isTrue: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 30_000; !isTrue(); await sleep(5))
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
}

/** Five tenants over HTTP, and a connection as one of them, with whoever has its key. */
async function begin() {
  const server = await startServer();
  const identities = new Map<string, Identity>();
  for (const tenant of FIVE) identities.set(tenant, (await enrolOverHttp(server, tenant)).identity);
  return { server, amber: identities.get('amber')!, blue: identities.get('blue')! };
}

type Hello = Extract<TappedTenant['received'][number], { type: 'hello' }>;
const helloOf = (tapped: TappedTenant): Hello => tapped.received[0] as Hello;

async function connect(server: Server, identity: Identity, tenant = 'amber'): Promise<TappedTenant> {
  const tapped = new TappedTenant(server.url, server.coordinator.publicKey, tenant, identity);
  onTestFinished(() => tapped.close());
  await until(() => tapped.received.length === 1, 'a greeting');
  const about = { protocol: PROTOCOL, version: 'test', tenant, ledger: 0, open: [] };
  tapped.say({ type: 'identify', ...about, exchange: tapped.exchange });
  await until(() => tapped.received.length >= 2, 'an answer');
  return tapped;
}
const isWelcome = (tapped: TappedTenant): boolean => tapped.received[1]?.type === 'welcome';

let nonces = 0;
const common = (by: Identity, tenant: string) => ({
  ...{ tenant, key: hex(by.publicKey), nonce: (++nonces).toString(16).padStart(64, '0') },
});

/** Over HTTP, as any client would. */
async function give(server: Server, notice: Notice, by: Identity, next?: Identity): Promise<Response> {
  const signed = signNotice(notice, server.coordinator.federation, by.sign, next?.sign);
  const headers = { 'content-type': 'application/json' };
  return server.get('/notices', { method: 'POST', headers, body: JSON.stringify(signed) });
}
const leaving = (by: Identity, tenant = 'amber'): Notice => ({ kind: 'leave', ...common(by, tenant) });
const rekeying = (by: Identity, next: Identity, tenant = 'amber'): Notice => ({
  ...{ kind: 're-key', ...common(by, tenant), next: hex(next.publicKey) },
});
const erasing = (by: Identity, tenant = 'amber'): Notice => ({ kind: 'erasure', ...common(by, tenant) });

const rosterOf = async (server: Server): Promise<string[]> => {
  const { tenants } = (await (await server.get('/federation')).json()) as { tenants: { tenant: string }[] };
  return tenants.map(({ tenant }) => tenant);
};

/** Whatever somebody with this key tries, nothing comes of it. */
async function expectDead(server: Server, key: Identity): Promise<void> {
  const size = server.coordinator.ledger.head.size;
  expect(isWelcome(await connect(server, key))).toBe(false);
  for (const notice of [leaving(key), erasing(key)]) expect((await give(server, notice, key)).status).toBe(403);
  const next = createIdentity();
  expect((await give(server, rekeying(key, next), key, next)).status).toBe(403);
  const invitation = await server.post('/invitations', { tenant: 'mauve' });
  expect(invitation.status).toBe(200);
  expect((await enrolOverHttp(server, 'mauve', key)).response.status).toBe(403);
  expect(server.coordinator.ledger.head.size).toBe(size);
}

describe('a notice over HTTP', () => {
  test('is answered with the coordinator’s receipt; shown again, with 409 and the same receipt', async () => {
    const { server, amber } = await begin();
    const notice = erasing(amber);
    const first = await give(server, notice, amber);
    expect(first.status).toBe(200);
    const { receipt } = (await first.json()) as { receipt: string };
    const { publicKey, federation, ledger } = server.coordinator;
    expect(isSignedBy(publicKey, receiptDigest(notice, federation), Buffer.from(receipt, 'hex'))).toBe(true);
    const size = ledger.head.size;
    const again = await give(server, notice, amber);
    expect(again.status).toBe(409);
    expect(again.headers.get('content-type')).toContain('application/problem+json');
    expect(await again.json()).toMatchObject({ title: 'Heard before', receipt });
    expect(ledger.head.size).toBe(size);
  });

  test('by somebody else is refused, in one word for all reasons, without a receipt', async () => {
    const { server, amber, blue } = await begin();
    const answers = await Promise.all([
      give(server, { ...leaving(amber), key: hex(blue.publicKey) }, blue),
      give(server, leaving(createIdentity(), 'nobody'), createIdentity()),
      give(server, leaving(amber), blue),
    ]);
    for (const answer of answers) {
      expect(answer.status).toBe(403);
      const problem = (await answer.json()) as { detail: string; receipt?: string };
      expect(problem.receipt).toBeUndefined();
      expect(problem.detail).toMatch(/not an enrolled tenant, or not its key|does not verify/);
    }
    expect(await rosterOf(server)).toEqual(FIVE);
  });

  test('that is none is a 400, and says where', async () => {
    const { server, amber } = await begin();
    const signed = signNotice(erasing(amber), server.coordinator.federation, amber.sign);
    const bodies = [{}, { ...signed, signature: 'zz' }, { ...signed, notice: { ...signed.notice, customer: 'mayer' } }];
    for (const body of bodies) {
      const headers = { 'content-type': 'application/json' };
      const answer = await server.get('/notices', { method: 'POST', headers, body: JSON.stringify(body) });
      expect(answer.status).toBe(400);
      expect(await answer.text()).not.toContain('mayer');
    }
  });

  test('is in the interface that describes itself, and so is revoking', async () => {
    const { server } = await begin();
    const { paths } = (await (await server.get('/docs/json')).json()) as {
      paths: Record<string, { post: { responses: object } }>;
    };
    expect(Object.keys(paths['/notices']!.post.responses)).toEqual(['200', '403', '409']);
    expect(Object.keys(paths['/tenants/{tenant}/revoke']!.post.responses)).toEqual(['200']);
  });
});

describe('an old key', () => {
  test('can do nothing after a key change: its connection ends, and no other begins', async () => {
    const { server, amber } = await begin();
    const before = await connect(server, amber);
    expect(isWelcome(before)).toBe(true);
    const next = createIdentity();
    expect((await give(server, rekeying(amber, next), amber, next)).status).toBe(200);
    await until(() => before.closed !== undefined, 'the connection to end');
    await expectDead(server, amber);
    expect(isWelcome(await connect(server, next))).toBe(true);
  });

  test('can do nothing after it was revoked, and new plans do without its tenant', async () => {
    const { server, amber } = await begin();
    const before = await connect(server, amber);
    expect((await server.post('/tenants/amber/revoke', {}, 'a-wrong-token')).status).toBe(401);
    expect((await server.post('/tenants/mauve/revoke', {})).status).toBe(403);
    expect(before.closed).toBeUndefined();
    const answer = await server.post('/tenants/amber/revoke', {});
    expect([answer.status, await answer.json()]).toEqual([200, { tenant: 'amber' }]);
    await until(() => before.closed !== undefined, 'the connection to end');
    await expectDead(server, amber);
    expect(await rosterOf(server)).toEqual(FIVE.slice(1));
    const task = (await (await server.post('/tasks', smallTask())).json()) as { id: string };
    const { plan } = server.coordinator.task(task.id)!;
    expect(plan.roster.map(({ tenant }) => tenant)).toEqual(FIVE.slice(1));
  });

  test('is not heard on the connection that is being closed', async () => {
    const { server, amber } = await begin();
    const tapped = await connect(server, amber);
    const { id } = (await (await server.post('/tasks', smallTask())).json()) as { id: string };
    await until(() => tapped.received.some(({ type }) => type === 'plan'), 'the plan');
    server.coordinator.revoke('amber');
    const accept = { type: 'accept', task: id, round: 0, dataset: 'd'.repeat(64) } as const;
    tapped.say({ ...accept, signature: amber.sign(answerDigest('amber', accept)) });
    await until(() => tapped.closed !== undefined, 'the connection to end');
    expect(server.coordinator.task(id)!.state).toMatchObject({
      accepted: [],
      declined: { amber: { cause: 'roster' } },
    });
  });

  test('is not heard, or spoken to, on a connection that its peer does not end', async () => {
    const { server, amber } = await begin();
    const { coordinator } = server;
    const sent: FromCoordinator[] = [];
    let hears: (frame: Frame) => void = () => {};
    const channel = new Channel('client');
    const say = (message: FromClient): void => hears(channel.seal(encode(message), amber));
    coordinator.connect({
      send: (frame) => {
        channel.takes(frame, coordinator.publicKey);
        sent.push(decodeFromCoordinator(frame.body));
      },
      close: () => {}, // as a peer that answers no close frame would keep it open
      onFrame: (handler) => {
        hears = handler;
      },
      onClose: () => {},
    });
    const about = { protocol: PROTOCOL, version: 'test', tenant: 'amber', ledger: 0, open: [] };
    say({ type: 'identify', ...about, exchange: channel.exchange });
    channel.agree((sent[0] as Hello).exchange);
    expect(coordinator.present()).toEqual(new Set(['amber']));
    const next = createIdentity();
    expect((await give(server, rekeying(amber, next), amber, next)).status).toBe(200);
    expect(coordinator.present()).toEqual(new Set());
    const told = sent.length;
    const conductor = coordinator.propose(smallTask()); // with the new key in its plan
    say({ type: 'cannot', task: conductor.id, epoch: 0, round: 0 });
    say({ type: 'cannot', task: 'a'.repeat(64), epoch: 0, round: 0 });
    await conductor.tick();
    expect(sent.slice(told)).toEqual([]);
  });

  test('does not come back with a task that names it: the tenant’s new key is not in that plan', async () => {
    const { server, amber } = await begin();
    const { id } = (await (await server.post('/tasks', smallTask())).json()) as { id: string };
    const next = createIdentity();
    expect((await give(server, rekeying(amber, next), amber, next)).status).toBe(200);
    const tapped = await connect(server, next);
    const accept = { type: 'accept', task: id, round: 0, dataset: 'd'.repeat(64) } as const;
    tapped.say({ ...accept, signature: next.sign(answerDigest('amber', accept)) });
    await until(() => tapped.refusals.length > 0, 'a refusal');
    expect(tapped.refusals).toEqual(['unknown-tenant']);
    expect(tapped.received.map(({ type }) => type)).not.toContain('plan');
    expect(server.coordinator.task(id)!.state).toMatchObject({
      accepted: [],
      declined: { amber: { cause: 'roster' } },
    });
  });
});

describe('a tenant that leaves', () => {
  test('is out of the roster and of plans to come; too few of a task stop it', async () => {
    const { server, amber, blue } = await begin();
    const { id } = (await (await server.post('/tasks', smallTask())).json()) as { id: string }; // four of five
    expect((await give(server, leaving(amber), amber)).status).toBe(200);
    expect(await rosterOf(server)).toEqual(FIVE.slice(1));
    const conductor = server.coordinator.task(id)!;
    await until(
      () => Object.keys('declined' in conductor.state ? conductor.state.declined : {}).length === 1,
      'it to go',
    );
    expect(conductor.state.phase).toBe('proposed'); // the four others may still do
    expect((await give(server, leaving(blue, 'blue'), blue)).status).toBe(200);
    await until(() => conductor.isOver, 'the end');
    expect(conductor.state).toMatchObject({ phase: 'stopped', reason: 'tenants-declined' });
    const lines = server.coordinator.store.ledger(0).map((text) => JSON.parse(text));
    expect(lines.filter(({ change }) => change === 'left').map(({ tenant }) => tenant)).toEqual(['amber', 'blue']);
  });

  test('is withdrawn from its tasks after a restart too, should the crash have come before', async () => {
    const { server, amber } = await begin();
    const { id } = (await (await server.post('/tasks', smallTask())).json()) as { id: string };
    const { folder, coordinator } = server;
    // as a crash would leave it: the roster has changed, its tasks have not heard of it
    coordinator.store.commit(() => {
      coordinator.store.removeTenant('amber');
      coordinator.ledger.append(
        { kind: 'roster', tenant: 'amber', change: 'left', key: hex(amber.publicKey) },
        NO_TASK,
        1,
      );
    });
    await server.close();
    const again = await startServer(folder);
    const conductor = again.coordinator.task(id)!;
    await until(() => 'declined' in conductor.state && 'amber' in conductor.state.declined, 'it to go');
    expect(conductor.state).toMatchObject({
      declined: { amber: { cause: 'roster', reason: 'is not enrolled any more' } },
    });
  });
});

describe('where a budget stands is heard', () => {
  const standing = { type: 'standing', task: NO_TASK, pool: 'training', ledger: 0 } as const;
  const numbers = { epsilon: 0, limit: 4, delta: 1e-5, order: 12 } as const;
  const stated = (by: Identity, nonce: Uint8Array, more: Partial<Stated> = {}, name = 'amber'): Stated => {
    const message = { ...standing, ...numbers, ...more };
    return { ...message, signature: by.sign(standingDigest(name, nonce, message)) };
  };
  const limits = ({ coordinator }: Server) =>
    coordinator.store
      .ledger(0)
      .map((text) => JSON.parse(text))
      .filter(({ kind }) => kind === 'budget');

  test('from its tenant, once over a connection', async () => {
    const { server, amber } = await begin();
    const tapped = await connect(server, amber);
    tapped.say(stated(amber, helloOf(tapped).exchange));
    await until(() => limits(server).length === 1, 'its limit in the ledger');
    tapped.say(stated(amber, helloOf(tapped).exchange, { limit: 5 }));
    tapped.say(stated(amber, helloOf(tapped).exchange, { pool: 'held-out', limit: 6 }));
    await until(() => limits(server).length === 2, 'the other pool’s');
    expect(limits(server)).toMatchObject([
      { tenant: 'amber', pool: 'training', epsilon: 4, delta: 1e-5 },
      { tenant: 'amber', pool: 'held-out', epsilon: 6 },
    ]);
  });

  test.each([
    ['another tenant’s signature', (_: Identity, nonce: Uint8Array, blue: Identity) => stated(blue, nonce)],
    ['the signature under another name', (amber: Identity, nonce: Uint8Array) => stated(amber, nonce, {}, 'blue')],
    ['a signature from an earlier connection', (amber: Identity) => stated(amber, new Uint8Array(32))],
    [
      'another number than was signed',
      (amber: Identity, nonce: Uint8Array) => ({ ...stated(amber, nonce), limit: 400 }),
    ],
  ])('not with %s: the connection ends, and nothing is written', async (_, forged) => {
    const { server, amber, blue } = await begin();
    const tapped = await connect(server, amber);
    tapped.say(forged(amber, helloOf(tapped).exchange, blue));
    await until(() => tapped.closed !== undefined, 'the connection to end');
    expect(tapped.refusals).toEqual(['the signature on "standing" does not verify']);
    expect(limits(server)).toEqual([]);
    expect(server.coordinator.store.standings()).toEqual([]);
  });

  test('not with an order that no budget has', async () => {
    const { server, amber } = await begin();
    const tapped = await connect(server, amber);
    tapped.say(stated(amber, helloOf(tapped).exchange, { order: 1.2345 }));
    await until(() => tapped.closed !== undefined, 'the connection to end');
    expect(tapped.refusals[0]).toContain('no budget is like that');
  });
});
