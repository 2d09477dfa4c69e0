import { setImmediate as turn } from 'node:timers/promises';
import type { Identity } from '../../aggregation/identity.ts';
import type { Link } from '../../aggregation/link.ts';
import type { TenantId } from '../../aggregation/secure-sum.ts';
import type { FromClient, FromCoordinator } from '../../aggregation/wire.ts';
import { type ClientStore, openClientStore } from '../../client/client-store.ts';
import { type ClientEvent, createParticipant, type Participant } from '../../client/participant.ts';
import type { Policy } from '../../client/policy.ts';
import type { Backend } from '../../models/backend.ts';
import type { NoiseSupply } from '../../privacy/noise-supply.ts';
import { secureRandom } from '../../privacy/random.ts';
import { toyTable } from '../support-client/toy-task.ts';
import { Dead, type Fate, type Moment } from './fate.ts';
import type { Disk } from './files.ts';
import { inWords, tapped } from './mortal-link.ts';
import { witnessed } from './witnessed-store.ts';
import { clientWrites } from './writes.ts';

/** One life of a client's process: the real participant on a real store. */
export interface ClientLife {
  readonly store: ClientStore;
  readonly isAlive: () => boolean;
  readonly isConnected: () => boolean;
  connect(link: Link): void;
  /** Its connection is lost. */
  cut(): void;
  /** Its process ends; @returns what is on its disk then */
  end(): string;
}

export interface ClientBirth {
  readonly name: TenantId;
  readonly identity: Identity;
  readonly policy: Policy;
  readonly backend: Backend;
  readonly noise: NoiseSupply;
  readonly fate: Fate;
  readonly disk: Disk;
  readonly database: string;
  readonly onEvent: (event: ClientEvent) => void;
  readonly onModel: (parameters: Float64Array) => void;
  readonly onSaid: (message: FromClient) => void;
  /** fate has struck; it comes back when whoever hears this lets it */
  readonly onDeath: () => void;
  /** its connection is gone, and it lives */
  readonly onAlone: () => void;
  /** it will not go on: what is never to happen here */
  readonly onRefused: (why: unknown) => void;
}

export function beginClient(birth: ClientBirth): ClientLife {
  const { name, fate, disk, database, policy, identity, backend, noise } = birth;
  let alive = true;
  let left = '';
  let link: Link | undefined;
  const die = (): void => {
    if (!alive) return;
    alive = false;
    left = disk.copyOf(database);
    const last = link;
    setImmediate(() => last?.close()); // what had left before is still on its way
    birth.onDeath();
  };
  const strike = (moment: Moment | undefined, side: 'before' | 'after'): boolean => {
    const isHit = alive && fate.strikes(moment, side) !== undefined;
    if (isHit) die();
    return isHit;
  };
  const check = (): void => {
    if (!alive) throw new Dead();
  };
  const inner = openClientStore(database);
  const store = witnessed(inner, clientWrites, {
    check,
    around({ run }) {
      let moment: Moment | undefined;
      const result = run((what) => {
        if (what === '') return;
        moment = fate.begins(name, `write ${what}`);
        if (strike(moment, 'before')) throw new Dead();
      });
      if (strike(moment, 'after')) throw new Dead();
      return result;
    },
  });
  const participant: Participant = createParticipant({
    ...{ identity, policy, store, backend, noise, random: secureRandom(), clock: Date.now, version: 'chaos' },
    sleep: async () => {},
    async keep({ parameters }) {
      const moment = fate.begins(name, 'keep its model');
      if (strike(moment, 'before')) throw new Dead();
      for (let turns = 0; turns < 3; turns++) await turn(); // a file takes its time
      check();
      birth.onModel(parameters);
      if (strike(moment, 'after')) throw new Dead();
    },
    snapshot: async () => ({ table: toyTable(name), hash: 'f'.repeat(64) }),
    onEvent: (event) => {
      if (alive) birth.onEvent(event);
    },
  });
  const tap = {
    isAlive: () => alive,
    received(message: FromCoordinator, pass: () => void): void {
      const moment = fate.begins(name, `receive ${inWords(message)}`);
      if (strike(moment, 'before')) return;
      pass();
      void participant.idle().then(() => strike(moment, 'after'));
    },
    sent(message: FromClient, pass: () => void): void {
      const moment = fate.begins(name, `send ${inWords(message)}`);
      if (strike(moment, 'before')) throw new Dead();
      birth.onSaid(message);
      pass();
      if (strike(moment, 'after')) throw new Dead();
    },
  };
  return {
    store: inner,
    isAlive: () => alive,
    isConnected: () => link !== undefined,
    connect(to) {
      link = to;
      participant.take(tapped(to, tap)).then(
        (refused) => {
          link = undefined;
          if (!alive) return;
          if (refused === undefined) birth.onAlone();
          else birth.onRefused(refused);
        },
        (error: unknown) => {
          if (alive) birth.onRefused(error);
        },
      );
    },
    cut: () => link?.close(),
    end() {
      alive = false;
      if (left === '') left = disk.copyOf(database);
      participant.forget();
      inner.close();
      return left;
    },
  };
}
