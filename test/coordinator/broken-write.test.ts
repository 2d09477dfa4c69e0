import { expect, onTestFinished, test, vi } from 'vitest';
import { CommandError, EXIT } from '../../aggregation/exit.ts';
import { createIdentity } from '../../aggregation/identity.ts';
import { openCoordinator } from '../../coordinator/coordinator.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import { enrol } from '../support/federation-on-disk.ts';
import { ScriptedTenant } from '../support/scripted-tenant.ts';
import { FIVE, smallTask } from '../support/small-task.ts';

/** A task whose first round cannot be written: what has become of it. */
async function brokenBy(error: Error) {
  const store = openSqliteStore(':memory:');
  let isBroken = false;
  const failures: unknown[] = [];
  const coordinator = await openCoordinator({
    ...{ identity: createIdentity(), clock: Date.now, version: 'test' },
    store: {
      ...store,
      addFact(task, fact) {
        if (fact.type === 'round-begun' && !isBroken) {
          isBroken = true;
          throw error;
        }
        store.addFact(task, fact);
      },
    },
    onEvent: (event) => {
      if (event.type === 'task-failed') failures.push(event.error);
    },
  });
  onTestFinished(() => coordinator.close());
  for (const tenant of FIVE.map((name) => new ScriptedTenant(name))) {
    enrol(coordinator.enrolment, tenant.name, tenant.identity);
    tenant.connect(coordinator);
  }
  const conductor = coordinator.propose(smallTask('plain'));
  await vi.waitUntil(() => failures.length > 0, { timeout: 20_000, interval: 5 });
  await coordinator.settle(); // what the failure has caused is done
  expect(failures).toEqual([error]);
  return { last: store.facts(conductor.id).at(-1), state: conductor.state };
}

test('a disk that takes no more stops the process, and not the task: it goes on from what is stored', async () => {
  const { last, state } = await brokenBy(new CommandError(EXIT.storage, 'the disk is full'));
  expect(state).toMatchObject({ phase: 'running', round: 0 });
  expect(last).not.toMatchObject({ type: 'stopped' });
});

test('whatever else goes wrong stops the task, and says so', async () => {
  const { last } = await brokenBy(new Error('a bug'));
  expect(last).toEqual({ type: 'stopped', reason: 'coordinator-error' });
});
