import { expect, test } from 'vitest';
import { canaryTask } from '../../../simulation/audit/canaries.ts';
import { sumsOf } from '../../../simulation/audit/canary-run.ts';
import { subjectOf } from '../../../simulation/audit/subject.ts';
import { churnSettings } from '../../../simulation/telco.ts';
import { replayRandom } from '../../privacy/replay-random.ts';
import { noiseless } from './defects.ts';
import { backend, churn } from './small-audit.ts';

const STEPS = churn.privacy.gridSteps;
const everyRound = subjectOf(
  { ...churnSettings, privacy: { ...churnSettings.privacy, samplingRate: 1, maxBatch: 2501 } },
  3,
);

test('every canary that is there moves its own coordinate by the whole sensitivity, and no other', async () => {
  const random = replayRandom('directions');
  const task = canaryTask(everyRound, 120, 'plain', random);
  const { sums, plan, contributions } = await sumsOf(task, noiseless, { backend, random });
  expect(contributions).toBe(4);
  expect(sums).toHaveLength(3);
  for (const sum of sums) expect([...sum]).toEqual([...task.present.map((there) => (there ? -STEPS : 0)), 0]);
  expect(plan.derived.sensitivity).toBe(STEPS);
});

test('in a sampled task it is in as many rounds as its coin says', async () => {
  const random = replayRandom('sampled');
  const task = canaryTask(churn, 400, 'plain', random);
  const { sums } = await sumsOf(task, noiseless, { backend, random });
  const there = task.present.filter(Boolean).length;
  const inBatch = sums.flatMap((sum) => [...sum]).filter((value) => value === -STEPS).length;
  // 10 rounds at q = 0.1 of about 200 canaries: mean and variance of a binomial, five standard deviations
  expect(Math.abs(inBatch - there)).toBeLessThan(5 * Math.sqrt(0.9 * there));
  expect(sums.flatMap((sum) => [...sum]).every((value) => value === -STEPS || value === 0)).toBe(true);
});

test('a customer of two tenants moves the sum at both', async () => {
  const random = replayRandom('copies');
  const privacy = { ...churnSettings.privacy, samplingRate: 1, maxBatch: 2501, tenantsPerCustomer: 2 };
  const task = canaryTask(subjectOf({ ...churnSettings, privacy }, 1), 101, 'plain', random);
  const [sum] = (await sumsOf(task, noiseless, { backend, random })).sums;
  expect([...sum!]).toEqual([...task.present.map((there) => (there ? -2 * STEPS : 0)), 0]);
});

test('coins are fair, and canaries are dealt out evenly', () => {
  const { present, tables, settings } = canaryTask(churn, 4000, 'plain', replayRandom('coins'));
  expect(Math.abs(present.filter(Boolean).length - 2000)).toBeLessThan(5 * Math.sqrt(1000));
  expect(tables.size).toBe(4);
  for (const { rows } of tables.values()) expect(Math.abs(rows.length / 2 - 500)).toBeLessThan(5 * Math.sqrt(250));
  expect(settings.privacy.maxBatch).toBe(settings.privacy.maxCustomers + 1);
});

test("the noise is that of the subject's own plan", async () => {
  const random = replayRandom('noise');
  const { plan } = await sumsOf(canaryTask(churn, 100, 'plain', random), noiseless, { backend, random });
  const { noiseMultiplier, shareStdDev, openings, rate, epsilon } = churn.own!.derived;
  expect(plan.derived).toMatchObject({ noiseMultiplier, shareStdDev, openings, rate, epsilon });
});
