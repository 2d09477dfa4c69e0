import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type ClientStore, openClientStore } from '../../client/client-store.ts';
import { eraseCustomers, isPinnedData, withoutErased } from '../../client/erased.ts';
import type { Snapshot } from '../../client/rows.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { customerOfEachRow, encode, type Table } from '../../models/encode.ts';
import type { FeatureSchema } from '../../models/schema.ts';
import { startLying } from '../support-client/lying-coordinator.ts';
import { toyFeatures, toySettings, toyTable } from '../support-client/toy-task.ts';

const byColumn: FeatureSchema = { ...toyFeatures, customer: { column: 'name', maxRows: 3 } };
const table = (rows: readonly (readonly [string, string, string])[]): Table => ({
  ...{ file: 'customers.csv', columns: ['name', 'months', 'left'], rows, line: (row) => row + 2 },
});
/** As if read from a file with these cells; a file written otherwise has another hash. */
const snapshotOf = (read: Table, writing = ''): Snapshot => ({
  table: read,
  hash: createHash('sha256')
    .update(JSON.stringify(read.rows) + writing)
    .digest('hex'),
});
const customers = table([
  ['mayer', '7', 'yes'],
  ['okoro', '8', 'no'],
  ['mayer', '9', 'yes'],
  ['ruiz', '10', 'no'],
]);
const withoutMayer = table([customers.rows[1], customers.rows[3]] as never);

function newStore(): ClientStore {
  const store = openClientStore(':memory:');
  onTestFinished(() => store.close());
  return store;
}
function erase(store: ClientStore, snapshot: Snapshot, ...names: string[]): void {
  store.commit(() => eraseCustomers(store, byColumn, snapshot, names));
}
const names = (store: ClientStore, snapshot: Snapshot, schema = byColumn): (string | null)[] =>
  customerOfEachRow(schema, withoutErased(store, schema, snapshot).table);
const isPinned = (store: ClientStore, pinned: string, now: Snapshot): boolean =>
  isPinnedData(store, pinned, withoutErased(store, byColumn, now));

describe('an erased customer', () => {
  test('is in none of its rows, and all others are, with the lines they stand on', () => {
    const store = newStore();
    expect(names(store, snapshotOf(customers))).toEqual(['mayer', 'okoro', 'mayer', 'ruiz']);
    erase(store, snapshotOf(customers), 'mayer');
    const { table: kept } = withoutErased(store, byColumn, snapshotOf(customers));
    expect(kept.rows).toEqual([customers.rows[1], customers.rows[3]]);
    expect([kept.line(0), kept.line(1)]).toEqual([3, 5]);
    expect(encode(byColumn, kept).customers).toBe(2);
  });

  test('stays erased when others are, and when it comes back in another file', () => {
    const store = newStore();
    erase(store, snapshotOf(customers), 'mayer');
    erase(store, snapshotOf(customers), 'ruiz', 'ruiz');
    expect(names(store, snapshotOf(customers))).toEqual(['okoro']);
    const again = table([...customers.rows, ['mayer ', '1', 'no']] as never);
    expect(names(store, snapshotOf(again))).toEqual(['okoro']); // blanks around a name are none of it, as in encode.ts
  });

  test('leaves no trace of its name in the store, nor the same trace in two stores', () => {
    const [one, two] = [newStore(), newStore()];
    for (const store of [one, two]) erase(store, snapshotOf(customers), 'mayer');
    expect(one.pinned('erased')).not.toContain('mayer');
    const hashes = (store: ClientStore): string[] => JSON.parse(store.pinned('erased')!).hashes;
    expect(hashes(one)).toHaveLength(1);
    expect(hashes(one)).not.toEqual(hashes(two));
    expect(hashes(one)[0]).not.toBe(createHash('sha256').update('mayer').digest('hex'));
  });

  test('that is a row goes with every row of the same cells, and no other', () => {
    const store = newStore();
    const rows = table([
      ['mayer', '7', 'yes'],
      ['mayer', '7', 'no'],
      ['mayer', '7', 'yes'],
    ]);
    const [first] = customerOfEachRow(toyFeatures, rows);
    store.commit(() => eraseCustomers(store, toyFeatures, snapshotOf(rows), [first!]));
    expect(withoutErased(store, toyFeatures, snapshotOf(rows)).table.rows).toEqual([['mayer', '7', 'no']]);
  });
});

describe('the file that a task was accepted with', () => {
  const file = snapshotOf(customers);

  test('is that file as long as it is the same, before anybody is erased and after', () => {
    const store = newStore();
    expect(isPinned(store, file.hash, file)).toBe(true);
    expect(isPinned(store, file.hash, snapshotOf(withoutMayer))).toBe(false);
    erase(store, file, 'mayer');
    expect(isPinned(store, file.hash, file)).toBe(true);
  });

  test('is still that file without the rows of who was erased, however it is written', () => {
    const store = newStore();
    erase(store, file, 'mayer');
    expect(isPinned(store, file.hash, snapshotOf(withoutMayer))).toBe(true);
    expect(isPinned(store, file.hash, snapshotOf(withoutMayer, 'with quotes'))).toBe(true);
    expect(isPinned(store, file.hash, snapshotOf(customers, 'with quotes'))).toBe(true);
  });

  test('is not that file when anything else of it has changed', () => {
    const store = newStore();
    erase(store, file, 'mayer');
    const [, okoro, , ruiz] = customers.rows;
    const others: Table[] = [
      table([okoro] as never),
      table([ruiz, okoro] as never),
      table([okoro, ['ruiz', '11', 'no']] as never),
      table([okoro, ruiz, ['new', '1', 'no']] as never),
      { ...withoutMayer, columns: ['name', 'months', 'stayed'] },
    ];
    for (const other of others) expect(isPinned(store, file.hash, snapshotOf(other))).toBe(false);
    expect(isPinned(store, 'a'.repeat(64), snapshotOf(withoutMayer))).toBe(false);
  });

  test('is not another file that somebody was erased from, too', () => {
    const store = newStore();
    erase(store, file, 'mayer');
    const other = snapshotOf(table([...customers.rows, ['new', '1', 'no']] as never));
    erase(store, other, 'okoro');
    expect(isPinned(store, other.hash, other)).toBe(true);
    expect(isPinned(store, file.hash, other)).toBe(false);
  });

  test('is followed through any number of erasures, rows taken out of it or not in between', () => {
    const everybody = ['mayer', 'okoro', 'ruiz'];
    fc.assert(
      fc.property(
        fc.array(fc.record({ who: fc.constantFrom(...everybody), rowsGo: fc.boolean() }), { maxLength: 5 }),
        fc.boolean(),
        (steps, changes) => {
          const store = openClientStore(':memory:');
          let now = file;
          const gone = new Set<string>();
          for (const { who, rowsGo } of steps) {
            erase(store, now, who);
            gone.add(who);
            if (rowsGo) now = snapshotOf(table(customers.rows.filter(([name]) => !gone.has(name!)) as never));
          }
          if (changes) now = snapshotOf(table([...now.table.rows, ['new', '1', 'no']] as never));
          expect(isPinned(store, file.hash, now)).toBe(!changes);
          expect(names(store, now).filter((name) => gone.has(name!))).toEqual([]);
          store.close();
        },
      ),
    );
  });
});

describe('a tenant in a federation', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await startBackend('cpu');
  });

  /** Of one of its customers the tenant has a row that no plan can read: whether the row is read shows. */
  const UNREADABLE = ['7', 'neither'];
  const withUnreadable = (): Table => {
    const whole = toyTable('ada');
    return { ...whole, rows: [...whole.rows, UNREADABLE] };
  };

  test('reads no row of an erased customer for a new task', async () => {
    const erased = openClientStore(':memory:');
    const snapshot = { table: withUnreadable(), hash: 'f'.repeat(64) };
    const row = customerOfEachRow(toyFeatures, snapshot.table).at(-1)!;
    erased.commit(() => eraseCustomers(erased, toyFeatures, snapshot, [row]));
    for (const store of [openClientStore(':memory:'), erased]) {
      const federation = await startLying({
        backend,
        world: (world, tenant) => (tenant === 'ada' ? { ...world, store, snapshot: async () => snapshot } : world),
      });
      await federation.over(federation.run(toySettings({ protocol: 'plain' })));
      const events = federation.tenant('ada').events.map(({ type }) => type);
      federation.close();
      expect(events.includes('finished')).toBe(store === erased);
      expect(events.includes('declined')).toBe(store !== erased);
    }
  });

  test('goes on with a running task, and with tasks to come, when the rows of who was erased are out of the file', async () => {
    const whole = toyTable('ada');
    const before = { table: whole, hash: '1'.repeat(64) };
    const [row] = customerOfEachRow(toyFeatures, whole);
    const remaining = { ...whole, rows: whole.rows.filter((_, i) => customerOfEachRow(toyFeatures, whole)[i] !== row) };
    expect(remaining.rows.length).toBeLessThan(whole.rows.length);
    const federation = await startLying({
      backend,
      world: (world, tenant) => (tenant === 'ada' ? { ...world, snapshot: async () => before } : world),
    });
    onTestFinished(() => federation.close());
    const task = federation.run(toySettings({ rounds: 300 })); // keys that are gone make a new epoch
    const rounds = () => federation.tenant('ada').events.filter(({ type }) => type === 'round-opened').length;
    await federation.until(() => rounds() >= 3, 'three rounds', 20_000);
    const { store, participant, disconnect } = federation.tenant('ada');
    disconnect();
    await participant.idle();
    store.commit(() => eraseCustomers(store, toyFeatures, before, [row!]));
    const after = { table: remaining, hash: '2'.repeat(64) };
    const again = federation.tenant('ada').restart((world) => ({ ...world, snapshot: async () => after }));
    again.connect();
    const contributes = () => again.said.some((one) => one.type === 'say' && one.stage === 'contribute');
    await federation.until(contributes, 'a contribution', 20_000);
    expect(federation.tenant('ada').events.map(({ type }) => type)).not.toContain('declined');
    await task.stop('stopped-by-operator');
    await federation.over(task);
    const second = federation.run(toySettings({ name: 'second', protocol: 'plain' }));
    await federation.over(second);
    expect(again.events.map(({ type }) => type)).toContain('finished');
    // the rows may even come back, with the next copy from elsewhere
    const third = again.restart((world) => ({ ...world, snapshot: async () => before }));
    third.connect();
    await federation.over(federation.run(toySettings({ name: 'third', protocol: 'plain' })));
    expect(third.events.map(({ type }) => type)).toContain('finished');
  });
});
