import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { deflateRawSync } from 'node:zlib';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { createIdentity, type Identity } from '../../aggregation/identity.ts';
import { SEAL_BYTES } from '../../aggregation/link.ts';
import type { SecureSumName, TenantId } from '../../aggregation/secure-sum.ts';
import { answerDigest, type FromClient, MAX_FRAME, PROTOCOL } from '../../aggregation/wire.ts';
import type { Conductor } from '../../coordinator/conductor.ts';
import { openCoordinator } from '../../coordinator/coordinator.ts';
import { STRANGERS } from '../../coordinator/limits.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { memoryLinks } from '../../simulation/memory-link.ts';
import { enrol, type Tenants, tenantsFor } from '../support/federation-on-disk.ts';
import { type Server, startServer } from '../support/serving.ts';
import { FIVE, smallTask } from '../support/small-task.ts';
import { type Ask, type Say, TappedTenant } from '../support/tapped-tenant.ts';

const DATASET = 'd'.repeat(64);

async function until(isTrue: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 30_000; !isTrue(); await sleep(5))
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
}

function tap(server: Server, name: TenantId, identity: Identity): TappedTenant {
  const tapped = new TappedTenant(server.url, server.coordinator.publicKey, name, identity);
  onTestFinished(() => tapped.close());
  return tapped;
}

type Hello = Extract<TappedTenant['received'][number], { type: 'hello' }>;
const helloOf = (tapped: TappedTenant): Hello => tapped.received[0] as Hello;

const identification = (
  tenant: TenantId,
  exchange: Uint8Array = randomBytes(32),
): Extract<FromClient, { type: 'identify' }> => ({
  ...{ type: 'identify', protocol: PROTOCOL, version: 'test', tenant, ledger: 0, open: [], exchange },
});

describe('a stranger', () => {
  const amber = createIdentity();

  async function greeted(identity = amber): Promise<{ server: Server; stranger: TappedTenant; hello: Hello }> {
    const server = await startServer();
    enrol(server.coordinator.enrolment, 'amber', amber);
    const stranger = tap(server, 'amber', identity);
    await until(() => stranger.received.length === 1, 'a greeting');
    return { server, stranger, hello: helloOf(stranger) };
  }

  /** The peer loses its connection, is told why, and nothing else has happened. */
  async function expectThrownOut(server: Server, peer: TappedTenant, why?: string): Promise<void> {
    await until(() => peer.closed !== undefined, 'the connection to end');
    if (why !== undefined) expect(peer.refusals.join()).toContain(why);
    expect(server.coordinator.present().size).toBe(0);
    expect(peer.received.map(({ type }) => type)).not.toContain('welcome');
    expect((await server.get('/healthz')).status).toBe(200);
  }

  test('is greeted with a fresh key, and welcome with the key it enrolled', async () => {
    const { server, stranger, hello } = await greeted();
    const other = tap(server, 'amber', amber);
    await until(() => other.received.length === 1, 'a greeting');
    expect(helloOf(other).exchange).not.toEqual(hello.exchange);
    stranger.say(identification('amber', stranger.exchange));
    await until(() => stranger.received.length === 2, 'a welcome');
    expect(stranger.received[1]).toEqual({ type: 'welcome', tenant: 'amber', version: '9.9.9-test' });
    expect([stranger.unverified, Object.keys(hello)]).toEqual([0, expect.not.arrayContaining(['version'])]);
    expect(server.coordinator.present()).toEqual(new Set(['amber']));
  });

  const unsigned = (body: Uint8Array): Buffer => Buffer.concat([Buffer.alloc(SEAL_BYTES), body]);
  const frames: readonly [what: string, frame: (stranger: TappedTenant) => Uint8Array | string, why?: string][] = [
    ['garbage', () => unsigned(Uint8Array.of(0xc1, 0xff, 0x00)), 'is not in the protocol'],
    ['nothing', () => new Uint8Array(0), 'the message ends early'],
    ['a signature and no message', () => unsigned(Uint8Array.of()), 'the message ends early'],
    ['half a message', (one) => one.sealed(identification('amber')).subarray(0, 90), 'ends early'],
    [
      'a message and a half',
      (one) => Buffer.concat([one.sealed(identification('amber')), Buffer.of(1)]),
      '1 bytes after',
    ],
    ['text', () => '{"type":"identify"}'],
    ['more than a greeting', () => unsigned(new Uint8Array(4097)), 'a greeting of 4097 bytes'],
    ['more than any message', () => new Uint8Array(MAX_FRAME.fromClient + SEAL_BYTES + 1)],
    ['the announcement of four gigabytes', () => unsigned(Uint8Array.of(0xc6, 0xff, 0xff, 0xff, 0xff)), 'ends early'],
  ];
  test.each(frames)('that sends %s loses its connection', async (_, frame, why) => {
    const { server, stranger } = await greeted();
    stranger.raw(frame(stranger));
    await expectThrownOut(server, stranger, why);
  });

  test('that sends text, or too much, is told so by the code of the protocol', async () => {
    const { stranger } = await greeted();
    stranger.raw('text');
    await until(() => stranger.closed !== undefined, 'the end');
    expect(stranger.closed).toEqual({ code: 1003 });
    const second = await greeted();
    second.stranger.raw(new Uint8Array(MAX_FRAME.fromClient + SEAL_BYTES + 1));
    await until(() => second.stranger.closed !== undefined, 'the end');
    expect(second.stranger.closed!.code).not.toBe(1000);
  });

  test('that goes on after it was refused is not looked at, nor answered', async () => {
    const { server, stranger } = await greeted();
    for (let i = 0; i < 20; i++) stranger.raw(unsigned(Uint8Array.of(0xc1)));
    stranger.say(identification('amber', stranger.exchange));
    await expectThrownOut(server, stranger, 'is not in the protocol');
    expect(server.log.filter((line) => line.includes('"refused-connection"'))).toHaveLength(1);
  });

  test('is granted no compression, however it asks: a bomb is as long as what it sends', async () => {
    const { server } = await greeted();
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/federation`, { perMessageDeflate: true });
    const gone = once(socket, 'close');
    socket.on('error', () => {});
    await once(socket, 'open');
    expect(socket.extensions).toBe('');
    // a binary frame that says it is compressed all the same (RFC 7692 §6: RSV1), masked with zeros
    const bomb = deflateRawSync(Buffer.alloc(60_000));
    const { _socket: raw } = socket as unknown as { _socket: Socket };
    raw.write(Buffer.concat([Buffer.of(0x80 | 0x40 | 0x02, 0x80 | bomb.length, 0, 0, 0, 0), bomb]));
    const [code] = (await gone) as [number];
    expect(code).toBe(1002); // RFC 6455 §5.2: a reserved bit without an extension
    expect(bomb.length).toBeLessThan(126);
    expect(server.coordinator.present().size).toBe(0);
  });

  const greetings: readonly [what: string, message: FromClient, why: string, identity?: Identity][] = [
    [
      'speaks another protocol',
      { ...identification('amber'), protocol: PROTOCOL + 1 },
      'protocol 3 is spoken there, 2 here; install the same version',
    ],
    ['has another key', identification('amber'), 'not an enrolled tenant, or not its key', createIdentity()],
    ['has a name nobody enrolled', identification('blue'), 'not an enrolled tenant, or not its key'],
    [
      'says something else first',
      { type: 'cannot', task: 'ab'.repeat(32), epoch: 1, round: 1 },
      'say who you are first',
    ],
  ];
  test.each(greetings)('that %s is not let in', async (_, message, why, identity) => {
    const { server, stranger } = await greeted(identity);
    stranger.say(message);
    await expectThrownOut(server, stranger, why);
    // told so that it can believe it, once it has said who it is
    expect(stranger.unverified).toBe(message.type === 'identify' ? 0 : 1);
  });

  test('cannot use what was said on another connection', async () => {
    const { server, stranger } = await greeted();
    const thief = tap(server, 'amber', createIdentity());
    await until(() => thief.received.length === 1, 'a greeting');
    thief.raw(stranger.sealed(identification('amber')));
    await expectThrownOut(server, thief, 'not its key');
    expect(stranger.closed).toBeUndefined();
  });

  test('may knock at one door only', async () => {
    const { server } = await greeted();
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/elsewhere`);
    await new Promise<void>((resolve) => {
      socket.on('error', () => resolve());
      socket.on('open', () => {
        throw new Error('was let in');
      });
    });
  });

  test('that stays silent is shown out after half a minute; one too many is not let in', async () => {
    const store = openSqliteStore(':memory:');
    const time = { now: 1000 };
    const coordinator = await openCoordinator({
      store,
      identity: createIdentity(),
      clock: () => time.now,
      version: 'test',
    });
    onTestFinished(() => coordinator.close());
    let closed = 0;
    const knock = (): void => {
      const [here, there] = memoryLinks();
      here.onClose(() => {
        closed += 1;
      });
      coordinator.connect(there);
    };
    for (let i = 0; i < 2 * STRANGERS.most; i++) knock();
    await sleep(5);
    expect(closed).toBe(0);
    knock();
    await sleep(5);
    expect(closed).toBe(1);
    time.now += 29_999;
    await coordinator.tick();
    await sleep(5);
    expect(closed).toBe(1);
    time.now += 1;
    await coordinator.tick();
    await sleep(5);
    expect(closed).toBe(2 * STRANGERS.most + 1);
  });
});

describe('an enrolled tenant', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await startBackend('cpu');
  });

  interface Scene {
    readonly server: Server;
    readonly tenants: Tenants;
    /** each tenant's connection; amber is the one that misbehaves */
    readonly taps: ReadonlyMap<TenantId, TappedTenant>;
    readonly amber: TappedTenant;
    start(protocol: SecureSumName): Conductor;
  }

  /** What is sent in place of the honest statement; the honest vector ahead of it, if no other. */
  interface Said {
    readonly say: Say;
    readonly vector?: Uint8Array;
  }

  async function scene(): Promise<Scene> {
    const server = await startServer();
    const tenants = tenantsFor(server.coordinator.publicKey, backend, FIVE);
    onTestFinished(() => tenants.forget());
    for (const [name, identity] of tenants.identities) enrol(server.coordinator.enrolment, name, identity);
    const taps = new Map(FIVE.map((name) => [name, tap(server, name, tenants.identities.get(name)!)]));
    for (const [name, tapped] of taps)
      void tenants.participants.get(name)!.take(tapped.link, undefined, tapped.agreement);
    await until(() => server.coordinator.present().size === 5, 'everyone to be there');
    const start = (protocol: SecureSumName): Conductor =>
      server.coordinator.propose(smallTask(protocol, { rounds: 2 }));
    return { server, tenants, taps, amber: taps.get('amber')!, start };
  }

  const isOver = (conductor: Conductor) => (): boolean => conductor.isOver;
  const saidBy = (server: Server, conductor: Conductor, tenant: TenantId): number =>
    server.coordinator.store
      .facts(conductor.id)
      .filter((fact) => fact.type === 'in-round' && fact.fact.type === 'said' && fact.fact.tenant === tenant).length;

  /**
   * Amber's first statement in a stage is preceded by one that is wrong. It must be refused with `why` and change nothing: the
   * honest one that follows is taken, and the task ends well.
   */
  async function expectRefused(
    { server, amber, start }: Scene,
    protocol: SecureSumName,
    stage: string,
    wrong: (say: Say, ask: Ask, vector: Uint8Array) => Said | Promise<Said>,
    why: string,
  ): Promise<void> {
    let tried: Promise<void> | undefined;
    const attempt = async (said: Say, ask: Ask, honest: Uint8Array): Promise<void> => {
      const before = saidBy(server, conductor, 'amber');
      const { say, vector = honest } = await wrong(said, ask, honest);
      amber.say(say, vector);
      await until(() => amber.refusals.length > 0, 'a refusal');
      expect(saidBy(server, conductor, 'amber')).toBe(before);
    };
    amber.onSay = (say, ask, vector) => {
      if (say.stage !== stage || tried !== undefined) return true;
      tried = attempt(say, ask, vector).finally(() => amber.say(say, vector));
      return false;
    };
    const conductor = start(protocol);
    await until(isOver(conductor), 'the end of the task');
    await tried;
    expect([...new Set(amber.refusals)]).toEqual([expect.stringContaining(why)]);
    expect(conductor.state).toMatchObject({ phase: 'finished', charges: 2 });
    expect(conductor.lastContributions).toBe(5);
  }

  /** The statement with another vector, properly signed. */
  const signing =
    ({ amber }: Scene, change: (vector: Uint8Array) => Uint8Array) =>
    ({ open, sealed }: Say, ask: Ask, honest: Uint8Array): Said => {
      const vector = change(honest);
      return { say: amber.signed(ask, { open, sealed: new Map(sealed), vector }), vector };
    };

  const bitFlipped = (bytes: Uint8Array): Uint8Array => {
    const copy = Uint8Array.from(bytes);
    copy[20]! ^= 1;
    return copy;
  };

  const wrongs: readonly [what: string, wrong: (say: Say, vector: Uint8Array) => Said, why: string][] = [
    ['without a signature', (say) => ({ say: { ...say, signature: new Uint8Array(64) } }), 'bad-signature'],
    [
      'with a signature a bit off',
      (say) => ({ say: { ...say, signature: bitFlipped(say.signature) } }),
      'bad-signature',
    ],
    [
      'whose vector was changed after it was signed',
      (say, vector) => ({ say, vector: bitFlipped(vector) }),
      'bad-signature',
    ],
    ['with a word it has not signed', (say) => ({ say: { ...say, open: Uint8Array.of(1) } }), 'bad-signature'],
    ['without its vector', (say) => ({ say, vector: new Uint8Array(0) }), 'bad-signature'],
    ['with a vector too short', (say, vector) => ({ say, vector: vector.subarray(8) }), 'bad-signature'],
    ['with a vector too long', (say, vector) => ({ say, vector: Buffer.concat([vector, vector]) }), 'bad-signature'],
    ['of another round', (say) => ({ say: { ...say, round: say.round + 1 } }), 'wrong-round'],
    ['of another epoch', (say) => ({ say: { ...say, epoch: say.epoch + 1 } }), 'wrong-round'],
    ['of another stage', (say) => ({ say: { ...say, stage: 'share' } }), 'wrong-stage'],
    ['of another attempt', (say) => ({ say: { ...say, attempt: 2 } }), 'wrong-stage'],
    ['of another task', (say) => ({ say: { ...say, task: 'ab'.repeat(32) } }), 'unknown-task'],
  ];
  test.each(wrongs)('that sends a statement %s is refused, and the round is unharmed', async (_, wrong, why) => {
    await expectRefused(await scene(), 'plain', 'contribute', (say, _ask, vector) => wrong(say, vector), why);
  });

  const places: readonly [where: string, change: (say: Say) => Partial<Say>][] = [
    ['of another round', ({ round }) => ({ round: round + 1 })],
    ['of another epoch', ({ epoch }) => ({ epoch: epoch + 1 })],
    ['of another stage', () => ({ stage: 'share' })],
    ['of another attempt', () => ({ attempt: 2 })],
  ];
  test.each(places)('that sends parts %s has sent none of this vector', async (_, change) => {
    const played = await scene();
    const wrong = (say: Say, _ask: Ask, honest: Uint8Array): Said => {
      const { task, epoch, round, stage, attempt } = { ...say, ...change(say) };
      played.amber.say({ type: 'part', task, epoch, round, stage, attempt, at: 0, bytes: honest });
      return { say, vector: new Uint8Array(0) };
    };
    await expectRefused(played, 'plain', 'contribute', wrong, 'bad-signature');
  });

  // of another length than the plan says nothing is taken in; the signature is then over what the coordinator has not
  const signedButWrong: readonly [what: string, change: (vector: Uint8Array) => Uint8Array, why: string][] = [
    ['too short', (vector) => vector.subarray(8), 'bad-signature'],
    ['too long', (vector) => Buffer.concat([vector, Buffer.alloc(8)]), 'bad-signature'],
    ['empty', () => new Uint8Array(0), 'bad-signature'],
    [
      'with half a customer in it',
      (vector) => {
        const copy = Uint8Array.from(vector);
        new DataView(copy.buffer).setFloat64(8, 0.5, true);
        return copy;
      },
      'no integer',
    ],
    [
      'with infinity in it',
      (vector) => {
        const copy = Uint8Array.from(vector);
        new DataView(copy.buffer).setFloat64(0, Number.POSITIVE_INFINITY, true);
        return copy;
      },
      'no integer',
    ],
  ];
  test.each(signedButWrong)('that signs a vector %s is refused', async (_, change, why) => {
    const played = await scene();
    await expectRefused(played, 'plain', 'contribute', signing(played, change), why);
  });

  test('that signs for another place is refused', async () => {
    const played = await scene();
    const wrong = ({ open }: Say, ask: Ask, vector: Uint8Array): Said => ({
      say: played.amber.signed(ask, { open, sealed: new Map(), vector }, { attempt: 2 }),
    });
    await expectRefused(played, 'plain', 'contribute', wrong, 'bad-signature');
  });

  const residues: readonly [what: string, stage: string, change: (vector: Uint8Array) => Uint8Array, why: string][] = [
    [
      'a residue not below its prime',
      'contribute',
      (vector) => Uint8Array.from(vector).fill(0xff, vector.length - 200),
      'a residue of contribute is not below its prime',
    ],
    ['a contribution a byte short', 'contribute', (vector) => vector.subarray(1), 'bad-signature'],
    [
      'a share with a residue not below its prime',
      'share',
      (vector) => Uint8Array.from(vector).fill(0xff, 0, 100),
      'a residue of share is not below its prime',
    ],
    ['a share a byte long', 'share', (vector) => Buffer.concat([vector, Buffer.of(0)]), 'bad-signature'],
  ];
  test.each(residues)('that signs %s is refused', async (_, stage, change, why) => {
    const played = await scene();
    await expectRefused(played, 'threshold-he', stage, signing(played, change), why);
  });

  test('cannot send what another has said', async () => {
    const played = await scene();
    let blues: Say | undefined;
    played.taps.get('blue')!.onSay = (say) => {
      blues ??= say;
      return true;
    };
    const wrong = async (say: Say): Promise<Said> => {
      await until(() => blues !== undefined, 'the statement of blue');
      return { say: { ...say, open: blues!.open, sealed: blues!.sealed, signature: blues!.signature } };
    };
    await expectRefused(played, 'threshold-he', 'announce', wrong, 'bad-signature');
  });

  test('is heard once in a stage', async () => {
    const played = await scene();
    played.amber.onSay = (say, _ask, vector) => {
      played.amber.say(say, vector);
      return true;
    };
    const conductor = played.start('plain');
    await until(isOver(conductor), 'the end of the task');
    expect(conductor.state).toMatchObject({ phase: 'finished', charges: 2 });
    expect(saidBy(played.server, conductor, 'amber')).toBe(2);
    expect(new Set(played.amber.refusals).size).toBeGreaterThan(0);
    for (const reason of played.amber.refusals)
      expect(['already-said', 'round-over', 'wrong-round', 'task-over']).toContain(reason);
  });

  test('leaves no vector behind when its task is over', async () => {
    const played = await scene();
    const { store } = played.server.coordinator;
    const conductor = played.start('plain');
    const last = { epoch: 1, round: 2, stage: 'contribute', attempt: 1 };
    const held = (): boolean => store.part(conductor.id, last, 'amber', 0) !== undefined;
    await until(held, 'a vector on disk');
    await until(isOver(conductor), 'the end of the task');
    await until(() => !held(), 'its erasure');
  });

  test('that loses its keys again and again makes the coordinator keep those of one epoch', async () => {
    const played = await scene();
    const { store } = played.server.coordinator;
    const kept: number[][] = [];
    const dealt = (epoch: number): number =>
      [...store.bodies(conductor.id, { epoch, round: 0, stage: 'deal', attempt: 1 })].length;
    played.amber.onSay = (say) => {
      if (say.stage !== 'ready') return true;
      kept.push(Array.from({ length: say.epoch }, (_, i) => dealt(i + 1)));
      played.amber.say({ type: 'cannot', task: say.task, epoch: say.epoch, round: say.round });
      return false;
    };
    const conductor = played.start('threshold-he');
    await until(isOver(conductor), 'the end of the task');
    expect(conductor.state).toMatchObject({ phase: 'finished', charges: 2 });
    expect(kept).toEqual([[5], [0, 5]]);
  });

  const offences: readonly [what: string, offend: (tapped: TappedTenant, conductor: Conductor) => void][] = [
    ['introduces itself again', (tapped) => tapped.say(identification('amber'))],
    [
      'declines with a signature that is none',
      (tapped, { id }) =>
        tapped.say({ type: 'decline', task: id, cause: 'policy', reason: 'no', signature: new Uint8Array(64) }),
    ],
    [
      'declines with the signature of an acceptance',
      (tapped, { id }) =>
        tapped.say({
          type: 'decline',
          task: id,
          cause: 'policy',
          reason: '',
          signature: tapped.identity.sign(
            answerDigest('amber', { type: 'accept', task: id, round: 0, dataset: DATASET }),
          ),
        }),
    ],
    [
      'accepts in the name of another',
      (tapped, { id }) =>
        tapped.say({
          type: 'accept',
          dataset: DATASET,
          task: id,
          round: 0,
          signature: tapped.identity.sign(
            answerDigest('blue', { type: 'accept', task: id, round: 0, dataset: DATASET }),
          ),
        }),
    ],
    ['sends garbage', (tapped) => tapped.raw(Uint8Array.of(1, 2, 3))],
  ];
  test.each(offences)('that %s loses its connection; the others finish without it', async (_, offend) => {
    const { server, amber, start } = await scene();
    let offended = false;
    amber.onSay = () => {
      if (!offended) offend(amber, conductor);
      offended = true;
      return false;
    };
    const conductor = start('plain');
    await until(() => amber.closed !== undefined, 'amber to be thrown out');
    await until(isOver(conductor), 'the end of the task');
    expect(conductor.state).toMatchObject({ phase: 'finished', charges: 2 });
    expect(conductor.lastContributions).toBe(4);
    expect(server.coordinator.present()).toEqual(new Set(FIVE.slice(1)));
    expect(saidBy(server, conductor, 'amber')).toBe(0);
  });

  test('that joined after the plan was made takes no part in it', async () => {
    const { server, start } = await scene();
    const conductor = start('plain');
    const late = createIdentity();
    enrol(server.coordinator.enrolment, 'late', late);
    const latecomer = tap(server, 'late', late);
    await until(() => latecomer.received.length === 1, 'a greeting');
    latecomer.say(identification('late', latecomer.exchange));
    const accept = late.sign(answerDigest('late', { type: 'accept', task: conductor.id, round: 0, dataset: DATASET }));
    latecomer.say({ type: 'accept', task: conductor.id, round: 0, dataset: DATASET, signature: accept });
    const nothing = { open: new Uint8Array(24), sealed: [], signature: new Uint8Array(64) };
    latecomer.say({ type: 'say', task: conductor.id, epoch: 1, round: 1, stage: 'contribute', attempt: 1, ...nothing });
    await until(() => latecomer.refusals.length === 2 || conductor.isOver, 'two refusals');
    await until(isOver(conductor), 'the end of the task');
    for (const reason of latecomer.refusals) expect(['unknown-tenant', 'task-over', 'round-over']).toContain(reason);
    const told = latecomer.received.map(({ type }) => type);
    for (const type of ['plan', 'ask', 'opened', 'over']) expect(told).not.toContain(type);
    expect(conductor.state).toMatchObject({ phase: 'finished', accepted: FIVE });
  });

  test('has one connection: the newer one', async () => {
    const { server, tenants, amber, start } = await scene();
    const newer = tap(server, 'amber', tenants.identities.get('amber')!);
    void tenants.participants.get('amber')!.take(newer.link, undefined, newer.agreement);
    await until(() => amber.closed !== undefined, 'the older connection to end');
    expect(server.coordinator.present().size).toBe(5);
    const conductor = start('threshold-he');
    await until(isOver(conductor), 'the end of the task');
    expect(conductor.lastContributions).toBe(5);
    expect(newer.closed).toBeUndefined();
    await until(() => newer.received.some(({ type }) => type === 'over'), 'the end to be told');
    expect(amber.received.map(({ type }) => type)).not.toContain('ask');
  });

  test('that comes back in the middle of a round, on another connection, is not missed', async () => {
    const { server, tenants, amber, start } = await scene();
    amber.onSay = (say) => {
      if (say.stage !== 'contribute') return true;
      amber.close(); // its answer is lost with the connection
      const again = tap(server, 'amber', tenants.identities.get('amber')!);
      void tenants.participants.get('amber')!.take(again.link, undefined, again.agreement);
      return false;
    };
    const conductor = start('threshold-he');
    await until(isOver(conductor), 'the end of the task');
    expect(conductor.state).toMatchObject({ phase: 'finished', charges: 2, rounds: 2 });
    expect(conductor.lastContributions).toBe(5);
  });
});
