import { expect, test } from 'vitest';
import { Door } from '../../coordinator/door.ts';
import { ADDRESS, STRANGERS } from '../../coordinator/limits.ts';

const at = { now: 0 };
const open = (): Door => new Door(() => at.now);
const times = <T>(count: number, run: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => run(i));
const nothing = (): void => {};
const isIn = (answer: unknown): boolean => typeof answer === 'function';

test('an address has so many sockets, and one that closes makes room for one', () => {
  const door = open();
  const sockets = times(ADDRESS.open, () => door.opened('a'));
  expect(sockets.every(isIn)).toBe(true);
  expect(door.opened('a')).toBeUndefined();
  expect(isIn(door.opened('b'))).toBe(true);
  sockets[0]!();
  expect(isIn(door.opened('a'))).toBe(true);
  expect(door.opened('a')).toBeUndefined();
});

test('strangers of one address take its part of the places, and not another’s', () => {
  const door = open();
  const first = times(ADDRESS.strangers, () => door.knocked('a', nothing));
  expect(first.every(isIn)).toBe(true);
  expect(door.knocked('a', nothing)).toBe('full');
  expect(isIn(door.knocked('b', nothing))).toBe(true);
  (first[0] as () => void)();
  expect(isIn(door.knocked('a', nothing))).toBe(true);
  expect(door.knocked('a', nothing)).toBe('full');
});

test('strangers of all addresses together have so many places; who has one longest makes room for the next', () => {
  const told: string[] = [];
  const door = new Door(
    () => at.now,
    (reason) => told.push(reason),
  );
  const shownOut: number[] = [];
  const knock = (i: number) => door.knocked(`address ${i % 100}`, () => shownOut.push(i));
  const places = times(STRANGERS.most, knock);
  expect(places.every(isIn)).toBe(true);
  (places[1] as () => void)(); // has said who it is, or has gone
  expect(isIn(knock(STRANGERS.most))).toBe(true);
  expect([shownOut, told]).toEqual([[], []]);
  times(3, (i) => expect(isIn(knock(STRANGERS.most + 1 + i))).toBe(true));
  expect([shownOut, told]).toEqual([[0, 2, 3], Array(3).fill('full')]);
});

test('a place is given back once, by who leaves twice and by who was shown out before', () => {
  const door = open();
  const [first] = times(ADDRESS.strangers, () => door.knocked('a', nothing)) as (() => void)[];
  first!();
  first!();
  expect(isIn(door.knocked('a', nothing))).toBe(true);
  expect(door.knocked('a', nothing)).toBe('full');
});

test('an address may knock so often in a while, whatever becomes of it', () => {
  const door = open();
  times(ADDRESS.knocks.burst, () => {
    const answer = door.knocked('a', nothing);
    if (typeof answer === 'function') answer();
  });
  expect(door.knocked('a', nothing)).toBe('too-often');
  expect(isIn(door.knocked('b', nothing))).toBe(true);
  at.now += 1_000 / ADDRESS.knocks.perSecond;
  expect(isIn(door.knocked('a', nothing))).toBe(true);
  expect(door.knocked('a', nothing)).toBe('too-often');
});

test('whoever is turned away is counted, with the reason and without the address', () => {
  const told: string[] = [];
  const door = new Door(
    () => at.now,
    (reason) => told.push(reason),
  );
  times(ADDRESS.open + 1, () => door.opened('a'));
  times(ADDRESS.strangers + 1, () => door.knocked('b', nothing));
  times(ADDRESS.knocks.burst - ADDRESS.strangers - 1, () => {
    const answer = door.knocked('c', nothing);
    if (typeof answer === 'function') answer();
  });
  expect(told).toEqual(['sockets', 'full']);
  times(ADDRESS.knocks.burst, () => {
    const answer = door.knocked('c', nothing);
    if (typeof answer === 'function') answer();
  });
  expect(new Set(told)).toEqual(new Set(['sockets', 'full', 'too-often']));
});
