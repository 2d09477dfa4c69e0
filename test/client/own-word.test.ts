import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createIdentity } from '../../aggregation/identity.ts';
import { hex } from '../../aggregation/plan.ts';
import { openClientStore } from '../../client/client-store.ts';
import { checkOwnEntries, noteKey, noteLimit, noteNotice } from '../../client/own-word.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { type LedgerBody, type LedgerEntry, NO_TASK } from '../../privacy/ledger.ts';
import { chainOf } from '../privacy/ledgers.ts';
import { startLying } from '../support-client/lying-coordinator.ts';
import { toySettings } from '../support-client/toy-task.ts';

const ME = 'ada';
const [first, second, ghost] = ['1', '2', '9'].map((digit) => digit.repeat(64)) as [string, string, string];
const rosterEntry = (change: 'enrolled' | 're-keyed' | 'left' | 'revoked', key: string, tenant = ME): LedgerBody => ({
  ...{ kind: 'roster', tenant, change, key },
});
const erasure = (tenant = ME): LedgerBody => ({ kind: 'erasure', tenant });
const limit = (epsilon: number, pool = 'training', tenant = ME): LedgerBody => ({
  ...{ kind: 'budget', tenant, pool, epsilon, delta: 1e-5 },
});
const accept = (tenant = ME): LedgerBody & { task: string } => ({
  ...{ kind: 'accept', tenant, dataset: 'd'.repeat(64), signature: '0'.repeat(128), task: 'task-1' },
});
const common = { tenant: ME, key: first, nonce: 'a'.repeat(64) };

/** A tenant that enrolled with its first key and has said nothing else; reads these entries. */
function reading(key = first) {
  const store = openClientStore(':memory:');
  onTestFinished(() => store.close());
  noteKey(store, first);
  const read = (...bodies: (LedgerBody & { task?: string })[]): void =>
    checkOwnEntries(store, { tenant: ME, key }, entriesOf(bodies), false);
  const readFirst = (...bodies: (LedgerBody & { task?: string })[]): void =>
    checkOwnEntries(store, { tenant: ME, key }, entriesOf(bodies), true);
  return { store, read, readFirst };
}
const entriesOf = (bodies: (LedgerBody & { task?: string })[]): LedgerEntry[] =>
  chainOf(bodies.map((body) => ({ task: NO_TASK, ...body }))).entries;

describe('the ledger may say of a tenant', () => {
  test('that it is enrolled with its key, and what it said itself', () => {
    const { store, read } = reading();
    read(rosterEntry('enrolled', first));
    noteLimit(store, 'training', { epsilon: 4, delta: 1e-5 });
    read(limit(4));
    noteNotice(store, { kind: 'erasure', ...common });
    read(erasure());
    store.pin('declined/task-1', 'policy');
    read(accept());
  });
  test('that its key was replaced by another one of its own, or revoked before it came back', () => {
    const { store, read } = reading(second);
    noteNotice(store, { kind: 're-key', ...common, next: second });
    read(rosterEntry('re-keyed', second));
    read(rosterEntry('revoked', first), rosterEntry('enrolled', second));
    noteNotice(store, { kind: 'leave', ...common });
    read(rosterEntry('left', second), rosterEntry('enrolled', second));
  });
  test('whatever it was before its store began, but for tasks: those are spent', () => {
    const { readFirst } = reading(second);
    readFirst(
      rosterEntry('enrolled', ghost),
      erasure(),
      limit(9),
      rosterEntry('revoked', ghost),
      rosterEntry('enrolled', second),
    );
    expect(() => readFirst(accept())).toThrow('the store was lost, or is an old copy');
  });
  test('anything of others', () => {
    const { read } = reading();
    read(erasure('bob'), limit(9, 'training', 'bob'), rosterEntry('revoked', ghost, 'bob'), accept('bob'));
  });
});

describe('the ledger may not say', () => {
  const lies: readonly [string, (LedgerBody & { task?: string })[], RegExp][] = [
    ['that it erased somebody', [erasure()], /entry 0: an erasure that this tenant did not notify/],
    [
      'that it left',
      [rosterEntry('left', first), rosterEntry('enrolled', first)],
      /entry 0: this tenant has left, and it did not/,
    ],
    [
      'that it changed to a key of somebody else',
      [rosterEntry('re-keyed', ghost)],
      /entry 0: a key that was never this tenant’s/,
    ],
    [
      'that, and back',
      [rosterEntry('re-keyed', ghost), rosterEntry('re-keyed', first)],
      /entry 0: a key that was never/,
    ],
    ['that somebody else enrolled under its name', [rosterEntry('enrolled', ghost)], /entry 0: a key that was never/],
    [
      'that it is revoked, while it is connected',
      [limit(4), rosterEntry('revoked', first)],
      /entry 1: this tenant is not enrolled any more/,
    ],
    ['another limit', [limit(4), limit(40)], /entry 1: a limit that this tenant never told/],
    ['its limit of another pool', [limit(4, 'held-out')], /entry 0: a limit that this tenant never told/],
    ['that it accepted a task', [accept()], /entry 0: this tenant accepted a task that its store knows nothing of/],
  ];
  test.each(lies)('%s', (_, bodies, problem) => {
    const { store, read } = reading();
    noteLimit(store, 'training', { epsilon: 4, delta: 1e-5 });
    expect(() => read(...bodies)).toThrow(problem);
  });
  test('that it erased twice, when it notified once', () => {
    const { store, read } = reading();
    noteNotice(store, { kind: 'erasure', ...common });
    read(erasure());
    expect(() => read(erasure())).toThrow('an erasure that this tenant did not notify');
  });
  test('in a store’s first news, that its name has another key now', () => {
    expect(() => reading().readFirst(rosterEntry('enrolled', first), rosterEntry('re-keyed', ghost))).toThrow(
      'has another key there',
    );
  });
});

describe('a coordinator that writes in a tenant’s name', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await startBackend('cpu');
  });

  const own = hex(createIdentity().publicKey);
  test.each([
    ['an erasure', erasure(), 'an erasure that this tenant did not notify'],
    ['a key change', rosterEntry('re-keyed', own), 'a key that was never this tenant’s'],
    ['that it left', rosterEntry('left', own), 'this tenant has left, and it did not'],
    ['a wider limit', limit(1000), 'a limit that this tenant never told'],
  ] as const)('%s, is left by that tenant, which says nothing more', async (_, body, reason) => {
    const federation = await startLying({ backend });
    onTestFinished(() => federation.close());
    const { ledger, store } = federation.coordinator;
    await federation.over(federation.run(toySettings({ protocol: 'plain' })));
    const victim = federation.tenant(ME);
    const forged = ledger.head.size;
    store.commit(() => ledger.append(body, NO_TASK, Date.now()));
    const said = victim.said.length;
    federation.run(toySettings({ name: 'second', protocol: 'plain' }));
    await federation.until(() => victim.events.some(({ type }) => type === 'left'), 'leaving');
    expect(victim.events.find(({ type }) => type === 'left')).toMatchObject({
      reason: expect.stringContaining(reason),
    });
    expect(victim.said.slice(said).filter(({ type }) => type === 'say' || type === 'cosign')).toEqual([]);
    expect(victim.store.ledgerHead().size).toBeLessThanOrEqual(forged);
  });
});

describe('a tenant contributes to nothing before the ledger holds that it accepted', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await startBackend('cpu');
  });

  type Accepted = Extract<LedgerEntry, { kind: 'accept' }>;
  test.each([
    ['it is not there', () => undefined],
    ['another signed it', (entry: Accepted) => ({ ...entry, signature: '0'.repeat(128) })],
    ['its data is another', (entry: Accepted) => ({ ...entry, dataset: 'b'.repeat(64) })],
  ])('%s', async (_, change) => {
    const federation = await startLying({
      backend,
      world: (world, tenant) => {
        if (tenant !== ME) return world;
        const found: typeof world.store.acceptEntry = (...of) => {
          const entry = world.store.acceptEntry(...of);
          return entry?.kind === 'accept' ? change(entry) : entry;
        };
        return { ...world, store: { ...world.store, acceptEntry: found } };
      },
    });
    onTestFinished(() => federation.close());
    const task = federation.run(toySettings({ protocol: 'plain' }));
    await federation.over(task);
    const { events, said } = federation.tenant(ME);
    expect(events.find(({ type }) => type === 'declined')).toMatchObject({
      because: 'broken-promise',
      reason: 'the ledger does not hold this tenant’s acceptance of the task',
    });
    expect(said.filter(({ type }) => type === 'say')).toEqual([]);
    expect(task.state.phase).toBe('finished'); // of the three others
  });
});
