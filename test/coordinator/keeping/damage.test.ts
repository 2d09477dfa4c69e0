import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { CommandError } from '../../../aggregation/exit.ts';
import { keysIn } from '../../../aggregation/folder-keys.ts';
import type { Identity } from '../../../aggregation/identity.ts';
import { openCoordinator } from '../../../coordinator/coordinator.ts';
import { checkFolder } from '../../../coordinator/keeping/keeping-commands.ts';
import { openSqliteStore } from '../../../coordinator/store/sqlite.ts';
import type { TaskFact } from '../../../coordinator/task.ts';
import { startBackend } from '../../../models/backend.ts';
import { enrol, startLife, tenantsFor } from '../../support/federation-on-disk.ts';
import { FIVE, smallTask } from '../../support/small-task.ts';

/*
 * Every fault of a disk, at every stage of a task: a copy of the files as a power cut at that moment leaves them is damaged, and
 * looked at. What is found is one of three: as it was, a step back to the last whole commit, or refused, and the row named.
 */
const STATES = ['proposed', 'contributing', 'opened', 'finished'] as const;
type State = (typeof STATES)[number];

const isIn: Record<State, (facts: readonly TaskFact[]) => boolean> = {
  proposed: (facts) => facts.at(-1)!.type === 'accepted',
  contributing: (facts) => count(facts, 'opened') === 1 && saidLast(facts) && facts.at(-2)!.type === 'in-round',
  opened: (facts) => count(facts, 'opened') === 2 && facts.at(-1)!.type === 'opened',
  finished: (facts) => facts.at(-1)!.type === 'finished',
};
const count = (facts: readonly TaskFact[], type: TaskFact['type']): number =>
  facts.filter((fact) => fact.type === type).length;
function saidLast(facts: readonly TaskFact[]): boolean {
  const last = facts.at(-1)!;
  return last.type === 'in-round' && last.fact.type === 'said';
}

let folder: string;
let identity: Identity;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parley-damage-'));
  identity = keysIn(join(folder, 'hub')).identity;
  const file = join(folder, 'hub', 'events.db');
  const tenants = tenantsFor(identity.publicKey, await startBackend('cpu'), FIVE);
  let task = '';
  const life = await startLife(file, identity, ({ type }, { store }) => {
    if (type !== 'task-changed' || task === '') return;
    const facts = store.facts(task);
    for (const state of STATES) if (!existsSync(join(folder, state)) && isIn[state](facts)) keep(state);
  });
  const keep = (state: State): void => cpSync(join(folder, 'hub'), join(folder, state), { recursive: true });
  for (const [name, own] of tenants.identities) enrol(life.coordinator.enrolment, name, own);
  task = life.coordinator.propose(smallTask('plain')).id;
  life.connect(tenants);
  await life.until(() => STATES.every((state) => existsSync(join(folder, state))), 60_000);
  life.crash();
  tenants.forget();
}, 100_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function copyOf(state: State): string {
  const at = mkdtempSync(join(tmpdir(), 'parley-damaged-'));
  onTestFinished(() => rmSync(at, { recursive: true }));
  cpSync(join(folder, state), at, { recursive: true });
  return at;
}

/** Changes a file that a process left open; its log is taken in first, as the next process would. */
function change(at: string, sql: string): number {
  const db = new DatabaseSync(join(at, 'events.db'));
  db.function('crc32', (value) => crc32(value as string));
  const { changes } = db.prepare(sql).run();
  db.exec('pragma wal_checkpoint(truncate)');
  db.close();
  writeFileSync(join(at, 'events.db-wal'), '');
  return Number(changes);
}

/** What a coordinator that is started there says; undefined when it goes on. */
async function started(at: string): Promise<CommandError | undefined> {
  try {
    const store = openSqliteStore(join(at, 'events.db'));
    try {
      await openCoordinator({ store, identity, clock: Date.now, version: 'test' });
      return undefined;
    } finally {
      store.close();
    }
  } catch (error) {
    expect(error).toBeInstanceOf(CommandError);
    expect(error).toMatchObject({ code: 7 });
    return error as CommandError;
  }
}

const problemsIn = async (at: string): Promise<string[]> =>
  (await checkFolder({ folder: at }, identity)).flatMap(({ problems }) => problems);

describe.each(STATES)('a store whose task was %s', (state) => {
  test('holds, as a power cut leaves it, and a coordinator goes on', async () => {
    const at = copyOf(state);
    expect(statSync(join(at, 'events.db-wal')).size).toBeGreaterThan(0);
    const before = readFileSync(join(at, 'events.db'));
    expect(await problemsIn(at)).toEqual([]);
    expect(readFileSync(join(at, 'events.db'))).toEqual(before);
    expect(await started(at)).toBeUndefined();
    expect(await problemsIn(at)).toEqual([]);
  });

  test.each([
    ['fact', `update fact set fact = replace(fact, '"at":1', '"at":2') where seq = 1`],
    ['body', "update body set body = zeroblob(length(body)) where stage = 'contribute'"],
    ['part', 'update part set bytes = zeroblob(length(bytes))'],
    ['sum', 'update sum set sum = zeroblob(length(sum)) where round = 1'],
    ['parameters', 'update parameters set bytes = substr(bytes, 2)'],
  ])('is refused when a byte of table %s has changed, and the row is named', async (table, sql) => {
    const at = copyOf(state);
    const changes = change(at, sql);
    if (changes === 0) return expect(await started(at)).toBeUndefined(); // there is none at this stage
    const error = await started(at);
    expect(error?.message).toMatch(
      new RegExp(`row .+ of table ${table} is not what was written. Restore from a backup: `),
    );
    expect((await problemsIn(at)).join()).toContain(`of table ${table} is not what was written`);
  });

  // rows that somebody wrote, or a program with a bug: the checksum is right
  test.each([
    [
      'a ledger entry',
      'update ledger set entry = replace(entry, \'"v":1\', \'"v":2\') where seq = 2',
      /ledger does not hold at entry 2/,
    ],
    ['a fact that is none', "update fact set fact = '{', crc = crc32('{') where seq = 2", /table fact|facts|JSON/],
    [
      'a missing fact',
      'delete from fact where seq = 1',
      /was never proposed|cannot follow|what it starts from is missing/,
    ],
    [
      'a sum',
      'update sum set sum = zeroblob(length(sum)), crc = crc32(zeroblob(length(sum)))',
      /do(es)? not give the model/,
    ],
    ['a missing sum', 'delete from sum where round = 1', /do(es)? not give the model|are missing/],
    ['missing parameters', 'delete from parameters', /parameters/],
    ['a plan', "update task set plan = replace(plan, 'small', 'other')", /task/],
  ])('is refused when %s is not right, whatever its checksum says', async (_, sql, message) => {
    const at = copyOf(state);
    if (change(at, sql) === 0) return expect(await started(at)).toBeUndefined();
    expect((await started(at))?.message).toMatch(message);
    expect((await problemsIn(at)).join('\n')).toMatch(message);
  });

  test.each([
    ['a tenant’s key', `update tenant set key = '${'a'.repeat(64)}' where name = 'amber'`, 'table tenant, amber'],
    ['a tenant too many', `insert into tenant values ('ghost', '${'b'.repeat(64)}', 1)`, 'table tenant, ghost'],
    ['a cosigned note', "update note set note = replace(note, 'parley:', 'parley;')", 'note over'],
    [
      'an invitation',
      "update invitation set code_hash = 'x' where rowid = 1",
      'the invitation of amber cannot be read',
    ],
    [
      'what was said',
      "update body set body = zeroblob(length(body)), crc = crc32(zeroblob(length(body))) where stage = 'contribute'",
      'table body, what',
    ],
    [
      'a part',
      'update part set bytes = zeroblob(length(bytes)), crc = crc32(zeroblob(length(bytes)))',
      'table part, what',
    ],
  ])('does not pass the check with %s that is not right', async (_, sql, message) => {
    const at = copyOf(state);
    const isThere = change(at, sql) > 0 && (!/body|part/.test(message) || state === 'contributing');
    expect((await problemsIn(at)).some((problem) => problem.includes(message))).toBe(isThere);
  });

  test('is refused without the log that was left beside it', async () => {
    const at = copyOf(state);
    rmSync(join(at, 'events.db-wal'));
    expect((await started(at))?.message).toContain('events.db-wal is missing');
    await expect(problemsIn(at)).rejects.toThrow('events.db-wal is missing');
    cpSync(join(folder, state, 'events.db-wal'), join(at, 'events.db-wal'));
    expect(await started(at)).toBeUndefined();
  });

  test.each([
    ['cut off', (log: string) => truncateSync(log, statSync(log).size - 100)],
    ['garbled', (log: string) => garble(log, statSync(log).size - 50, 50)],
    ['garbled in the middle', (log: string) => garble(log, statSync(log).size >> 1, 50)],
  ])('goes back to the last whole commit when the log’s end is %s, and never to half of one', async (_, damage) => {
    const at = copyOf(state);
    const facts = factsIn(join(folder, state));
    damage(join(at, 'events.db-wal'));
    expect(await problemsIn(at)).toEqual([]);
    const left = factsIn(at);
    expect(left.length).toBeLessThan(facts.length);
    expect(facts.slice(0, left.length)).toEqual(left);
    expect(await started(at)).toBeUndefined();
  });

  test.each([
    ['cut off', (file: string) => truncateSync(file, statSync(file).size >> 1)],
    ['garbled', (file: string) => garble(file, 4096, statSync(file).size - 4096)],
    ['no database', (file: string) => writeFileSync(file, 'customer,churn\n'.repeat(1000))],
  ])('is refused when its file is %s', async (_, damage) => {
    const at = copyOf(state);
    change(at, 'delete from meta where 0');
    damage(join(at, 'events.db'));
    expect((await started(at))?.message).toMatch(/is damaged|not what was written|does not hold/);
  });
});

function garble(file: string, from: number, length: number): void {
  const bytes = readFileSync(file);
  for (let i = from; i < from + length; i++) bytes[i]! ^= 0x5a;
  writeFileSync(file, bytes);
}

/** Of all tasks, in order; leaves the files as they are. */
function factsIn(at: string): TaskFact[] {
  const copy = join(at, 'looked-at');
  mkdirSync(copy);
  for (const name of ['events.db', 'events.db-wal']) cpSync(join(at, name), join(copy, name));
  const store = openSqliteStore(join(copy, 'events.db'));
  const facts = store.tasks().flatMap(({ id }) => store.facts(id));
  store.close();
  rmSync(copy, { recursive: true });
  return facts;
}

test('a folder that is not there, or cannot be written, is said to be so', () => {
  expect(() => openSqliteStore(join(folder, 'none', 'events.db'))).toThrow(
    expect.objectContaining({
      code: 7,
      message: expect.stringContaining('cannot be written: let this user own its folder'),
    }),
  );
});
