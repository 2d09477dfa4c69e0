import { describe, expect, test } from 'vitest';
import { makePlan, type Plan } from '../../../aggregation/plan.ts';
import type { Settings } from '../../../aggregation/settings.ts';
import { asReleased, type Contribute } from '../../../simulation/audit/contribute.ts';
import { replayNeighbours } from '../../../simulation/audit/replay.ts';
import { replayed } from '../../../simulation/audit/replay-random.ts';
import { churnSettings, evaluationSettings, segmentSettings } from '../../../simulation/telco.ts';
import { replayRandom } from '../../privacy/replay-random.ts';
import { rosterOf } from '../../support/small-task.ts';
import { drawingByData, unclipped } from './defects.ts';
import { backend } from './small-audit.ts';

const planned = (settings: Settings): Plan => makePlan(settings, rosterOf(5), 'f'.repeat(64), 0);
const neighbours = (plan: Plan, contribute = asReleased, seed = 'neighbours') =>
  replayNeighbours(plan, contribute, { backend, random: replayRandom(seed) });

/** 144,129 coordinates, 400 customers in a batch: the ghost path. */
const large: Settings = {
  ...churnSettings,
  work: {
    ...churnSettings.work,
    kind: 'train',
    model: { kind: 'mlp', hidden: [256, 512], seed: 1 },
  } as Settings['work'],
};

describe('one customer moves a contribution by no more than the sensitivity, and changes nothing else', () => {
  test.each([
    ['training', planned(churnSettings)],
    ['training of a large model', planned(large)],
    ['segments', planned(segmentSettings)],
    ['an evaluation', planned(evaluationSettings('0'.repeat(64), '0'.repeat(64)))],
  ])('in %s', async (_, plan) => {
    const found = await neighbours(plan);
    expect(found.map(({ one }) => one)).toContain('a customer with huge numbers');
    for (const { one, moved, sameFlow } of found) {
      expect(moved, one).toBeLessThanOrEqual(plan.derived.sensitivity);
      expect(sameFlow, one).toBe(true);
    }
    // and not because nobody was there: someone reaches most of it
    expect(Math.max(...found.map(({ moved }) => moved))).toBeGreaterThan(0.9 * plan.settings.privacy.gridSteps);
  });
});

test('without a clip the huge customer moves it further', async () => {
  const plan = planned(churnSettings);
  const huge = (await neighbours(plan, unclipped)).find(({ one }) => one.includes('huge'))!;
  expect(huge.moved).toBeGreaterThan(31 * plan.derived.sensitivity);
  expect(huge.sameFlow).toBe(true);
});

test('chance that is drawn by data shows, though the vector has not moved', async () => {
  const found = await neighbours(planned(churnSettings), drawingByData);
  expect(found.every(({ sameFlow }) => !sameFlow)).toBe(true);
});

test('after the coins both worlds are told the same words', async () => {
  const toldAfterCoins: Contribute = async (plan, { pool }, _, { random }) => {
    random.fill(new Uint32Array(pool.length));
    const told = new Uint32Array(5);
    random.fill(told);
    return Float64Array.from({ length: plan.derived.dimension }, (_, i) => told[i] ?? 0);
  };
  for (const { moved, sameFlow } of await neighbours(planned(churnSettings), toldAfterCoins)) {
    expect(moved).toBe(0);
    expect(sameFlow).toBe(true);
  }
});

describe('a replayed source', () => {
  const key = new Uint8Array(32).fill(7);
  const words = (count: number, but = {}, parts = [count]) => {
    const source = replayed(key, but);
    const said = parts.flatMap((part) => {
      const into = new Uint32Array(part);
      source.fill(into);
      return [...into];
    });
    expect(source.used).toBe(count);
    return said;
  };

  test('says the same words however they are asked for', () => {
    expect(words(50, {}, [1, 20, 0, 29])).toEqual(words(50));
    expect(new Set(words(50)).size).toBe(50);
  });

  test('leaves out one word, or says heads in its place', () => {
    const all = words(51);
    expect(words(50, { without: 20 })).toEqual(all.toSpliced(20, 1));
    expect(words(50, { without: 20 }, [20, 1, 29])).toEqual(all.toSpliced(20, 1));
    expect(words(51, { heads: 20 }, [5, 46])).toEqual(all.with(20, 0));
  });
});
