import { expect, test } from 'vitest';
import { released } from '../../aggregation/progress.ts';
import type { Settings } from '../../aggregation/settings.ts';
import { startBackend } from '../../models/backend.ts';
import { createFederation } from '../../simulation/federation.ts';
import { judgeOf } from '../../simulation/reference.ts';
import { churnSettings, splitByUnit, TELCO_UNITS, telcoTable } from '../../simulation/telco.ts';

test('three trainings of the churn task with five units come within 0.01 AUC of all rows pooled without privacy', async () => {
  const tables = splitByUnit(await telcoTable());
  expect([...tables.keys()]).toEqual(TELCO_UNITS);
  expect([...tables.values()].reduce((sum, { rows }) => sum + rows.length, 0)).toBe(7043);
  const backend = await startBackend('wasm');
  // the sums themselves are tested elsewhere; in the clear the same integers are added in less time
  const settings: Settings = {
    ...churnSettings,
    secureSum: { ...churnSettings.secureSum, protocol: 'plain' },
    timing: { ...churnSettings.timing, uploadEveryMs: 1 },
  };
  const judge = judgeOf(settings, tables, backend);
  const pooled = (await judge.trained()).rocAuc;
  expect(pooled).toBeGreaterThan(0.8);
  for (let run = 0; run < 3; run++) {
    const federation = await createFederation({ tables, schema: settings.features, backend, secureSum: ['plain'] });
    const conductor = await federation.run(settings);
    const together = await judge.judge(released(conductor.plan, conductor.progress));
    federation.close();
    expect(conductor.state.phase).toBe('finished');
    expect(together.rocAuc).toBeGreaterThan(pooled - 0.01);
    const alone = (await judge.trained('dsl-contract')).rocAuc;
    expect(together.rocAuc).toBeGreaterThan(alone); // and it was worth it
  }
});
