import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { keysIn } from '../../aggregation/folder-keys.ts';
import { createIdentity, fingerprint, type Identity } from '../../aggregation/identity.ts';
import { SECURE_SUMS, type TenantId } from '../../aggregation/secure-sum.ts';
import { openClientStore } from '../../client/client-store.ts';
import { createParticipant, type Participant } from '../../client/participant.ts';
import { type Coordinator, openCoordinator } from '../../coordinator/coordinator.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import { type Backend, startBackend } from '../../models/backend.ts';
import type { Table } from '../../models/encode.ts';
import { roomForNoise, shareOf } from '../../privacy/noise.ts';
import type { NoiseSupply } from '../../privacy/noise-supply.ts';
import { secureRandom } from '../../privacy/random.ts';
import { memoryLinks } from '../../simulation/memory-link.ts';
import { enrol } from '../support/federation-on-disk.ts';
import { toyPolicy } from '../support-client/lying-coordinator.ts';
import { toySettings, toyTable } from '../support-client/toy-task.ts';
import { FUZZED } from './names.ts';

/**
 * A federation whose every store was copied whenever a task came to a new place: proposed, keys dealt, three of five heard in
 * the stage that opens, and so on. From each of these a coordinator can be started again, as after a power cut, and fuzzed
 * there; and then its tenants, to see whether they still get to the end.
 *
 *   four tasks, one for each protocol, at the same time, and one that was stopped
 */
export interface Played {
  readonly identity: Identity;
  readonly identities: ReadonlyMap<TenantId, Identity>;
  readonly backend: Backend;
  readonly scenes: readonly Scene[];
  /** Unix ms, after all of it */
  readonly endedAt: number;
}

export interface Scene {
  /** where some task had just come to */
  readonly what: string;
  /** events.db, the coordinator's key, and a store of each tenant */
  readonly folder: string;
}

/** Nobody is waited for so long while a scene is fuzzed; `finish.ts` lets time run faster. */
const timing = { stageTimeoutMs: 3_600_000, graceMs: 60_000, patienceMs: 3_600_000 };

export async function play(folder: string): Promise<Played> {
  const live = join(folder, 'live');
  mkdirSync(live, { recursive: true });
  const { identity } = keysIn(live);
  const identities = new Map(FUZZED.map((name) => [name, createIdentity()]));
  const backend = await startBackend('cpu');
  const scenes = new Map<string, Scene>();
  const store = openSqliteStore(join(live, 'events.db'));
  const coordinator: Coordinator = await openCoordinator({
    ...{ store, identity, clock: Date.now, version: 'fuzzed' },
    onEvent: (event) => {
      if (event.type !== 'task-changed') return;
      const what = whereIs(coordinator, event.task);
      if (what === undefined || scenes.has(what)) return;
      const copy = join(folder, `scene-${scenes.size}`);
      cpSync(live, copy, { recursive: true });
      scenes.set(what, { what, folder: copy });
    },
  });
  for (const [name, own] of identities) enrol(coordinator.enrolment, name, own);
  const tenants = FUZZED.map((name) => openTenant({ name, folder: live, identity, identities, backend }));
  for (const tenant of tenants) tenant.connect(coordinator);
  await coordinator.propose(toySettings({ name: 'stopped', minCohort: 4 })).stop('stopped-by-operator');
  const tasks = SECURE_SUMS.map((protocol) =>
    coordinator.propose(toySettings({ name: protocol, protocol, minCohort: 4, colluders: 1, epsilon: 1, timing })),
  );
  await untilOver(coordinator, () => tasks.every((task) => task.isOver));
  for (const tenant of tenants) tenant.close();
  coordinator.close();
  return { identity, identities, backend, scenes: [...scenes.values()], endedAt: Date.now() };
}

/** Lets time pass until it is so. @throws Error when it never is */
export async function untilOver(coordinator: Coordinator, isOver: () => boolean, timeoutMs = 60_000): Promise<void> {
  for (const end = performance.now() + timeoutMs; !isOver(); await sleep(2)) {
    if (performance.now() > end)
      throw new Error(
        `the tasks never end: ${coordinator
          .tasks()
          .map(({ state }) => JSON.stringify(state))
          .join('\n')}`,
      );
    await coordinator.tick();
  }
}

function whereIs(coordinator: Coordinator, id: string): string | undefined {
  const task = coordinator.task(id);
  if (task === undefined) return undefined; // it is only just begun
  const { plan, state } = task;
  if (state.phase !== 'running') return `${plan.settings.name}: ${state.phase}`;
  const { conversation, keyed } = state;
  const place = conversation?.phase === 'asking' ? `${conversation.stage} ${conversation.said.size === 3}` : 'between';
  return `${plan.settings.name}: ${keyed ? `round ${Math.min(state.round, 2)}` : 'keys'} ${place}`;
}

export interface FolderTenant {
  readonly participant: Participant;
  /** what broke on its side */
  readonly failures: unknown[];
  connect(coordinator: Coordinator): void;
  close(): void;
}

interface TenantWorld extends Pick<Played, 'identity' | 'identities' | 'backend'> {
  readonly name: TenantId;
  readonly folder: string;
}

/** The honest program on the store it has in this folder. Its noise is zero: so what must come out of a sum is known. */
export function openTenant({ name, folder, identity, identities, backend }: TenantWorld): FolderTenant {
  const store = openClientStore(join(folder, `${name}.db`));
  const failures: unknown[] = [];
  const participant = createParticipant({
    identity: identities.get(name)!,
    policy: toyPolicy(name, identities, fingerprint(identity.publicKey)),
    store,
    backend,
    random: secureRandom(),
    noise: silence,
    clock: Date.now,
    sleep: (ms) => sleep(ms),
    snapshot: async () => ({ table: tableOf(name), hash: 'f'.repeat(64) }),
    version: 'fuzzed',
  });
  let disconnect = (): void => {};
  return {
    participant,
    failures,
    connect(coordinator) {
      const [here, there] = memoryLinks();
      participant.take(here).catch((error: unknown) => failures.push(error));
      coordinator.connect(there);
      disconnect = here.close;
    },
    close() {
      disconnect();
      participant.forget();
      store.close();
    },
  };
}

export const tableOf = (name: TenantId): Table => toyTable(name, 30, FUZZED.indexOf(name));

/** Hides nothing. */
export const silence: NoiseSupply = {
  kind: 'secure',
  draw: async (stdDev, length) => shareOf(stdDev, roomForNoise(stdDev, length)),
  close: async () => {},
};
