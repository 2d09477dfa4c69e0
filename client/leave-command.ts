import type { SecretOptions } from '../aggregation/secret.ts';
import { openClientStore } from './client-store.ts';
import { policyOf } from './command-input.ts';
import { openedKeys, storeFile } from './folder.ts';
import { giveNotice } from './give-notice.ts';

export interface LeaveOptions extends SecretOptions {
  readonly folder: string;
  readonly json?: boolean;
}

/** `parley client leave`: out of the federation, by this tenant's own signature. What was released stays released. */
export async function leave(options: LeaveOptions): Promise<void> {
  const policy = policyOf(options.folder);
  const { identity, storeKey } = await openedKeys(options.folder, options);
  const store = openClientStore(storeFile(options.folder), storeKey);
  try {
    await giveNotice('leave', { store, policy, identity });
  } finally {
    store.close();
  }
  console.log(
    options.json
      ? JSON.stringify({ tenant: policy.tenant, left: true })
      : `${policy.tenant} has left: the ledger says so, no new task includes it, running ones go on without it or stop.
Models that were released stay released, and so does what they cost. Keep ${storeFile(options.folder)}: should
${policy.tenant} come back (the operator invites it again), its customers' budget goes on from there.`,
  );
}
