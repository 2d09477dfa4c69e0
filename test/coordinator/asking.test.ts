import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { hex, makePlan, taskId } from '../../aggregation/plan.ts';
import { protocolNamed } from '../../aggregation/protocols.ts';
import type { TenantId } from '../../aggregation/secure-sum.ts';
import type { Settings } from '../../aggregation/settings.ts';
import { replay } from '../../coordinator/advance-task.ts';
import { Asking } from '../../coordinator/asking.ts';
import { Hearing } from '../../coordinator/hearing.ts';
import type { RoundFact } from '../../coordinator/round.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import { inRound, type TaskFact } from '../../coordinator/task.ts';
import { rulesOf } from '../../coordinator/task-facts.ts';
import { Telling } from '../../coordinator/telling.ts';
import { Uploads } from '../../coordinator/uploads.ts';
import type { Unsent, World } from '../../coordinator/world.ts';
import { EMPTY_LEDGER } from '../../privacy/ledger.ts';
import { temporaryFolder } from '../support/folder.ts';
import { rosterOf, smallTask } from '../support/small-task.ts';

const LETTER = 40;
const STAGE_MS = 20_000;

/** Twenty tenants have dealt, to the first six; all are asked to confirm. Room for the letters of `room` of them. */
function dealt({ room }: { room: number }) {
  const settings: Settings = {
    ...smallTask('threshold-he', { timing: { stageTimeoutMs: STAGE_MS } }),
    secureSum: { protocol: 'threshold-he', minCohort: 18, colluders: 1 },
  };
  const plan = makePlan(settings, rosterOf(20), '0'.repeat(64), 0);
  const rules = rulesOf(plan, protocolNamed('threshold-he'));
  const tenants = rules.roster;
  const holders = tenants.slice(0, 6);
  const store = openSqliteStore(':memory:');
  const hearing = new Hearing(plan, rules, store, temporaryFolder());
  onTestFinished(() => {
    hearing.forget();
    store.close();
  });
  const sealed = new Map(
    tenants.map((from) => [from, new Map(holders.map((to) => [to, randomBytes(LETTER)]))] as const),
  );
  for (const [from, letters] of sealed)
    hearing.hear(
      { epoch: 1, round: 0, stage: 'deal', attempt: 1 },
      { from, open: new Uint8Array(0), sealed: letters, signature: randomBytes(64) },
    );

  const sent: { tenant: TenantId; message: Extract<Unsent, { type: 'ask' }>; left: (() => void) | undefined }[] = [];
  let [now, rooms] = [1_000, 0];
  const connected = new Set(tenants);
  const world = {
    store,
    present: () => connected,
    send: (tenant, message, left) => {
      if (message.type === 'ask') sent.push({ tenant, message, left });
    },
  } satisfies Partial<World> as unknown as World;
  const telling = new Telling(plan, rules, hearing, new Uploads(store, taskId(plan)), world);
  const comeBack = (tenant: TenantId): void => {
    telling.forget(tenant);
    telling.hasCaughtUp(tenant);
  };
  for (const tenant of tenants) comeBack(tenant);
  const mostLetters = (room + 0.5) * LETTER * tenants.length;
  const asking = new Asking({ hearing, telling, clock: () => now, rules, mostLetters }, () => {
    rooms += 1;
  });

  const head = { size: 1, hash: EMPTY_LEDGER.hash };
  const stage = (index: number): RoundFact[] => [
    { type: 'asked', stage: index, attempt: 1, asked: tenants, at: 0 },
    ...tenants.map((tenant) => ({ type: 'said', tenant, hash: tenant }) as const),
    { type: 'closed' },
  ];
  const confirm = { type: 'asked', stage: 2, attempt: 1, asked: tenants, at: 0 } as const;
  const facts: TaskFact[] = [
    { type: 'proposed', at: 0, model: '0'.repeat(64), entry: 0 },
    { type: 'witnessed' },
    ...tenants.map((tenant) => ({ type: 'accepted', tenant }) as const),
    { type: 'begun' },
    { type: 'epoch-begun', epoch: 1, members: tenants, head },
    ...[...stage(0), ...stage(1), confirm].map(inRound),
  ];
  asking.begin(tenants);
  return {
    ...{ tenants, holders, others: tenants.slice(6), sealed, sent, connected, telling, asking, hearing, comeBack },
    /** who was told since the last call */
    told: async (...more: RoundFact[]): Promise<TenantId[]> => {
      const before = sent.length;
      await asking.tell(replay([...facts, ...more.map(inRound)], rules));
      return sent.slice(before).map(({ tenant }) => tenant);
    },
    later: (ms: number) => {
      now += ms;
    },
    rooms: () => rooms,
  };
}

test('a few are told at a time who are sent much, and the next when one of them has left', async () => {
  const { holders, others, sent, told, rooms } = dealt({ room: 2 });
  expect(await told()).toEqual([...holders.slice(0, 2), ...others]);
  expect(await told()).toEqual([]);
  sent[1]!.left!();
  expect(rooms()).toBe(1);
  expect(await told()).toEqual([holders[2]]);
  sent[1]!.left!(); // it has left once
  expect(await told()).toEqual([]);
  sent[0]!.left!();
  sent.at(-1)!.left!();
  expect(await told()).toEqual(holders.slice(3, 5));
  sent.at(-1)!.left!();
  expect(await told()).toEqual(holders.slice(5));
  const asked = rooms();
  for (const { left } of sent) left?.();
  expect(rooms()).toBe(asked); // nobody is left to be told
});

test('who is sent more than there is ever room for is told alone', async () => {
  const { holders, others, sent, told } = dealt({ room: 0 });
  expect(await told()).toEqual([holders[0], ...others]);
  sent[0]!.left!();
  expect(await told()).toEqual([holders[1]]);
});

test('who does not read keeps others waiting for a fortieth of the stage, and is given no more for it', async () => {
  const { holders, sent, told, later } = dealt({ room: 2 });
  await told();
  later(STAGE_MS / 40 - 1);
  expect(await told()).toEqual([]);
  later(1);
  expect(await told()).toEqual(holders.slice(2, 4));
  expect(sent.filter(({ tenant }) => tenant === holders[0])).toHaveLength(1);
  sent[0]!.left!(); // at last: those that were told since are still on their way
  expect(await told()).toEqual([]);
});

test('who goes, or comes back over another connection, keeps nobody waiting', async () => {
  const { holders, sent, told, connected, comeBack } = dealt({ room: 2 });
  await told();
  connected.delete(holders[0]!);
  expect(await told()).toEqual([holders[2]]);
  expect(await told()).toEqual([]);
  comeBack(holders[1]!);
  expect(await told()).toEqual([holders[3]]);
  for (const { left } of sent.slice(0, 2)) left?.(); // late news of connections that are over
  expect(await told()).toEqual([]);
});

test('what has left over an old connection makes no room for what is on its way over the new one', async () => {
  const { holders, sent, told, asking, comeBack } = dealt({ room: 1 });
  const [amber, blue, ...answered] = holders as [TenantId, TenantId, ...TenantId[]];
  const said = answered.map((tenant) => ({ type: 'said', tenant, hash: tenant }) as const);
  await told();
  comeBack(amber);
  asking.add(amber);
  expect(await told(...said)).toEqual([blue]);
  sent.at(-1)!.left!();
  expect(await told(...said)).toEqual([amber]);
  sent[0]!.left!();
  comeBack(blue);
  asking.add(blue);
  expect(await told(...said)).toEqual([]);
});

test('each is shown what is sealed to it and to nobody else; all who are sent nothing sealed get the very same message', async () => {
  const { holders, others, sealed, sent, told } = dealt({ room: 6 });
  await told();
  for (const { tenant, message } of sent) {
    expect(message).toMatchObject({ type: 'ask', stage: 'confirm', attempt: 1, round: 0, openers: [], have: 0 });
    const letters = message.heard.map((one) => [one.from, one.sealed && hex(one.sealed)]);
    const own = [...sealed].map(([from, all]) => {
      const letter = all.get(tenant);
      return [from, letter && hex(letter)];
    });
    expect(letters).toEqual(own);
  }
  expect(sent.filter(({ tenant }) => holders.includes(tenant))).toHaveLength(6);
  const same = new Set(sent.filter(({ tenant }) => others.includes(tenant)).map(({ message }) => message));
  expect(same.size).toBe(1);
});

test('who has answered meanwhile, or come back and not caught up, is not told; when it has caught up it is', async () => {
  const { holders, sent, told, telling, asking } = dealt({ room: 1 });
  await told();
  telling.forget(holders[1]!);
  const said = { type: 'said', tenant: holders[2]!, hash: 'c' } as const;
  sent[0]!.left!();
  expect(await told(said)).toEqual([holders[3]]);
  telling.hasCaughtUp(holders[1]!);
  asking.add(holders[1]!);
  expect(await told(said)).toEqual([]);
  sent.at(-1)!.left!();
  expect(await told(said)).toEqual([holders[4]]);
  sent.at(-1)!.left!();
  expect(await told(said)).toEqual([holders[5]]);
  sent.at(-1)!.left!();
  expect(await told(said)).toEqual([holders[1]]);
});

test('who was not told of a stage is not told of it when another one is asked, nor when all is over', async () => {
  const { holders, others, sent, told, asking } = dealt({ room: 1 });
  await told();
  asking.begin(others.slice(0, 3));
  sent[0]!.left!();
  expect(await told()).toEqual(others.slice(0, 3));
  asking.begin(holders);
  expect(await told({ type: 'abandoned', reason: 'tenant-lost' })).toEqual([]);
});

test('nothing of what was said is in memory with the frame that it came in', () => {
  const { hearing } = dealt({ room: 6 });
  const place = { epoch: 1, round: 0, stage: 'announce', attempt: 1 };
  const frame = randomBytes(1_000_000);
  const [open, signature, letter] = [frame.subarray(0, 32), frame.subarray(32, 96), frame.subarray(96)];
  hearing.hear(place, { from: 'tenant-000', open, sealed: new Map([['tenant-001', letter]]), signature });
  const said = hearing.said(place).get('tenant-000')!;
  expect(said.relayed).toEqual({ ...said.relayed, open: new Uint8Array(open), signature: new Uint8Array(signature) });
  for (const { buffer } of [said.open, said.relayed.open, said.relayed.signature])
    expect(buffer.byteLength).toBeLessThan(100_000);
  expect(Uint8Array.from(said.sealed.get('tenant-001')!)).toEqual(Uint8Array.from(letter));
});
