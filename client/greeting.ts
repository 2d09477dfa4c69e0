import { fingerprint } from '../aggregation/identity.ts';
import { hex } from '../aggregation/plan.ts';
import { digest } from '../aggregation/transcript.ts';
import { type FromClient, type FromCoordinator, identifyDigest, PROTOCOL } from '../aggregation/wire.ts';
import { WireRefused } from '../aggregation/wire-check.ts';
import type { ClientStore } from './client-store.ts';
import { noteKey } from './own-word.ts';
import type { ClientWorld } from './participant.ts';

/**
 * Answers a coordinator's greeting:
 *
 *   hello ─▶ has the key that the policy pins? a federation named after it? this protocol? ─▶ identify
 *
 * @returns who this tenant is, how much of the ledger it has, and the tasks it may have missed something of
 * @throws WireRefused: nothing is said to another coordinator
 */
export function identification(world: ClientWorld, hello: Hello): Extract<FromClient, { type: 'identify' }> {
  const { policy, store, identity, version } = world;
  checkGreeting(world, hello);
  noteKey(store, hex(identity.publicKey));
  return {
    type: 'identify',
    protocol: PROTOCOL,
    version,
    tenant: policy.tenant,
    ledger: store.ledgerHead().size,
    open: openTasks(store),
    signature: identity.sign(identifyDigest(hello, policy.tenant)),
  };
}

export type Hello = Extract<FromCoordinator, { type: 'hello' }>;

/** A federation is named after its coordinator's key. @param key - 32 bytes */
export const federationOf = (key: Uint8Array): string => hex(digest('parley/federation/v1', key));

function checkGreeting({ policy, version }: ClientWorld, hello: Hello): void {
  const print = fingerprint(hello.key);
  if (print !== policy.coordinator.fingerprint)
    throw new WireRefused(
      `the coordinator's key has fingerprint ${print}, the policy pins ${policy.coordinator.fingerprint}`,
    );
  if (hello.federation !== federationOf(hello.key)) throw new WireRefused('the federation is not named after its key');
  if (hello.protocol !== PROTOCOL)
    throw new WireRefused(
      `the coordinator (${hello.version}) speaks protocol ${hello.protocol}, this client (${version}) ${PROTOCOL}: install the same version`,
    );
}

/** Accepted, and not over for this tenant: the coordinator sends what is missing. */
const openTasks = (store: ClientStore): string[] =>
  store
    .acceptedTasks()
    .filter((task) => store.pinned(`over/${task}`) === undefined && store.pinned(`declined/${task}`) === undefined)
    .slice(0, 50);
