import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createIdentity, type Identity } from '../../aggregation/identity.ts';
import type { SecureSumName } from '../../aggregation/secure-sum.ts';
import type { Conductor } from '../../coordinator/conductor.ts';
import { inRound, type TaskFact } from '../../coordinator/task.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { auditLedger } from '../../privacy/audit.ts';
import type { LedgerEntry } from '../../privacy/ledger.ts';
import { enrol, type Life, startLife, type Tenants, tenantsFor } from '../support/federation-on-disk.ts';
import { temporaryFolder } from '../support/folder.ts';
import { FIVE, smallTask } from '../support/small-task.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await startBackend('cpu');
});

const ROUNDS = 2;

interface Story {
  readonly file: string;
  readonly identity: Identity;
  readonly tenants: Tenants;
}

function begin(): Story {
  const identity = createIdentity();
  const tenants = tenantsFor(identity.publicKey, backend, FIVE);
  onTestFinished(() => tenants.forget());
  return { file: join(temporaryFolder(), 'events.db'), identity, tenants };
}

/** What a fact is called here; that somebody was asked or spoke, with the stage. */
const nameOf = (fact: TaskFact): string => (fact.type === 'in-round' ? fact.fact.type : fact.type);

/** Runs a new task until the last fact on disk is the nth of this name; then the process is gone. */
async function runUntil(story: Story, protocol: SecureSumName, fact: string, nth: number): Promise<string> {
  let task = '';
  let crashed = false;
  const life = await startLife(story.file, story.identity, ({ type }, { store, crash }) => {
    if (type !== 'task-changed' || task === '') return;
    const facts = store.facts(task).map(nameOf);
    if (facts.at(-1) !== fact || facts.filter((name) => name === fact).length < nth) return;
    crashed = true;
    crash();
  });
  for (const [name, own] of story.tenants.identities) enrol(life.coordinator.enrolment, name, own);
  task = life.coordinator.propose(smallTask(protocol, { rounds: ROUNDS })).id;
  life.connect(story.tenants);
  await life.until(() => crashed);
  return task;
}

async function nextLife(story: Story): Promise<Life> {
  const failures: unknown[] = [];
  const life = await startLife(story.file, story.identity, (event) => {
    if (event.type === 'task-failed') failures.push(event.error);
  });
  onTestFinished(() => {
    life.crash();
    expect(failures).toEqual([]);
  });
  return life;
}

const ledgerOf = (life: Life): LedgerEntry[] =>
  life.coordinator.store.ledger(0).map((text) => JSON.parse(text) as LedgerEntry);

/** Nothing released twice, nothing forgotten, and everybody has the same model. */
function expectTheWholeStory(life: Life, conductor: Conductor, { tenants }: Story): void {
  expect(conductor.state.phase).toBe('finished');
  const entries = ledgerOf(life);
  const audit = auditLedger(entries);
  expect(audit.findings).toEqual([]);
  const charged = entries.filter(({ kind }) => kind === 'charge');
  const released = entries.flatMap((entry) => (entry.kind === 'release' ? [entry.round] : []));
  expect(new Set(released).size).toBe(released.length);
  expect(released).toHaveLength(ROUNDS);
  expect(conductor.state).toMatchObject({ charges: charged.length });
  expect(audit.tasks[0]?.charges).toBe(charged.length);
  const finished = tenants.events.filter((event) => event.type === 'finished');
  expect(new Set(finished.map(({ tenant }) => tenant))).toEqual(new Set(FIVE));
  expect(new Set(finished.map(({ parameters }) => parameters.join())).size).toBe(1);
  expect(tenants.events.filter(({ type }) => type === 'declined' || type === 'left')).toEqual([]);
}

const allTold = ({ tenants }: Story): boolean =>
  new Set(tenants.events.flatMap(({ type, tenant }) => (type === 'finished' ? [tenant] : []))).size === FIVE.length;

// asked: 1 announce, 2 deal, 3 confirm, then each round 1 ready, 2 contribute, 3 share
describe.each([
  ['when the first has accepted', 'accepted', 1],
  ['when some have accepted', 'accepted', 3],
  ['when everyone has accepted', 'begun', 1],
  ['before anyone makes keys', 'epoch-begun', 1],
  ['when keys are announced', 'asked', 1],
  ['when some keys are dealt', 'said', 8],
  ['when some have confirmed what was dealt', 'said', 12],
  ['when the keys are made and nobody was told', 'concluded', 1],
  ['when a round has begun', 'round-begun', 1],
  ['when tenants say that they are ready', 'said', 17],
  ['when the cohort is known', 'closed', 4],
  ['when contributions are asked for', 'asked', 5],
  ['when some have contributed', 'said', 23],
  ['when everyone has contributed', 'closed', 5],
  ['when the sum is charged and nobody was asked to open it', 'charged', 1],
  ['when shares are asked for', 'asked', 6],
  ['when some shares are there', 'said', 27],
  ['when all shares are there', 'closed', 6],
  ['when the first sum is open', 'opened', 1],
  ['when the second sum is charged', 'charged', 2],
  ['when the last sum is open and nobody was told', 'opened', 2],
  ['when the task is finished and nobody was told', 'finished', 1],
] as const)('a coordinator that crashes %s', (_, fact, nth) => {
  test('goes on where it was, and charges no round for the crash', async () => {
    const story = begin();
    const task = await runUntil(story, 'threshold-he', fact, nth);
    const life = await nextLife(story);
    const conductor = life.coordinator.task(task)!;
    life.connect(story.tenants);
    await life.until(() => conductor.isOver && allTold(story));
    expectTheWholeStory(life, conductor, story);
    expect(conductor.state).toMatchObject({ charges: ROUNDS });
  });
});

// asked: each round 1 keys, 2 deal, 3 contribute, 4 agree, 5 reveal; five tenants speak in each
describe.each([
  ['when keys are asked for', 'asked', 1],
  ['when some have dealt', 'said', 7],
  ['when some have contributed', 'said', 13],
  ['when the sum is charged and nobody was asked to agree', 'charged', 1],
  ['when some agree', 'said', 18],
  ['when some have revealed their shares', 'said', 23],
  ['when all shares are there', 'closed', 5],
  ['when the first sum is open', 'opened', 1],
] as const)('a coordinator of masked sums that crashes %s', (_, fact, nth) => {
  test.each(['masking', 'lattice-mask'] as const)(
    'under %s goes on where it was, and charges no round for the crash',
    async (protocol) => {
      const story = begin();
      const task = await runUntil(story, protocol, fact, nth);
      const life = await nextLife(story);
      const conductor = life.coordinator.task(task)!;
      life.connect(story.tenants);
      await life.until(() => conductor.isOver && allTold(story));
      expectTheWholeStory(life, conductor, story);
      expect(conductor.state).toMatchObject({ charges: ROUNDS });
    },
  );
});

test('a coordinator that crashes again and again gets there, and every charge is in the ledger', async () => {
  const story = begin();
  const task = await runUntil(story, 'threshold-he', 'asked', 4);
  for (let lives = 0; lives < 6; lives++) {
    let commits = 0;
    let crashed = false;
    const life = await startLife(story.file, story.identity, (event, self) => {
      if (event.type !== 'task-changed' || ++commits < 7) return;
      crashed = true;
      self.crash();
    });
    life.connect(story.tenants);
    await life.until(() => crashed || life.coordinator.task(task)!.isOver);
    life.crash();
  }
  const life = await nextLife(story);
  life.connect(story.tenants);
  const conductor = life.coordinator.task(task)!;
  await life.until(() => conductor.isOver && allTold(story));
  expectTheWholeStory(life, conductor, story);
});

test('clients that lost their keys with the crash get new ones, and the round they had answered is not opened', async () => {
  const story = begin();
  const task = await runUntil(story, 'threshold-he', 'closed', 5);
  for (const participant of story.tenants.participants.values()) participant.forget(); // their memory, not their disks
  const life = await nextLife(story);
  const conductor = life.coordinator.task(task)!;
  life.connect(story.tenants);
  await life.until(() => conductor.isOver && allTold(story));
  expectTheWholeStory(life, conductor, story);
  expect(life.coordinator.store.facts(task).filter(({ type }) => type === 'epoch-begun').length).toBeGreaterThan(1);
  const releases = ledgerOf(life).flatMap((entry) => (entry.kind === 'release' ? [entry.round] : []));
  expect(releases).not.toContain(1);
});

test('who comes back last after a crash is waited for in the stages that the others have reached meanwhile', async () => {
  const story = begin();
  const task = await runUntil(story, 'threshold-he', 'said', 19); // four of five are ready
  const life = await nextLife(story);
  const { coordinator } = life;
  const inRound = () => coordinator.store.facts(task).flatMap((fact) => (fact.type === 'in-round' ? [fact.fact] : []));
  const [late] = inRound()
    .flatMap((fact) => (fact.type === 'said' ? [fact.tenant] : []))
    .slice(-4);
  life.connect(
    story.tenants,
    FIVE.filter((name) => name !== late),
  );
  // ready, and then all but one have contributed
  const saidSince = () => inRound().flatMap((fact) => (fact.type === 'said' ? [fact.tenant] : [])).length - 19;
  await life.until(() => saidSince() === 5);
  expect(inRound().findLast((fact) => fact.type === 'asked')).toMatchObject({ asked: FIVE, patient: true });
  life.connect(story.tenants, [late!]);
  await life.until(() => coordinator.task(task)!.isOver && allTold(story));
  expectTheWholeStory(life, coordinator.task(task)!, story);
  expect(inRound().filter(({ type }) => type === 'abandoned')).toEqual([]);
  // from then on everybody is there, and nobody is waited for longer than before
  expect(inRound().findLast((fact) => fact.type === 'asked')).toMatchObject({ patient: false });
});

test('an hour of downtime uses up nobody’s patience', async () => {
  const story = begin();
  const task = await runUntil(story, 'plain', 'asked', 1);
  const life = await startLife(story.file, story.identity);
  onTestFinished(() => life.crash());
  const resumedAt = life.coordinator.store.facts(task).flatMap((fact) => (fact.type === 'resumed' ? [fact.at] : []));
  expect(resumedAt).toHaveLength(1);
  const { conversation } = life.coordinator.task(task)!.state as { conversation?: unknown };
  expect(conversation).toMatchObject({ phase: 'asking', askedAt: resumedAt[0], patient: true });
});

test('a store whose facts do not follow each other is not taken up', async () => {
  const story = begin();
  const task = await runUntil(story, 'plain', 'charged', 1);
  const { openSqliteStore } = await import('../../coordinator/store/sqlite.ts');
  const store = openSqliteStore(story.file);
  store.commit(() => store.addFact(task, inRound({ type: 'charged', sumHash: '0'.repeat(64) })));
  store.close();
  await expect(startLife(story.file, story.identity)).rejects.toThrow('event store damaged: "charged" cannot follow');
});
