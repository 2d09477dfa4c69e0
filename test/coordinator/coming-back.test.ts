import { expect, onTestFinished, test } from 'vitest';
import { CommandError, EXIT } from '../../aggregation/exit.ts';
import { createIdentity } from '../../aggregation/identity.ts';
import type { Frame, Link } from '../../aggregation/link.ts';
import type { Settings } from '../../aggregation/settings.ts';
import { decodeFromClient, decodeFromCoordinator } from '../../aggregation/wire.ts';
import { openCoordinator } from '../../coordinator/coordinator.ts';
import type { EventStore } from '../../coordinator/store/event-store.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import { startBackend } from '../../models/backend.ts';
import { memoryLinks } from '../../simulation/memory-link.ts';
import { enrol, type Life, startLife, type Tenants, tenantsFor } from '../support/federation-on-disk.ts';
import { temporaryFolder } from '../support/folder.ts';
import { ScriptedTenant } from '../support/scripted-tenant.ts';
import { FIVE, smallTask } from '../support/small-task.ts';
import { toyEvaluation } from '../support-client/toy-task.ts';

/** A connection whose frames to the coordinator wait until they are let through, one by one. */
function heldLinks() {
  const [here, there] = memoryLinks();
  const waiting: Frame[] = [];
  let hear: (frame: Frame) => void = () => {};
  const held: Link = {
    ...there,
    onFrame: (handler) => {
      hear = handler;
      there.onFrame((frame) => waiting.push(frame));
    },
  };
  return { links: [here, held] as const, waiting, pass: () => hear(waiting.shift()!) };
}

/** A connection whose frames to the tenant wait, from when it stops reading until it reads again. */
function unreadLinks() {
  const [here, there] = memoryLinks();
  const unread: Parameters<Link['send']>[] = [];
  let reads = true;
  const slow: Link = {
    ...there,
    send(frame, left) {
      if (reads) there.send(frame, left);
      else unread.push(left ? [frame, left] : [frame]);
    },
  };
  const stop = (): void => {
    reads = false;
  };
  const read = (): void => {
    reads = true;
    for (const one of unread.splice(0)) there.send(...one);
  };
  return { links: [here, slow] as const, unread, stop, read };
}

async function end(life: Life, tenants: Tenants): Promise<void> {
  life.crash();
  for (const participant of tenants.participants.values()) await participant.idle();
  tenants.forget();
}

/** A tenant with no program behind it, and four with one, that are connected. */
async function amongFour(): Promise<{ life: Life; amber: ScriptedTenant }> {
  const identity = createIdentity();
  const [name, ...others] = FIVE;
  const amber = new ScriptedTenant(name!);
  const tenants = tenantsFor(identity.publicKey, await startBackend('cpu'), others);
  const life = await startLife(`${temporaryFolder()}/events.db`, identity);
  onTestFinished(() => end(life, tenants));
  enrol(life.coordinator.enrolment, amber.name, amber.identity);
  for (const [each, own] of tenants.identities) enrol(life.coordinator.enrolment, each, own);
  life.connect(tenants);
  return { life, amber };
}

test('what a tenant said before its connection was lost does not say what its next process knows', async () => {
  const { life, amber } = await amongFour();
  const timing = { stragglerMs: 100, stageTimeoutMs: 60_000 };
  const conductor = life.coordinator.propose(smallTask('plain', { rounds: 500, timing }));
  await life.until(() => conductor.progress.steps > 1);

  const [first, second] = [heldLinks(), heldLinks()];
  amber.connect(life.coordinator, first.links);
  await life.until(() => first.waiting.length === 1);
  first.pass(); // who it is
  await life.until(() => first.waiting.length === 1);
  amber.connect(life.coordinator, second.links);
  await life.until(() => second.waiting.length === 1);
  first.pass(); // that it accepts, and which sums it has taken in; before the task looks at that, its next process is there
  second.pass();
  await life.until(() => second.waiting.length === 1);
  const seen = conductor.progress.steps;
  await life.until(() => conductor.progress.steps > seen + 1);
  expect(amber.opened).toEqual([]);
  second.pass();
  await life.until(() => amber.opened.length > 1);
  expect(amber.opened.slice(0, 2)).toEqual([1, 2]);
});

test('who comes back while the others are asked is asked when it has caught up, not before', async () => {
  const identity = createIdentity();
  const others = Array.from({ length: 8 }, (_, i) => `unit-${i}`);
  const zinc = new ScriptedTenant('zinc'); // the last to be asked
  const tenants = tenantsFor(identity.publicKey, await startBackend('cpu'), others);
  const [first, second] = [heldLinks(), heldLinks()];
  let seen = -1;
  const life = await startLife(`${temporaryFolder()}/events.db`, identity, (event) => {
    const asked =
      event.type === 'task-changed' && event.facts.some((f) => f.type === 'in-round' && f.fact.type === 'asked');
    if (!asked || second.waiting.length === 0 || seen >= 0) return;
    seen = zinc.asks.length;
    setImmediate(second.pass); // in the first pause
  });
  onTestFinished(() => end(life, tenants));
  enrol(life.coordinator.enrolment, zinc.name, zinc.identity);
  for (const [each, own] of tenants.identities) enrol(life.coordinator.enrolment, each, own);
  life.connect(tenants);
  const timing = { stragglerMs: 100, stageTimeoutMs: 60_000 };
  const settings = {
    ...smallTask('plain', { rounds: 500, timing }),
    secureSum: { protocol: 'plain', minCohort: 6, colluders: 1 },
  };
  const conductor = life.coordinator.propose(settings as Settings);
  zinc.connect(life.coordinator, first.links);
  for (let frames = 0; frames < 2; frames++) {
    await life.until(() => first.waiting.length > 0);
    first.pass();
  }
  await life.until(() => zinc.asks.length > 1);
  zinc.connect(life.coordinator, second.links);
  await life.until(() => seen >= 0 && second.waiting.length === 1);
  const { steps } = conductor.progress;
  await life.until(() => conductor.progress.steps > steps + 1);
  expect(zinc.asks).toHaveLength(seen);
  second.pass();
  await life.until(() => zinc.asks.length > seen);
});

test('who has not read one sum when the next is opened is sent no more, and gets all of them when it reads', async () => {
  const { life, amber } = await amongFour();
  const { links, unread, stop, read } = unreadLinks();
  amber.connect(life.coordinator, links);
  const timing = { stragglerMs: 100, stageTimeoutMs: 60_000 };
  const conductor = life.coordinator.propose(smallTask('plain', { rounds: 500, timing }));
  const rounds = (more: number): Promise<void> => {
    const { steps } = conductor.progress;
    return life.until(() => conductor.progress.steps >= steps + more);
  };
  await life.until(() => amber.opened.length > 0);
  stop();
  await rounds(2);
  const left = unread.length;
  const asked = amber.asks.length;
  expect(left).toBeGreaterThan(0);
  await rounds(4);
  expect(unread).toHaveLength(left);
  read();
  await life.until(() => amber.asks.length > asked + 1); // the first of these was for a round that is over
  expect(amber.opened.length).toBeGreaterThan(6);
  expect(amber.opened).toEqual(amber.opened.map((_, i) => i + 1));
});

test('who reads slowly has one plan with a model waiting for it, and is sent those that still count as it reads', async () => {
  const identity = createIdentity();
  const [amber, blue] = [new ScriptedTenant('amber'), new ScriptedTenant('blue')];
  const life = await startLife(`${temporaryFolder()}/events.db`, identity);
  const { coordinator } = life;
  onTestFinished(() => life.crash());
  enrol(coordinator.enrolment, 'coral', createIdentity());
  const [line, other] = [amber, blue].map((tenant) => {
    enrol(coordinator.enrolment, tenant.name, tenant.identity);
    const { links, ...rest } = unreadLinks();
    tenant.connect(coordinator, links);
    return rest;
  });
  await life.until(() => coordinator.present().size === 2);
  for (const { stop } of [line!, other!]) stop();
  const [model, trainedBy] = ['b'.repeat(64), 'a'.repeat(64)];
  coordinator.store.putParameters(model, new Uint8Array(16));
  const [first, second, third] = ['first', 'second', 'third'].map((name) =>
    coordinator.propose({ ...toyEvaluation(trainedBy, model, 'plain'), name }),
  );
  await second!.stop('stopped-by-operator');
  const [plans, others] = [line!, other!].map(({ unread }) =>
    unread.map(([{ body }]) => body).filter((body) => decodeFromCoordinator(body).type === 'plan'),
  );
  expect(plans).toHaveLength(1);
  expect(others![0]).toBe(plans![0]); // the very same bytes for both
  const sent: (string | undefined)[] = [];
  amber.onPlan = (plan) => sent.push(plan.settings.name);
  line!.read();
  await life.until(() => sent.length === 2);
  expect(sent).toEqual(['first', 'third']);
  expect([first, third].map((task) => task!.isOver)).toEqual([false, false]);
});

test('a coordinator that has lost its store sends nobody away for good', async () => {
  const own = openSqliteStore(':memory:');
  let isLost = false;
  const store: EventStore = {
    ...own,
    ledger(...args) {
      if (isLost) throw new CommandError(EXIT.storage, 'another one leads');
      return own.ledger(...args);
    },
  };
  const identity = createIdentity();
  const refused: string[] = [];
  const coordinator = await openCoordinator({
    ...{ store, identity, clock: Date.now, version: 'test' },
    onEvent: (event) => {
      if (event.type === 'refused-connection') refused.push(event.reason);
    },
  });
  onTestFinished(() => coordinator.close());
  const [ahead, unknown] = [new ScriptedTenant('ahead'), new ScriptedTenant('unknown')];
  enrol(coordinator.enrolment, ahead.name, ahead.identity);
  ahead.ledger = 5; // what another coordinator has written since
  const comes = async (tenant: ScriptedTenant): Promise<() => void> => {
    const { links, waiting, pass } = heldLinks();
    tenant.connect(coordinator, links);
    await expect.poll(() => waiting.length).toBe(1);
    return pass;
  };
  isLost = true;
  for (const tenant of [ahead, unknown]) expect(await comes(tenant)).toThrow('another one leads');
  expect(refused).toEqual([]);
  isLost = false;
  for (const tenant of [ahead, unknown]) (await comes(tenant))();
  expect(refused).toEqual([
    expect.stringMatching(/^ahead has seen 5 entries .* this coordinator has 1:/),
    'not an enrolled tenant, or not its key',
  ]);
});

test('what a tenant states of its budget right after it has accepted a task counts that task, which has not looked yet', async () => {
  const identity = createIdentity();
  const tenants = tenantsFor(identity.publicKey, await startBackend('cpu'), FIVE);
  const life = await startLife(`${temporaryFolder()}/events.db`, identity);
  onTestFinished(() => end(life, tenants));
  for (const [each, own] of tenants.identities) enrol(life.coordinator.enrolment, each, own);
  const [amber, ...others] = FIVE;
  life.connect(tenants, others);
  const { links, waiting, pass } = heldLinks();
  void tenants.participants.get(amber!)!.take(links[0]);
  life.coordinator.connect(links[1]);
  const passAll = (): void => {
    while (waiting.length > 0) pass();
  };
  await life.until(() => {
    passAll();
    return life.coordinator.present().size === FIVE.length;
  });
  const settings = (name: string): Settings => ({ ...smallTask('plain', { rounds: 2 }), name });
  const tasks = ['first', 'second'].map((name) => life.coordinator.propose(settings(name)));
  const accepts = (): number => waiting.filter(({ body }) => decodeFromClient(body).type === 'accept').length;
  await life.until(() => accepts() === tasks.length);
  passAll(); // as frames that have come together
  const training = life.coordinator.budgets().filter(({ tenant, pool }) => tenant === amber && pool === 'training');
  expect(training.map(({ agrees }) => agrees)).toEqual([true]);
  await life.until(() => {
    passAll();
    return tasks.every(({ isOver }) => isOver);
  });
  links[1].close();
});
