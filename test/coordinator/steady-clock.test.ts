import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createIdentity } from '../../aggregation/identity.ts';
import { type Coordinator, openCoordinator } from '../../coordinator/coordinator.ts';
import type { CoordinatorEvent } from '../../coordinator/coordinator-event.ts';
import { startingAt, steadyClock } from '../../coordinator/steady-clock.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import type { LedgerEntry } from '../../privacy/ledger.ts';
import { enrol, enrolmentRequest } from '../support/federation-on-disk.ts';
import { temporaryFolder } from '../support/folder.ts';

/** A system's clock that people and programs set, beside one that nobody can. */
function clocks(start = 1_000_000) {
  let [wall, elapsed] = [start, 0];
  return {
    pass(ms: number) {
      wall += ms;
      elapsed += ms;
    },
    set(ms: number) {
      wall += ms;
    },
    wall: () => wall,
    elapsed: () => elapsed,
  };
}

const step = fc.oneof(
  fc.record({ pass: fc.integer({ min: 0, max: 10_000 }) }),
  fc.record({ set: fc.integer({ min: -40_000_000_000, max: 40_000_000_000 }) }),
);

test('runs at least as fast as time passes, never back, and is never behind the system’s clock', () => {
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const system = clocks();
      const clock = steadyClock(system.wall, system.elapsed);
      let before = clock();
      for (const each of steps) {
        if ('pass' in each) system.pass(each.pass);
        else system.set(each.set);
        const now = clock();
        expect(now - before).toBeGreaterThanOrEqual('pass' in each ? each.pass : 0);
        expect(now).toBeGreaterThanOrEqual(system.wall());
        before = now;
      }
    }),
  );
});

test('follows the system’s clock as long as nobody puts it back', () => {
  const system = clocks();
  const clock = steadyClock(system.wall, system.elapsed);
  for (const ms of [1, 1000, 5]) {
    system.pass(ms);
    expect(clock()).toBe(system.wall());
  }
  system.set(3_600_000);
  expect(clock()).toBe(system.wall());
});

test('says once how far the system’s clock was put back, and goes on evenly until that has passed it', () => {
  const system = clocks();
  const told: number[] = [];
  const clock = steadyClock(system.wall, system.elapsed, (ms) => told.push(ms));
  const start = clock();
  system.set(-3_600_000);
  for (let i = 1; i <= 4; i++) {
    system.pass(1_200_000);
    expect(clock()).toBe(start + i * 1_200_000);
  }
  expect(told).toEqual([3_600_000]);
  system.set(3_600_000);
  system.pass(1);
  expect(clock()).toBe(system.wall());
  system.set(-60_000);
  clock();
  expect(told).toEqual([3_600_000, 60_000]);
});

test('a clock that starts behind the ledger goes on from there', () => {
  const system = clocks(1000);
  const clock = startingAt(5000, system.wall);
  system.pass(7);
  expect(clock()).toBe(5007);
  expect(startingAt(500, system.wall)()).toBe(1007);
});

const YEAR = 365 * 24 * 60 * 60 * 1000;

test.each([
  ['an hour', 60 * 60 * 1000],
  ['a year', YEAR],
])(
  'a coordinator that starts %s behind its ledger says so; nothing comes before, and what had expired stays so',
  async (_, ms) => {
    const file = join(temporaryFolder(), 'events.db');
    const identity = createIdentity();
    const start = async (now: number): Promise<{ coordinator: Coordinator; behind: number[] }> => {
      const behind: number[] = [];
      const onEvent = (event: CoordinatorEvent): void => void (event.type === 'clock-behind' && behind.push(event.ms));
      const store = openSqliteStore(file);
      const coordinator = await openCoordinator({ store, identity, clock: () => now, version: 'test', onEvent });
      return { coordinator, behind };
    };
    const now = Date.now();
    const before = await start(now);
    const code = before.coordinator.enrolment.invite('late', ms / 2);
    before.coordinator.close();
    const later = await start(now + ms);
    enrol(later.coordinator.enrolment, 'amber', createIdentity());
    expect(later.behind).toEqual([]);
    later.coordinator.close();

    const { coordinator, behind } = await start(now);
    expect(behind).toEqual([ms]);
    expect(coordinator.clock()).toBe(now + ms);
    const request = enrolmentRequest('late', code, createIdentity());
    expect(() => coordinator.enrolment.enrol(request)).toThrow('this code has expired');
    enrol(coordinator.enrolment, 'blue', createIdentity());
    const times = coordinator.store.ledger(0).map((text) => (JSON.parse(text) as LedgerEntry).time);
    expect(times).toEqual([now + ms, now + ms]);
    coordinator.close();
  },
);
