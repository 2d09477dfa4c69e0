import { beforeAll, expect, test } from 'vitest';
import { SECURE_SUMS } from '../../aggregation/secure-sum.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { startLying } from '../support-client/lying-coordinator.ts';
import { toySettings } from '../support-client/toy-task.ts';

/*
 * The ledger goes on between the beginning of an epoch and that of each of its rounds, when tasks run at the same time. What
 * the keys of an epoch are bound to must be the same for all the same.
 */
let backend: Backend;
beforeAll(async () => {
  backend = await startBackend('cpu');
});

test('tasks of every protocol that run at the same time all finish', async () => {
  const federation = await startLying({ backend, tenants: ['ada', 'bob', 'cleo', 'dan', 'eve'] });
  try {
    const settings = { minCohort: 4, colluders: 1, epsilon: 1 };
    const tasks = SECURE_SUMS.map((protocol) => federation.run(toySettings({ ...settings, name: protocol, protocol })));
    await federation.until(() => tasks.every((task) => task.isOver), 'the end of all', 30_000);
    expect(tasks.map(({ state }) => state.phase)).toEqual(SECURE_SUMS.map(() => 'finished'));
  } finally {
    federation.close();
  }
});
