import { describe, expect, onTestFinished, test } from 'vitest';
import { createIdentity, type Identity } from '../../aggregation/identity.ts';
import { hex, makePlan } from '../../aggregation/plan.ts';
import { cosigned, signedHead, witnessedBy } from '../../aggregation/witness.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import { openWitnessing } from '../../coordinator/witnessing.ts';
import { appendEntry, EMPTY_LEDGER, type LedgerHead, NO_TASK } from '../../privacy/ledger.ts';
import { FIVE, NOWHERE, smallTask } from '../support/small-task.ts';

const coordinator = createIdentity();
const tenants = new Map(FIVE.map((name) => [name, createIdentity()]));
const roster = FIVE.map((tenant) => ({ tenant, key: hex(tenants.get(tenant)!.publicKey) }));
const plan = makePlan(smallTask(), roster, NOWHERE, 0); // four of five

const HEADS: LedgerHead[] = [EMPTY_LEDGER];
for (let i = 0; i < 6; i++) {
  const body = { kind: 'erasure', tenant: 'amber' } as const;
  HEADS.push(appendEntry(HEADS.at(-1)!, body, { federation: 'f', task: NO_TASK, time: i }).head);
}
const noteAt = (size: number): string => signedHead(HEADS[size]!, coordinator);
const lineOf = (tenant: string, size: number, by: Identity = tenants.get(tenant)!): string =>
  cosigned(noteAt(size), tenant, by, 1e12);
const who = (tenant: string) => roster.find((each) => each.tenant === tenant)!;

function begin() {
  const store = openSqliteStore(':memory:');
  onTestFinished(() => store.close());
  const time = { now: 1000 };
  const open = () => openWitnessing(store, coordinator.publicKey, () => time.now);
  return { store, open, time, witnessing: open() };
}

describe('everybody there is asked', () => {
  test('once for each head, and again after they were gone', () => {
    const { witnessing } = begin();
    expect(witnessing.ask(3, noteAt(3), FIVE)).toEqual(FIVE);
    expect(witnessing.ask(3, noteAt(3), FIVE)).toEqual([]);
    witnessing.left('blue');
    expect(witnessing.ask(3, noteAt(3), FIVE)).toEqual(['blue']);
    for (const name of FIVE) witnessing.hear(who(name), 3, lineOf(name, 3));
    expect(witnessing.ask(4, noteAt(4), FIVE)).toEqual(FIVE);
  });
  test('about one head after the other: the next when all have answered who are still there, or had a second', () => {
    const { witnessing, time } = begin();
    witnessing.ask(3, noteAt(3), FIVE);
    for (const name of FIVE.slice(0, 3)) witnessing.hear(who(name), 3, lineOf(name, 3));
    time.now += 999;
    expect(witnessing.ask(4, noteAt(4), FIVE)).toEqual([]);
    expect(witnessing.hear(who('dun'), 3, lineOf('dun', 3))).toBe(true); // still the one that is open
    witnessing.left('ebony');
    expect(witnessing.ask(4, noteAt(4), FIVE.slice(0, 4))).toEqual(FIVE.slice(0, 4));
    time.now += 1000;
    expect(witnessing.ask(5, noteAt(5), FIVE)).toEqual(FIVE);
  });
});

describe('a plan’s entry is witnessed', () => {
  const heard = (names: readonly string[], size = 3) => {
    const begun = begin();
    begun.witnessing.ask(size, noteAt(size), FIVE);
    for (const name of names) expect(begun.witnessing.hear(who(name), size, lineOf(name, size))).toBe(true);
    return begun;
  };
  test('by the fourth of five, not the third, and the note says so', () => {
    expect(heard(FIVE.slice(0, 3)).witnessing.over(2, plan)).toBeUndefined();
    const note = heard(FIVE.slice(0, 4)).witnessing.over(2, plan)!;
    expect(witnessedBy(plan, note, coordinator.publicKey).checkpoint).toMatchObject({ size: 3 });
  });
  test('not by four lines of which two are the same tenant’s', () => {
    const { witnessing } = heard(FIVE.slice(0, 3));
    expect(witnessing.hear(who('amber'), 3, cosigned(noteAt(3), 'amber', tenants.get('amber')!, 2e12))).toBe(true);
    expect(witnessing.over(2, plan)).toBeUndefined();
  });
  test('by a note over it, not by one over the entries before', () => {
    const { witnessing } = heard(FIVE);
    expect(witnessing.over(2, plan)).toBeDefined();
    expect(witnessing.over(3, plan)).toBeUndefined();
  });
  test('by those of its roster: the same names with other keys are others', () => {
    const others = FIVE.map((tenant) => ({ tenant, key: hex(createIdentity().publicKey) }));
    expect(heard(FIVE).witnessing.over(2, makePlan(smallTask(), others, NOWHERE, 0))).toBeUndefined();
  });
  test('after a restart by what was kept, the smallest note first', () => {
    const { witnessing, open } = heard(FIVE);
    const first = witnessing.over(2, plan);
    witnessing.ask(5, noteAt(5), FIVE);
    for (const name of FIVE) witnessing.hear(who(name), 5, lineOf(name, 5));
    witnessing.keep();
    expect(open().over(2, plan)).toBe(first);
    expect(witnessing.over(2, plan)).toBe(first);
    expect(witnessedBy(plan, open().over(4, plan)!, coordinator.publicKey).checkpoint).toMatchObject({ size: 5 });
  });
  test('on disk before anyone is told', () => {
    const { witnessing, open } = heard(FIVE.slice(0, 4));
    expect(open().over(2, plan)).toBeUndefined(); // a lost line is asked for again
    expect(witnessing.over(2, plan)).toBeDefined();
    expect(open().over(2, plan)).toBeDefined();
  });
});

test('a tenant that keeps changing keys gets one line, and cannot fill the note', () => {
  const { witnessing } = begin();
  witnessing.ask(3, noteAt(3), FIVE);
  expect(witnessing.hear(who('amber'), 3, lineOf('amber', 3))).toBe(true);
  expect(witnessing.hear(who('amber'), 3, lineOf('amber', 3))).toBe(true); // again: it changes nothing
  for (let i = 0; i < 300; i++) {
    const next = createIdentity();
    expect(witnessing.hear({ tenant: 'amber', key: hex(next.publicKey) }, 3, lineOf('amber', 3, next))).toBe(false);
  }
  for (const other of FIVE.slice(1)) expect(witnessing.hear(who(other), 3, lineOf(other, 3))).toBe(true);
  expect(witnessing.over(2, plan)!.split('\n— ')).toHaveLength(2 + FIVE.length);
});

describe('a line is not taken', () => {
  test.each([
    ['over another head than is open', 'amber', 2, lineOf('amber', 2)],
    ['late, over the head before', 'amber', 4, lineOf('amber', 3)],
    ['by another tenant’s key', 'amber', 3, lineOf('amber', 3, tenants.get('blue')!)],
    ['in another tenant’s name', 'amber', 3, lineOf('blue', 3)],
    ['that is none', 'amber', 3, 'nonsense'],
    ['with a second line in it', 'amber', 3, `${lineOf('amber', 3)}\n${lineOf('blue', 3)}`],
  ] as const)('%s', (_, name, size, line) => {
    const { witnessing } = begin();
    witnessing.ask(3, noteAt(3), FIVE);
    expect(witnessing.hear(who(name), size, line)).toBe(false);
    for (const other of FIVE.slice(1)) witnessing.hear(who(other), 3, lineOf(other, 3));
    expect(witnessing.over(2, plan)).toBeDefined(); // it spoils nothing
  });
});
