import { expect, test } from 'vitest';
import { seeded } from './network/seeded.ts';
import { runSoak } from './soak/soak-run.ts';
import { growth } from './soak/steadiness.ts';

/** Half a minute's work; half an hour with twenty: `npm run soak`, which also says whether memory is flat. */
test('three tasks at a time come to their end under faults, and nothing is lost or counted twice', {
  timeout: 300_000,
}, async () => {
  const report = await runSoak({
    ...{ seconds: 10, tenants: 5, rounds: 4, random: seeded(4) },
    ...{ sampleEverySeconds: 1, faultEverySeconds: 2, say: () => {} },
  });
  expect(report.violations).toEqual([]);
  expect(report.tasks).toBeGreaterThanOrEqual(3);
  expect(report.finished).toBe(report.tasks);
  expect(Object.keys(report.faults).length).toBeGreaterThan(0);
  for (const samples of Object.values(report.samples)) {
    expect(samples.length).toBeGreaterThan(3);
    for (const { held, resident, handles } of samples) {
      expect(Math.min(held, handles)).toBeGreaterThan(5);
      expect(resident).toBeGreaterThan(held);
    }
  }
});

test('growth is that of the second half, by the minute, whatever the first half did', () => {
  const samples = Array.from({ length: 21 }, (_, i) => ({
    at: 10 * i,
    held: 30,
    resident: i < 10 ? 1000 - 50 * i : 300 + 2 * i + (i % 2), // a sawtooth on a slope of 2 in 10 s
    handles: 40,
  }));
  expect(growth(samples, 'resident')).toBeCloseTo(12, 0);
  expect(growth(samples, 'handles')).toBe(0);
  expect(() => growth(samples.slice(0, 1), 'resident')).toThrow('say nothing of growth');
});
