import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createIdentity } from '../../aggregation/identity.ts';
import type { Frame, Link } from '../../aggregation/link.ts';
import { shapeOf } from '../../aggregation/plan.ts';
import type { Settings } from '../../aggregation/settings.ts';
import { PART_BYTES } from '../../aggregation/wire.ts';
import type { Conductor } from '../../coordinator/conductor.ts';
import { openCoordinator } from '../../coordinator/coordinator.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import { doubleBytes, doublesFrom } from '../../models/doubles.ts';
import { memoryLinks } from '../../simulation/memory-link.ts';
import { enrol } from '../support/federation-on-disk.ts';
import { temporaryFolder } from '../support/folder.ts';
import { type Ask, ScriptedTenant } from '../support/scripted-tenant.ts';
import { FIVE, smallTask } from '../support/small-task.ts';

/*
 * Vectors come in parts that nobody signs, to a disk that all tenants share. A tenant, or somebody on its wire, sends what was
 * not asked, stops in the middle, says something else than it sent; a coordinator dies in between.
 */

/** Vectors of 2.8 MiB, in the clear: three parts. */
function longTask(timing: Partial<Settings['timing']> = {}, rounds = 2): Settings {
  const small = smallTask('plain', { rounds, timing: { graceMs: 60_000, stageTimeoutMs: 60_000, ...timing } });
  if (small.work.kind !== 'train') throw new Error('the small task trains');
  return { ...small, work: { ...small.work, model: { kind: 'mlp', hidden: [600, 600], seed: 1 } } };
}

const until = async (isTrue: () => boolean, what: string): Promise<void> => {
  for (const end = performance.now() + 20_000; !isTrue(); await sleep(2))
    if (performance.now() > end) throw new Error(`waited in vain: ${what}`);
};

/** Tenants that outlive a coordinator, which may end and start again on the same file. */
class Hub {
  readonly tenants: readonly ScriptedTenant[] = FIVE.map((name) => new ScriptedTenant(name));
  readonly failures: unknown[] = [];
  /** why connections were ended */
  readonly endings: string[] = [];
  readonly #file = join(temporaryFolder(), 'events.db');
  readonly #identity = createIdentity();
  store = openSqliteStore(this.#file);
  coordinator!: Awaited<ReturnType<typeof openCoordinator>>;
  #lives = false;
  #ticking: NodeJS.Timeout | undefined;

  static async open(): Promise<Hub> {
    const hub = new Hub();
    await hub.#start();
    for (const { name, identity } of hub.tenants) enrol(hub.coordinator.enrolment, name, identity);
    for (const tenant of hub.tenants) tenant.connect(hub.coordinator);
    onTestFinished(() => {
      hub.crash();
      expect(hub.failures).toEqual([]);
    });
    return hub;
  }

  get amber(): ScriptedTenant {
    return this.tenants[0]!;
  }

  async #start(): Promise<void> {
    this.coordinator = await openCoordinator({
      ...{ store: this.store, identity: this.#identity, clock: Date.now, version: 'test' },
      onEvent: (event) => {
        if (event.type === 'task-failed' && this.#lives) this.failures.push(event.error);
        if (event.type === 'refused-connection') this.endings.push(event.reason);
      },
    });
    this.#lives = true;
    this.#ticking = setInterval(() => void this.coordinator.tick(), 10);
  }

  /** Its process ends: nothing more is written. */
  crash(): void {
    if (!this.#lives) return;
    this.#lives = false;
    clearInterval(this.#ticking);
    for (const tenant of this.tenants) tenant.disconnect();
    this.store.close();
  }

  async restart(): Promise<void> {
    this.crash();
    this.store = openSqliteStore(this.#file);
    await this.#start();
    for (const tenant of this.tenants) tenant.connect(this.coordinator);
  }

  /** Runs a task until everybody is asked for the vector of its first round. */
  async asked(settings = longTask()): Promise<{ conductor: Conductor; vector: Uint8Array }> {
    const conductor = this.coordinator.propose(settings);
    await until(() => this.tenants.every(({ asks }) => asks.length > 0), 'everybody to be asked');
    return { conductor, vector: new Uint8Array(8 * shapeOf(conductor.plan).dimension) };
  }

  /** Whoever was not told otherwise contributes `vector`, in every round. */
  others(vector: Uint8Array): void {
    for (const tenant of this.tenants.slice(1)) {
      tenant.onAsk = (ask) => contribute(tenant, ask, vector);
      contribute(tenant, tenant.lastAsk, vector);
    }
  }

  said(conductor: Conductor, tenant: ScriptedTenant): number {
    const facts = this.store.facts(conductor.id).filter((fact) => fact.type === 'in-round');
    return facts.filter(({ fact }) => fact.type === 'said' && fact.tenant === tenant.name).length;
  }
}

function contribute(tenant: ScriptedTenant, ask: Ask, vector: Uint8Array): void {
  tenant.parts(ask, vector);
  tenant.say(ask, { vector });
}

/** Connects again, and waits for the question to come again. */
async function askedAgain(hub: Hub, tenant: ScriptedTenant): Promise<Ask> {
  const before = tenant.asks.length;
  tenant.connect(hub.coordinator);
  await until(() => tenant.asks.length > before, 'the question again');
  return tenant.lastAsk;
}

describe('somebody on a tenant’s wire', () => {
  test.each([
    ['ahead of its own', 0],
    ['between them', PART_BYTES],
  ])('who slips in a part %s costs it a connection, not the round', async (_, at) => {
    const hub = await Hub.open();
    const { amber } = hub;
    const { conductor, vector } = await hub.asked();
    const ask = amber.lastAsk;
    amber.parts(ask, vector.subarray(0, at));
    amber.part(ask, at, new Uint8Array(PART_BYTES).fill(7));
    amber.parts(ask, vector, at);
    amber.say(ask, { vector });
    await until(() => amber.refusals.length > 0, 'the refusal');
    expect(amber.refusals).toEqual(['bad-signature']);
    const again = await askedAgain(hub, amber);
    expect(again.have).toBe(0);
    contribute(amber, again, vector);
    await until(() => hub.said(conductor, amber) === 1, 'the contribution');
    hub.others(vector);
    await until(() => amber.opened.length > 0, 'the sum');
    expect(conductor.lastContributions).toBe(5);
  });
});

describe('a tenant', () => {
  /** As memory links, but what the tenant sends arrives in the turn it is sent in: a task has looked at none of it before the last. */
  function hastyLinks(): [Link, Link] {
    const [here, there] = memoryLinks();
    let arrive: (frame: Frame) => void = () => {};
    return [
      { ...here, send: (frame) => arrive(frame) },
      { ...there, onFrame: (handler) => (arrive = handler) },
    ];
  }

  test('that sends more than it was asked for, faster than it can be heard, loses its connection and no round', async () => {
    const hub = await Hub.open();
    const { amber } = hub;
    amber.connect(hub.coordinator, hastyLinks());
    const { conductor, vector } = await hub.asked();
    amber.parts(amber.lastAsk, vector); // what was asked, all in one turn
    for (let i = 0; i < 5; i++) amber.part(amber.lastAsk, 0, new Uint8Array(PART_BYTES));
    expect(hub.endings).toEqual([]);
    amber.part(amber.lastAsk, 0, new Uint8Array(PART_BYTES));
    await until(() => !amber.isConnected, 'the end of the connection');
    expect(hub.endings).toEqual(['more than was asked for, before the task could look at it']);
    contribute(amber, await askedAgain(hub, amber), vector);
    hub.others(vector);
    await until(() => amber.opened.length > 0, 'the sum');
    expect(conductor.lastContributions).toBe(5);
  });
});

describe('a tenant that was away', () => {
  /** As memory links, but nothing of what the coordinator sends has left before `release`. */
  function slowLinks() {
    const [here, there] = memoryLinks();
    const held: (() => void)[] = [];
    const send: Link['send'] = (frame, left) => there.send(frame, () => void (left && held.push(left)));
    return { links: [here, { ...there, send }] as const, release: () => held.shift()?.() };
  }

  /** Four others open three sums without amber, and wait in the fourth round. */
  async function withoutAmber(): Promise<{ hub: Hub; goOn: () => void }> {
    const hub = await Hub.open();
    const { conductor, vector } = await hub.asked(smallTask('plain', { rounds: 5, timing: { graceMs: 0 } }));
    hub.amber.disconnect();
    const waiting: (() => void)[] = [];
    for (const tenant of hub.tenants.slice(1)) {
      tenant.onAsk = (ask) => {
        if (ask.round === 4) waiting.push(() => contribute(tenant, ask, vector));
        else contribute(tenant, ask, vector);
      };
      contribute(tenant, tenant.lastAsk, vector);
    }
    await until(() => waiting.length === 4, 'the fourth round');
    expect([...hub.store.sums(conductor.id, 0)]).toHaveLength(3);
    return { hub, goOn: () => waiting.forEach((go) => void go()) };
  }

  test('is sent one sum after the other as they leave, and is asked when it knows them all', async () => {
    const { hub, goOn } = await withoutAmber();
    const { amber } = hub;
    const asked = amber.asks.length;
    const { links, release } = slowLinks();
    amber.connect(hub.coordinator, links);
    for (const told of [[1], [1, 2], [1, 2, 3]]) {
      await until(() => amber.opened.length >= told.length, 'the next sum');
      await sleep(20); // what would be too much arrives
      expect(amber.opened).toEqual(told);
      release();
    }
    await sleep(20);
    expect(amber.asks).toHaveLength(asked);
    goOn();
    await until(() => amber.asks.length > asked, 'the fifth round');
    expect(amber.opened).toEqual([1, 2, 3, 4]);
    expect(amber.lastAsk.round).toBe(5);
  });

  test('and connects again meanwhile begins anew, and hears nothing twice', async () => {
    const { hub } = await withoutAmber();
    const { amber } = hub;
    const [first, second] = [slowLinks(), slowLinks()];
    amber.connect(hub.coordinator, first.links);
    await until(() => amber.opened.length === 1, 'a sum');
    amber.connect(hub.coordinator, second.links);
    await until(() => amber.opened.length === 2, 'it again');
    first.release();
    await sleep(20);
    expect(amber.opened).toEqual([1, 1]);
    for (const length of [3, 4]) {
      second.release();
      await until(() => amber.opened.length >= length, 'the next');
    }
    await sleep(20);
    expect(amber.opened).toEqual([1, 1, 2, 3]);
  });

  test('for as long as it does not read is not part of a round, and keeps none from being held', async () => {
    const { hub, goOn } = await withoutAmber();
    hub.amber.connect(hub.coordinator, slowLinks().links);
    await until(() => hub.amber.opened.length === 1, 'a sum');
    const others = hub.tenants.slice(1);
    goOn();
    await until(() => others.every(({ opened }) => opened.at(-1) === 5), 'the last round');
    expect(hub.amber.opened).toEqual([1]);
  });
});

/** The same number everywhere: another for each tenant, so that a sum shows whose vector is in it, and how often. */
const vectorOf = ({ plan }: Conductor, value: number): Uint8Array =>
  doubleBytes(new Float64Array(shapeOf(plan).dimension).fill(value));

describe('a coordinator that dies', () => {
  /** Everybody's vector once, and nothing else. */
  async function expectTheSum(hub: Hub, task: string): Promise<void> {
    await until(() => hub.tenants.every(({ opened }) => opened.includes(1)), 'the sum');
    const [sum] = hub.store.sums(task, 0);
    expect(new Set(doublesFrom(sum!.sum))).toEqual(new Set([1 + 2 + 4 + 8 + 16]));
    expect(sum!.contributions).toBe(5);
  }

  const othersContribute = (hub: Hub, conductor: Conductor): void => {
    for (const [i, tenant] of hub.tenants.entries())
      if (tenant !== hub.amber)
        tenant.onAsk = (ask) => ask.round === 1 && contribute(tenant, ask, vectorOf(conductor, 2 ** i));
  };

  test.each([
    ['between two parts', [0], PART_BYTES],
    ['when it has all parts but the last', [0, PART_BYTES], 2 * PART_BYTES],
    ['when it has all parts and no statement', [0, PART_BYTES, 2 * PART_BYTES], 2 * PART_BYTES],
  ])('%s goes on from what it had', async (_, sent, have) => {
    const hub = await Hub.open();
    const { amber } = hub;
    const { conductor } = await hub.asked();
    const vector = vectorOf(conductor, 1);
    for (const at of sent) amber.part(amber.lastAsk, at, vector.subarray(at, at + PART_BYTES));
    const place = { epoch: 1, round: 1, stage: 'contribute', attempt: 1 };
    await until(() => hub.store.part(conductor.id, place, 'amber', have - PART_BYTES) !== undefined, 'the parts');
    await sleep(20); // the last one, which is not on disk
    othersContribute(hub, conductor);
    for (const tenant of hub.tenants.slice(1)) tenant.onAsk(tenant.lastAsk);
    await until(() => hub.tenants.slice(1).every((tenant) => hub.said(conductor, tenant) === 1), 'the others');
    const asked = amber.asks.length;
    await hub.restart();
    await until(() => amber.asks.length > asked, 'the question again');
    expect(amber.lastAsk.have).toBe(have);
    contribute(amber, amber.lastAsk, vector);
    await expectTheSum(hub, conductor.id);
  });

  test('when the statement is on disk counts it, once, and does not ask again', async () => {
    const hub = await Hub.open();
    const { amber } = hub;
    const { conductor } = await hub.asked();
    contribute(amber, amber.lastAsk, vectorOf(conductor, 1));
    await until(() => hub.said(conductor, amber) === 1, 'the contribution');
    const before = amber.asks.length;
    othersContribute(hub, conductor);
    amber.onAsk = (ask) => ask.round === 1 && contribute(amber, ask, vectorOf(conductor, 1));
    await hub.restart();
    await expectTheSum(hub, conductor.id);
    expect(amber.asks.slice(before).map(({ round }) => round)).not.toContain(1);
  });
});

describe('a tenant that sends and never says a word', () => {
  test('fills the disk with one vector, disturbs nobody, and leaves nothing', async () => {
    const hub = await Hub.open();
    const { amber } = hub;
    const conductor = hub.coordinator.propose(longTask({ stageTimeoutMs: 1_000 }, 3));
    const most: number[] = [];
    const onDisk = (): number[] =>
      [1, 2, 3].filter((round) => {
        const place = { epoch: 1, round, stage: 'contribute', attempt: 1 };
        return hub.store.part(conductor.id, place, 'amber', 0) !== undefined;
      });
    amber.onAsk = (ask) => {
      most.push(onDisk().length);
      amber.parts(ask, vectorOf(conductor, 1));
      amber.parts({ ...ask, attempt: 2 }, vectorOf(conductor, 1));
      amber.parts({ ...ask, round: ask.round + 1 }, vectorOf(conductor, 1));
      amber.parts({ ...ask, epoch: 2 }, vectorOf(conductor, 1));
    };
    for (const tenant of hub.tenants.slice(1)) tenant.onAsk = (ask) => contribute(tenant, ask, vectorOf(conductor, 2));
    await until(() => conductor.isOver, 'the end');
    expect(conductor.state).toMatchObject({ phase: 'finished', charges: 3 });
    for (const { sum } of hub.store.sums(conductor.id, 0)) expect(new Set(doublesFrom(sum))).toEqual(new Set([8]));
    expect(Math.max(...most)).toBeLessThanOrEqual(1);
    await until(() => onDisk().length === 0, 'the erasure');
  });
});
