import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TenantId } from '../../aggregation/secure-sum.ts';
import { type Coordinator, openCoordinator } from '../../coordinator/coordinator.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import { FUZZED, HOSTILE } from './names.ts';
import type { Played, Scene } from './scenes.ts';
import { Speaker } from './speaker.ts';
import { Finding, mustHold } from './target.ts';
import { type WatchedStore, watched } from './watched-store.ts';

/**
 * A coordinator that was started on what a scene has on disk, with all its tenants connected: four that say nothing, and one
 * whose key the fuzzer has. Its clock stands but for what each message is said to take.
 */
export class CoordinatorLife {
  readonly scene: Scene;
  readonly folder: string;
  readonly coordinator: Coordinator;
  readonly store: WatchedStore;
  readonly hostile: Speaker;
  readonly honest: readonly Speaker[];
  readonly #clock: { now: number };
  readonly #failures: unknown[];
  readonly #facts = new Map<string, number>();
  #entries = 0;

  private constructor(parts: Parts) {
    this.scene = parts.scene;
    this.folder = parts.folder;
    this.coordinator = parts.coordinator;
    this.store = parts.store;
    this.#clock = parts.clock;
    this.#failures = parts.failures;
    const speakers = FUZZED.map((name) => new Speaker(name, parts.played.identities.get(name)!));
    this.honest = speakers.filter(({ name }) => name !== HOSTILE);
    this.hostile = speakers.find(({ name }) => name === HOSTILE)!;
  }

  static async open(played: Played, scene: Scene): Promise<CoordinatorLife> {
    const folder = mkdtempSync(join(scene.folder, '..', 'life-'));
    cpSync(scene.folder, folder, { recursive: true });
    const clock = { now: played.endedAt };
    const failures: unknown[] = [];
    const store = watched(openSqliteStore(join(folder, 'events.db')));
    const coordinator = await openCoordinator({
      ...{ store, identity: played.identity, clock: () => clock.now, version: 'fuzzed' },
      onEvent: (event) => {
        if (event.type === 'task-failed') failures.push(event.error);
      },
    });
    const life = new CoordinatorLife({ scene, folder, coordinator, store, clock, failures, played });
    for (const speaker of [...life.honest, life.hostile]) await life.welcome(speaker);
    await life.settled();
    life.#note();
    return life;
  }

  /** Lets a tenant in and accepts all its tasks. */
  async welcome(speaker: Speaker): Promise<void> {
    this.wait(2_000);
    speaker.connect(this.coordinator);
    speaker.introduce();
    await this.settled();
    speaker.accept();
    await this.settled();
  }

  wait(ms: number): void {
    this.#clock.now += ms;
  }

  /** Unix ms */
  get now(): number {
    return this.#clock.now;
  }

  /** When everything that was said has had its effect. @throws Finding when a task broke */
  async settled(): Promise<void> {
    // behind everything in each task's queue
    for (let turn = 0; turn < 2; turn++) await Promise.all(this.coordinator.tasks().map((task) => task.sweep()));
    this.hostile.listen();
    for (const speaker of this.honest) speaker.listen();
    const [failure] = this.#failures;
    if (failure === undefined) return;
    const { name, message, stack = '' } = failure as Error;
    throw new Finding(`a task failed: ${name}: ${message}\n${stack}`);
  }

  /**
   * Nobody was spoken for.
   * @throws Finding when something is recorded of a tenant that has said nothing
   */
  checkForgeries(): void {
    const said = this.#note();
    const forged = said.find((tenant) => tenant !== HOSTILE);
    mustHold(forged === undefined, 'something was recorded in the name of a tenant that said nothing');
  }

  /** @throws Finding when a tenant lost its connection to somebody who is not it */
  checkConnections(): void {
    const present = this.coordinator.present();
    const lost = this.honest.some(({ name, isOpen }) => !isOpen || !present.has(name));
    mustHold(!lost, 'a tenant lost its connection by what somebody else said');
  }

  /** Tenants in whose name something was recorded since this was last asked. */
  #note(): TenantId[] {
    const said: TenantId[] = [];
    for (const { id } of this.coordinator.tasks()) {
      const facts = this.store.facts(id);
      for (const fact of facts.slice(this.#facts.get(id) ?? 0)) {
        const about = fact.type === 'in-round' ? fact.fact : fact;
        if ('tenant' in about) said.push(about.tenant);
      }
      this.#facts.set(id, facts.length);
    }
    for (const text of this.store.ledger(this.#entries)) {
      this.#entries += 1;
      const entry = JSON.parse(text) as { kind: string; tenant?: TenantId };
      if (entry.kind === 'accept' && entry.tenant !== undefined) said.push(entry.tenant);
    }
    return said;
  }

  /** The process ends; the folder stays for who goes on with it. */
  end(): void {
    for (const speaker of [...this.honest, this.hostile]) speaker.disconnect();
    this.coordinator.close();
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}

interface Parts {
  readonly scene: Scene;
  readonly folder: string;
  readonly coordinator: Coordinator;
  readonly store: WatchedStore;
  readonly clock: { now: number };
  readonly failures: unknown[];
  readonly played: Played;
}
