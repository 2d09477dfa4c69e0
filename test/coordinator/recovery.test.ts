import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createIdentity } from '../../aggregation/identity.ts';
import type { SecureSumName } from '../../aggregation/secure-sum.ts';
import type { TaskFact } from '../../coordinator/task.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { auditLedger } from '../../privacy/audit.ts';
import { startLife, type Life, type Tenants, enrol, tenantsFor } from '../support/federation-on-disk.ts';
import { temporaryFolder } from '../support/folder.ts';
import { FIVE, smallTask } from '../support/small-task.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await startBackend('cpu');
});

/** A short name of a fact, to say where the coordinator is cut off. */
const nameOf = (fact: TaskFact): string => (fact.type === 'in-round' ? fact.fact.type : fact.type);

test('trial', async () => {
  const file = join(temporaryFolder(), 'events.db');
  const identity = createIdentity();
  const tenants = tenantsFor(identity.publicKey, backend, FIVE);
  const life = await startLife(file, identity, (e) => e.type === 'task-failed' && console.log(e));
  for (const [name, own] of tenants.identities) enrol(life.coordinator.enrolment, name, own);
  life.connect(tenants);
  const c = life.coordinator.propose(smallTask('threshold-he'));
  const t = performance.now();
  await life.until(() => c.isOver);
  console.log(performance.now() - t, c.state, life.coordinator.store.facts(c.id).map(nameOf).join(' '));
  life.crash();
});
