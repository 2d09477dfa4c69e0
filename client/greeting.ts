import { Unverified } from '../aggregation/channel.ts';
import { federationOf } from '../aggregation/federation.ts';
import { fingerprint } from '../aggregation/identity.ts';
import { hex } from '../aggregation/plan.ts';
import { type FromClient, type FromCoordinator, PROTOCOL } from '../aggregation/wire.ts';
import type { ClientStore } from './client-store.ts';
import { noteKey } from './own-word.ts';
import type { ClientWorld } from './participant.ts';

/**
 * Answers a coordinator's greeting:
 *
 *   hello ─▶ has the key that the policy pins? a federation named after it? ─▶ identify
 *
 * Whether it speaks this protocol is not asked here. A greeting may be an old one that somebody shows again, and whoever leaves
 * for good must have heard so just now: the coordinator refuses, or its welcome is looked at (`participant.ts`).
 *
 * @param exchange - this side's key of the connection
 * @returns who this tenant is, how much of the ledger it has, and the tasks it may have missed something of
 * @throws Unverified: nothing is said to another coordinator
 */
export function identification(world: ClientWorld, hello: Hello, exchange: Uint8Array): Identification {
  const { policy, store, identity, version } = world;
  checkGreeting(policy, hello);
  noteKey(store, hex(identity.publicKey));
  return {
    type: 'identify',
    protocol: PROTOCOL,
    version,
    tenant: policy.tenant,
    ledger: store.ledgerHead().size,
    open: openTasks(store),
    exchange,
  };
}

type Identification = Extract<FromClient, { type: 'identify' }>;

export type Hello = Extract<FromCoordinator, { type: 'hello' }>;

function checkGreeting({ coordinator }: ClientWorld['policy'], hello: Hello): void {
  const print = fingerprint(hello.key);
  if (print !== coordinator.fingerprint)
    throw new Unverified(`the coordinator's key has fingerprint ${print}, the policy pins ${coordinator.fingerprint}`);
  if (hello.federation !== federationOf(hello.key)) throw new Unverified('the federation is not named after its key');
}

/** Accepted, and not over for this tenant: the coordinator sends what is missing. */
const openTasks = (store: ClientStore): string[] =>
  store
    .acceptedTasks()
    .filter((task) => store.pinned(`over/${task}`) === undefined && store.pinned(`declined/${task}`) === undefined)
    .slice(0, 50);
