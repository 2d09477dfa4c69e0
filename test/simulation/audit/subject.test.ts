import { expect, test } from 'vitest';
import { makePlan } from '../../../aggregation/plan.ts';
import { planEntry } from '../../../aggregation/plan-entry.ts';
import type { Settings } from '../../../aggregation/settings.ts';
import type { PlanEntry } from '../../../privacy/ledger.ts';
import { canaryTask } from '../../../simulation/audit/canaries.ts';
import { subjectInLedger, subjectOf } from '../../../simulation/audit/subject.ts';
import { churnSettings, evaluationSettings, segmentSettings } from '../../../simulation/telco.ts';
import { replayRandom } from '../../privacy/replay-random.ts';
import { rosterOf } from '../../support/small-task.ts';

const entryOf = (settings: Settings): PlanEntry => planEntry(makePlan(settings, rosterOf(5), 'f'.repeat(64), 0));
const evaluation = evaluationSettings('0'.repeat(64), '0'.repeat(64));

test.each([
  ['training', churnSettings],
  ['segments', segmentSettings],
  ['an evaluation', evaluation],
])('the settings of %s and the ledger that tells of it make the same task to attack', (_, settings) => {
  const [own, told] = [subjectOf(settings), subjectInLedger(entryOf(settings))];
  expect(told.claimed).toEqual(own.claimed);
  expect(told.cohort.minCohort).toBe(own.cohort.minCohort);
  expect(told.rounds).toBe(own.rounds);
  const noises = [own, told].map((subject) => {
    const { settings: attacked } = canaryTask(subject, 100, 'plain', replayRandom('same coins'));
    return makePlan(attacked, rosterOf(4), 'f'.repeat(64), 0).derived;
  });
  expect(noises[1]!.rate).toBe(noises[0]!.rate);
  expect(noises[1]!.noiseMultiplier / noises[0]!.noiseMultiplier).toBeCloseTo(1, 3); // calibrated to the ε that came out
});

test('fewer rounds are those of the settings, with an average that fits; an evaluation has one', () => {
  const short = subjectOf(churnSettings, 7);
  expect(short.rounds).toBe(7);
  expect(short.own!.settings.work).toMatchObject({ rounds: 7, averageLast: 7 });
  expect(subjectOf(segmentSettings, 2).own!.settings.work).toMatchObject({ rounds: 2 });
  expect(subjectOf(evaluation, 9).rounds).toBe(1);
  expect(subjectInLedger(entryOf(churnSettings), 7).rounds).toBe(7);
});

test('what claims nothing, or hides something else than single customers, is refused', () => {
  const entry = entryOf(churnSettings);
  const unprotected = { ...entry.epsilon, floor: 'infinite' as const };
  expect(() => subjectInLedger({ ...entry, epsilon: unprotected })).toThrow(/epsilon: plan [0-9a-f]{12} claims none/);
  const other = 'tenant-distributed';
  expect(() => subjectInLedger({ ...entry, trust: { ...entry.trust, mode: other } })).toThrow(
    'no attack on "tenant-distributed"',
  );
  const settings = { ...churnSettings, privacy: { ...churnSettings.privacy, mode: other } } as unknown as Settings;
  expect(() => subjectOf(settings)).toThrow('privacy.mode: there is no attack on "tenant-distributed"');
});
