import fc from 'fast-check';
import { expect, test } from 'vitest';
import { startingAt, steadyClock } from '../../coordinator/steady-clock.ts';

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
