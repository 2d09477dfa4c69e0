import { expect, onTestFinished, test, vi } from 'vitest';
import { createIdentity } from '../../aggregation/identity.ts';
import { openCoordinator } from '../../coordinator/coordinator.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import { enrol } from '../support/federation-on-disk.ts';
import { ScriptedTenant } from '../support/scripted-tenant.ts';
import { FIVE, smallTask } from '../support/small-task.ts';

test('the grace begins when a connection is lost, and not when the tenant was asked', async () => {
  const at = { now: Date.now() };
  const identity = createIdentity();
  const coordinator = await openCoordinator({
    ...{ store: openSqliteStore(':memory:'), identity, clock: () => at.now, version: 'test' },
  });
  onTestFinished(() => coordinator.close());
  const tenants = FIVE.map((name) => new ScriptedTenant(name));
  for (const tenant of tenants) {
    enrol(coordinator.enrolment, tenant.name, tenant.identity);
    tenant.connect(coordinator);
  }
  const timing = { graceMs: 1_000, stageTimeoutMs: 60_000 };
  const settings = smallTask('masking', { timing });
  const conductor = coordinator.propose({ ...settings, secureSum: { ...settings.secureSum, minCohort: 5 } });
  await vi.waitUntil(
    async () => {
      await coordinator.tick();
      return tenants.every(({ asks }) => asks.length > 0);
    },
    { timeout: 20_000, interval: 5 },
  );
  const abandoned = () =>
    coordinator.store.facts(conductor.id).filter((fact) => fact.type === 'in-round' && fact.fact.type === 'abandoned');

  at.now += 30_000; // long after it was asked
  for (const tenant of tenants) tenant.disconnect();
  await vi.waitUntil(() => coordinator.present().size === 0, { timeout: 20_000, interval: 5 });
  at.now += 999;
  await coordinator.tick();
  expect(abandoned()).toEqual([]);
  at.now += 2;
  await coordinator.tick();
  expect(abandoned()).toHaveLength(1);
});
