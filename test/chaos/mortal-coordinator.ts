import type { Identity } from '../../aggregation/identity.ts';
import type { Link } from '../../aggregation/link.ts';
import { type Coordinator, openCoordinator } from '../../coordinator/coordinator.ts';
import type { CoordinatorEvent } from '../../coordinator/coordinator-event.ts';
import { openSqliteStore } from '../../coordinator/store/sqlite.ts';
import { Dead, type Fate, type Moment } from './fate.ts';
import type { Disk } from './files.ts';
import { untilDeath } from './mortal-link.ts';
import { witnessed } from './witnessed-store.ts';
import { coordinatorWrites, type Kept, overheard } from './writes.ts';

/** One life of the coordinator's process. */
export interface CoordinatorLife {
  readonly coordinator: Coordinator;
  readonly isAlive: () => boolean;
  connect(link: Link): void;
  /** Its process ends. @returns what is on its disk then */
  end(): string;
}

export interface CoordinatorBirth {
  readonly identity: Identity;
  readonly fate: Fate;
  readonly disk: Disk;
  readonly database: string;
  readonly onKept: (one: Kept) => void;
  readonly onEvent: (event: CoordinatorEvent) => void;
  /** fate has struck. @param left - the database as the next life finds it */
  readonly onDeath: (left: string) => void;
}

/** The time it always is: a federation that finishes has waited for no timeout. */
export const NOON: number = Date.UTC(2026, 0, 1, 12);
const TICK_MS = 2;

/** What is written between facts: apart, because it is written again after every restart. */
const ASIDE = /^(putStanding|putNote|eraseParts|eraseVector)$/;

/** @throws Dead when it does not live to see its end */
export async function beginCoordinator(birth: CoordinatorBirth): Promise<CoordinatorLife> {
  const { identity, fate, disk, database } = birth;
  let alive = true;
  let left = '';
  let ticking: NodeJS.Timeout | undefined;
  const links: Link[] = [];
  /** what a power cut leaves, while something is written that it would take back */
  let forced: string | undefined;
  const die = (isPower: boolean): void => {
    if (!alive) return;
    alive = false;
    clearInterval(ticking);
    left = isPower && forced !== undefined ? forced : disk.copyOf(database);
    setImmediate(() => {
      for (const link of links) link.close();
      inner.close();
    });
    birth.onDeath(left);
  };
  const strike = (moment: Moment | undefined, side: 'before' | 'after'): void => {
    const when = fate.strikes(moment, side);
    if (when === undefined) return;
    die(when === 'power');
    throw new Dead();
  };
  const inner = openSqliteStore(database);
  const store = witnessed(overheard(inner, birth.onKept), coordinatorWrites, {
    check() {
      if (!alive) throw new Dead();
    },
    around({ soon, run }) {
      let moment: Moment | undefined;
      if (soon) forced ??= disk.copyOf(database);
      const result = run((what) => {
        if (what !== '') moment = fate.begins(ASIDE.test(what) ? 'coordinator, aside' : 'coordinator', what);
        strike(moment, 'before');
      });
      if (!soon) forced = undefined;
      strike(moment, 'after');
      return result;
    },
  });
  const coordinator = await openCoordinator({
    ...{ store, identity, clock: () => NOON, version: 'chaos' },
    onEvent: (event) => {
      if (alive) birth.onEvent(event);
    },
  });
  if (alive)
    ticking = setInterval(
      () =>
        void coordinator.tick().catch((error: unknown) => {
          if (!(error instanceof Dead)) throw error;
        }),
      TICK_MS,
    );
  return {
    coordinator,
    isAlive: () => alive,
    connect(link) {
      links.push(link);
      coordinator.connect(untilDeath(link, () => alive));
    },
    end() {
      alive = false;
      clearInterval(ticking);
      if (left !== '') return left;
      left = disk.copyOf(database);
      inner.close();
      return left;
    },
  };
}
