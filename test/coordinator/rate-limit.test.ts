import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RateLimit } from '../../coordinator/rate-limit.ts';

const at = { now: 0 };
const clock = () => at.now;

test('a key may have its burst at once, and then so much a second', () => {
  at.now = 1_000;
  const limit = new RateLimit({ burst: 3, perSecond: 2 }, clock);
  expect([1, 2, 3, 4].map(() => limit.take('a'))).toEqual([true, true, true, false]);
  expect(limit.take('b')).toBe(true); // another's is another's
  at.now += 499;
  expect(limit.take('a')).toBe(false);
  at.now += 1;
  expect([limit.take('a'), limit.take('a')]).toEqual([true, false]);
  at.now += 3_600_000;
  expect([1, 2, 3, 4].map(() => limit.take('a'))).toEqual([true, true, true, false]); // the burst, and no hour's worth
});

test('what costs more than is left is refused whole, and takes nothing', () => {
  at.now = 0;
  const limit = new RateLimit({ burst: 10, perSecond: 1 }, clock);
  expect([limit.take('a', 11), limit.take('a', 8), limit.take('a', 3), limit.take('a', 2)]).toEqual([
    ...[false, true, false, true],
  ]);
});

test('a clock that jumps back gives nothing and takes nothing', () => {
  at.now = 1_000_000;
  const limit = new RateLimit({ burst: 2, perSecond: 1 }, clock);
  expect([limit.take('a'), limit.take('a')]).toEqual([true, true]);
  at.now = 0;
  expect(limit.take('a')).toBe(false);
  at.now = 1_000;
  expect([limit.take('a'), limit.take('a')]).toEqual([true, false]);
});

test('no key ever has more than burst and rate give it, and no more keys are remembered than may be', () => {
  const steps = fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c'), waitMs: fc.nat(900), cost: fc.nat(4) }));
  fc.assert(
    fc.property(steps, (taken) => {
      at.now = 0;
      const limit = new RateLimit({ burst: 5, perSecond: 3 }, clock, 3);
      const had: Record<string, number> = {};
      for (const { key, waitMs, cost } of taken) {
        at.now += waitMs;
        if (limit.take(key, cost)) had[key] = (had[key] ?? 0) + cost;
        expect(had[key] ?? 0).toBeLessThanOrEqual(5 + (3 * at.now) / 1000 + 1e-9);
      }
      for (let i = 0; i < 100; i++) limit.take(`address ${i}`);
      expect(limit.size).toBe(3);
    }),
  );
});
