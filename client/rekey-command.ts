import { CommandError, EXIT } from '../aggregation/exit.ts';
import { type FolderKeys, keysIn, protectionOf } from '../aggregation/folder-keys.ts';
import { fingerprint, type Identity } from '../aggregation/identity.ts';
import { type SecretOptions, secretFor } from '../aggregation/secret.ts';
import { type ClientStore, openClientStore } from './client-store.ts';
import { policyOf } from './command-input.ts';
import { coordinatorOf } from './coordinator-http.ts';
import { enrol } from './enrol.ts';
import { storeFile } from './folder.ts';
import { giveNotice } from './give-notice.ts';
import { dropNextKey, hasNextKey, nextKey, takeNextKey } from './next-key.ts';
import { noteKey } from './own-word.ts';
import type { Policy } from './policy.ts';
import { asTenant } from './reader.ts';

export interface RekeyOptions extends SecretOptions {
  readonly folder: string;
  /** a one-time code, where the old key was revoked or its tenant has left */
  readonly code?: string;
  readonly json?: boolean;
}

/**
 * `parley client rekey`: another key for this tenant, from now on.
 *
 *   next key on disk ──▶ old and new sign ──▶ the coordinator's receipt ──▶ the next key takes the old one's place
 *
 * Killed anywhere, or cut off from the coordinator: the same command goes on with the same next key. Budget, ledger and
 * pins stay: they are in the store, and not tied to the key. Accepted tasks name the old key: it takes no further part in them.
 */
export async function rekey(options: RekeyOptions): Promise<void> {
  const { folder } = options;
  const policy = policyOf(folder);
  const protection = protectionOf(folder);
  if (protection === 'absent')
    throw new CommandError(
      EXIT.input,
      `${folder} holds no key: \`parley tenant fingerprint --folder ${folder}\` makes one, to join with by \`parley client --code CODE\``,
    );
  const secret = await secretFor(protection, options);
  const keys = keysIn(folder, secret);
  // nobody else runs on this folder meanwhile: a client would go on with the old key
  const store = openClientStore(storeFile(folder), keys.storeKey);
  try {
    if (hasNextKey(folder) && sameKey(nextKey(folder, keys, secret), keys.identity))
      dropNextKey(folder); // all but this was done
    else await change(options, policy, keys, nextKey(folder, keys, secret), store);
  } finally {
    store.close();
  }
  const print = fingerprint(keysIn(folder, secret).identity.publicKey);
  console.log(
    options.json
      ? JSON.stringify({ tenant: policy.tenant, fingerprint: print })
      : `${policy.tenant} has another key now; the old one is refused everywhere. Its fingerprint, for the others:\n  ${print}\nUntil they have put it under "peers" (compared by voice), this tenant counts for nothing with them. Tasks that were running go on without it.`,
  );
}

async function change(
  { folder, code }: RekeyOptions,
  policy: Policy,
  { identity }: FolderKeys,
  next: Identity,
  store: ClientStore,
): Promise<void> {
  if (code === undefined) await giveNotice('re-key', { store, policy, identity, next });
  else await enrolNext(code, policy, next, store);
  leaveTasks(store);
  takeNextKey(folder);
}

/** A code works once: one that was used and not heard of is found in the roster. The old key is worth nothing any more. */
async function enrolNext(code: string, policy: Policy, next: Identity, store: ClientStore): Promise<void> {
  noteKey(store, Buffer.from(next.publicKey).toString('hex'));
  const reader = asTenant(next, policy.coordinator.fingerprint);
  const { tenants } = await coordinatorOf(policy.coordinator, reader);
  const print = fingerprint(next.publicKey);
  const isEnrolled = tenants.some((one) => one.tenant === policy.tenant && one.fingerprint === print);
  if (!isEnrolled) await enrol(next, code, policy);
}

/** Plans pin keys. What is set aside comes back when the ledger ends these tasks. */
function leaveTasks(store: ClientStore): void {
  store.commit(() => {
    for (const task of store.acceptedTasks())
      if (store.pinned(`over/${task}`) === undefined) store.pin(`declined/${task}`, 'policy');
  });
}

const sameKey = (a: Identity, b: Identity): boolean => Buffer.compare(a.publicKey, b.publicKey) === 0;
