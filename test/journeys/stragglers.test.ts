import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import type { SecureSumName, TenantId } from '../../aggregation/secure-sum.ts';
import type { Conductor } from '../../coordinator/conductor.ts';
import type { TaskView } from '../../coordinator/task-view.ts';
import { waitingInWords } from '../../coordinator/waiting.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import { enrol, type Tenants, tenantsFor } from '../support/federation-on-disk.ts';
import { type Server, startServer } from '../support/serving.ts';
import { FIVE, smallTask } from '../support/small-task.ts';
import { TappedTenant } from '../support/tapped-tenant.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await startBackend('cpu');
});

async function until(isTrue: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 30_000; !isTrue(); await sleep(5))
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
}

interface Scene {
  readonly server: Server;
  readonly tenants: Tenants;
  /** Lets a tenant in, with somebody on its connection who may hold back what it says. */
  join(name: TenantId): TappedTenant;
  start(protocol: SecureSumName, rounds: number): Conductor;
}

async function scene(): Promise<Scene> {
  const server = await startServer();
  const tenants = tenantsFor(server.coordinator.publicKey, backend, FIVE);
  onTestFinished(() => tenants.forget());
  for (const [name, identity] of tenants.identities) enrol(server.coordinator.enrolment, name, identity);
  return {
    server,
    tenants,
    join(name) {
      const { url, coordinator } = server;
      const tapped = new TappedTenant(url, coordinator.publicKey, name, tenants.identities.get(name)!);
      onTestFinished(() => tapped.close());
      void tenants.participants.get(name)!.take(tapped.link, undefined, tapped.agreement);
      return tapped;
    },
    start: (protocol, rounds) =>
      server.coordinator.propose(
        smallTask(protocol, { rounds, timing: { stageTimeoutMs: 60_000, stragglerMs: 2_000, patienceMs: 60_000 } }),
      ),
  };
}

const viewOf = async (server: Server, id: string): Promise<TaskView> =>
  (await (await server.get(`/tasks/${id}`)).json()) as TaskView;

/** In each sum that was opened. */
const contributions = (server: Server, { id }: Conductor): number[] =>
  [...server.coordinator.store.sums(id, 0)].map((sum) => sum.contributions);

test('a round closes at its minimum after the grace; who answers later is told so, and is in the next', async () => {
  const { server, tenants, join, start } = await scene();
  const [amber] = FIVE.map(join) as [TappedTenant];
  await until(() => server.coordinator.present().size === 5, 'their meeting');
  let late: (() => void) | undefined;
  amber.onSay = (say, _, vector) => {
    if (say.stage !== 'contribute' || say.round !== 1) return true;
    late = () => amber.say(say, vector);
    return false;
  };
  const task = start('masking', 2);

  await until(() => late !== undefined && task.waiting?.answered === 4, 'four contributions');
  const { waiting } = await viewOf(server, task.id);
  expect(waiting).toMatchObject({ round: 1, stage: 'contribute', answered: 4, asked: 5, fewest: 4, on: ['amber'] });
  expect(waitingInWords(waiting!)).toMatch(
    /^round 1: 4 of 5 contributed, closes in [012] s at the latest; not yet: amber$/,
  );
  await until(() => task.waiting?.stage !== 'contribute', 'the close');
  late?.();
  await until(() => amber.refusals.length > 0, 'that amber is told');
  expect(amber.refusals[0]).toMatch(/^(wrong-stage|wrong-round|round-over)$/);
  expect(tenants.events).toContainEqual({
    ...{ type: 'refused', tenant: 'amber', about: 'contribute' },
    reason: amber.refusals[0],
  });
  await until(() => task.isOver, 'the end');
  expect(contributions(server, task)).toEqual([4, 5]);
});

test('a tenant that connects in the middle of a round takes part from the next', async () => {
  const { server, join, start } = await scene();
  const [amber] = FIVE.slice(0, 4).map(join) as [TappedTenant];
  await until(() => server.coordinator.present().size === 4, 'their meeting');
  let pass: (() => void) | undefined;
  amber.onSay = (say, _, vector) => {
    if (say.stage !== 'contribute' || say.round !== 2) return true;
    pass = () => amber.say(say, vector);
    return false;
  };
  const task = start('threshold-he', 4);
  await until(() => pass !== undefined, 'the second round');
  join('ebony');
  await until(() => 'accepted' in task.state && task.state.accepted.includes('ebony'), 'that ebony accepts');
  expect(task.waiting).toMatchObject({ round: 2, asked: 4, on: ['amber'] });
  pass?.();
  await until(() => task.isOver, 'the end');
  expect(contributions(server, task)).toEqual([4, 4, 5, 5]);
  expect((await viewOf(server, task.id)).waiting).toBeUndefined();
});
