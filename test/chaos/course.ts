import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { enrolmentDigest, enrolmentProof, invitationHash } from '../../aggregation/enrolment.ts';
import { createIdentity, fingerprint, type Identity } from '../../aggregation/identity.ts';
import { hex } from '../../aggregation/plan.ts';
import type { TenantId } from '../../aggregation/secure-sum.ts';
import type { Settings } from '../../aggregation/settings.ts';
import type { FromClient } from '../../aggregation/wire.ts';
import type { ClientEvent } from '../../client/participant.ts';
import type { Coordinator } from '../../coordinator/coordinator.ts';
import type { Backend } from '../../models/backend.ts';
import { memoryLinks } from '../../simulation/memory-link.ts';
import { toyPolicy } from '../support-client/lying-coordinator.ts';
import { Dead, type Death, Fate, type Kill, type Moment } from './fate.ts';
import { openDisk } from './files.ts';
import { beginClient, type ClientLife } from './mortal-client.ts';
import { beginCoordinator, type CoordinatorLife } from './mortal-coordinator.ts';
import { numberedNoise } from './numbered-noise.ts';
import type { Kept } from './writes.ts';

/**
 * One whole task, from its proposal to its cosigned end, among processes that are killed and start again by themselves: real
 * participants, a real coordinator, real files; memory where the sockets are. Nobody helps, and no time passes.
 */
export interface Course {
  readonly task: string;
  readonly identity: Identity;
  readonly moments: readonly Moment[];
  readonly deaths: readonly Death[];
  /** databases as the last lives left them */
  readonly coordinatorDatabase: string;
  readonly clientDatabases: ReadonlyMap<TenantId, string>;
  /** databases as dying coordinators left them, in order */
  readonly between: readonly string[];
  /** statements that the coordinator put on its disk, or was about to */
  readonly kept: readonly Kept[];
  /** what left each client, in order */
  readonly said: readonly (FromClient & { readonly by: TenantId })[];
  readonly events: readonly (ClientEvent & { readonly tenant: TenantId })[];
  /** models that clients have kept */
  readonly models: readonly { readonly tenant: TenantId; readonly parameters: Float64Array }[];
  /** errors nobody expected */
  readonly failures: readonly unknown[];
  remove(): void;
}

export const TENANTS: readonly TenantId[] = ['ada', 'bob', 'cleo', 'dan'];

export interface CourseOptions {
  readonly settings: Settings;
  readonly kills: readonly Kill[];
  readonly backend: Backend;
  /** ms; then it is said where everybody stands */
  readonly patience?: number;
}

export async function runCourse({ settings, kills, backend, patience = 60_000 }: CourseOptions): Promise<Course> {
  const fate = new Fate(kills);
  const disk = openDisk();
  const identity = createIdentity();
  const identities = new Map(TENANTS.map((name) => [name, createIdentity()]));
  const noise = new Map(TENANTS.map((name, i) => [name, numberedNoise(i)]));
  const between: string[] = [];
  const kept: Kept[] = [];
  const said: (FromClient & { by: TenantId })[] = [];
  const events: (ClientEvent & { tenant: TenantId })[] = [];
  const models: { tenant: TenantId; parameters: Float64Array }[] = [];
  const failures: unknown[] = [];
  const clients = new Map<TenantId, ClientLife>();
  let coordinator: CoordinatorLife | undefined;
  let ended = false;

  const meet = (name: TenantId): void => {
    const client = clients.get(name);
    if (ended || coordinator?.isAlive() !== true || client?.isAlive() !== true || client.isConnected()) return;
    const [here, there] = memoryLinks();
    client.connect(here);
    coordinator.connect(there);
  };
  const startClient = (name: TenantId, database: string): void => {
    clients.set(
      name,
      beginClient({
        ...{ name, backend, fate, disk, database },
        identity: identities.get(name)!,
        policy: toyPolicy(name, identities, fingerprint(identity.publicKey)),
        noise: noise.get(name)!.supply(),
        onEvent: (event) => void events.push({ ...event, tenant: name }),
        onModel: (parameters) => void models.push({ tenant: name, parameters }),
        onSaid: (message) => void said.push({ ...message, by: name }),
        onDeath: () =>
          void setImmediate(() => {
            if (ended) return;
            startClient(name, clients.get(name)!.end());
            meet(name);
          }),
        onAlone: () => void setImmediate(() => meet(name)),
        onRefused: (why) => void failures.push(why),
      }),
    );
  };
  const startCoordinator = async (database: string): Promise<void> => {
    try {
      coordinator = await beginCoordinator({
        ...{ identity, fate, disk, database },
        onKept: (one) => void kept.push(one),
        onEvent: (event) => {
          if (event.type === 'task-failed' || event.type === 'refused-connection') failures.push(event);
        },
        onDeath(left) {
          between.push(disk.copyOf(left));
          // after the links of this life are cut
          setImmediate(() => setImmediate(() => void (ended || startCoordinator(left))));
        },
      });
    } catch (error) {
      if (!(error instanceof Dead)) failures.push(error);
      return;
    }
    for (const name of TENANTS) meet(name);
  };
  const until = async (holds: () => boolean, what: string): Promise<void> => {
    for (const end = performance.now() + patience; !holds(); await sleep(1))
      if (failures.length > 0 || performance.now() > end) {
        const state = JSON.stringify(coordinator?.coordinator.tasks()[0]?.state);
        const last = fate.moments.slice(-8).map(({ who, what }) => `${who}: ${what}`);
        const said = `the task: ${state}; last: ${last.join('; ')}`;
        throw new Error(`${what} did not happen after ${fate.deaths.length} deaths; ${said}`, { cause: failures[0] });
      }
  };
  const isOverFor = (name: TenantId, task: string): boolean => {
    const client = clients.get(name)!;
    return client.isAlive() && client.store.pinned(`over/${task}`) !== undefined;
  };
  const stated = (): number => said.filter(({ type }) => type === 'standing').length;

  let task = '';
  try {
    await startCoordinator(disk.fresh());
    for (const [name, own] of identities) enrol(coordinator!.coordinator, name, own);
    for (const name of TENANTS) startClient(name, disk.fresh());
    for (const name of TENANTS) meet(name);
    await until(() => coordinator!.coordinator.present().size === TENANTS.length && stated() >= 8, 'their meeting');
    await turn();
    fate.letLoose();
    // who proposes and hears no answer, looks, and proposes again
    while (task === '') {
      await until(() => coordinator?.isAlive() === true, 'its return');
      task = coordinator!.coordinator.tasks()[0]?.id ?? proposed(coordinator!.coordinator, settings);
    }
    const isOver = () => coordinator?.isAlive() === true && TENANTS.every((name) => isOverFor(name, task));
    for (let turns = 0; turns < 5; turns = isOver() ? turns + 1 : 0) {
      await until(isOver, 'the end of the task');
      await turn(); // who dies of that has not heard it
    }
    fate.letLoose(false);
    // and once more all meet, and say what they have spent
    const before = stated();
    for (const client of clients.values()) client.cut();
    await until(() => stated() >= before + 8, 'their last words');
    for (let turns = 0; turns < 5; turns++) await turn();
    ended = true;
    const coordinatorDatabase = coordinator!.end();
    const clientDatabases = new Map(TENANTS.map((name) => [name, clients.get(name)!.end()]));
    return {
      ...{ task, identity, coordinatorDatabase, clientDatabases, between, kept, said, events, models, failures },
      ...{ moments: fate.moments, deaths: fate.deaths, remove: disk.remove },
    };
  } catch (error) {
    ended = true;
    coordinator?.end();
    for (const client of clients.values()) client.end();
    disk.remove();
    throw error;
  }
}

function proposed(coordinator: Coordinator, settings: Settings): string {
  try {
    return coordinator.propose(settings).id;
  } catch (error) {
    if (error instanceof Dead) return '';
    throw error;
  }
}

function enrol(coordinator: Coordinator, tenant: TenantId, identity: Identity): void {
  const key = hex(identity.publicKey);
  const proof = enrolmentProof(invitationHash(coordinator.enrolment.invite(tenant)), { tenant, key });
  const signature = identity.sign(enrolmentDigest({ tenant, key, proof }));
  coordinator.enrolment.enrol({ tenant, key, proof, signature });
}
