import { join } from 'node:path';
import { type FolderKeys, keysIn, protectionOf } from '../aggregation/folder-keys.ts';
import type { Identity } from '../aggregation/identity.ts';
import { type SecretOptions, secretFor } from '../aggregation/secret.ts';

/**
 * A tenant's folder:
 *
 *   policy.json    what it allows; written by people
 *   identity.pem   its key (0600), plain or protected; made once (`folder-keys.ts`)
 *   tenant.db      budget, ledger, answered rounds
 *   models/        released models it took part in, and checked
 */
export const policyFile = (folder: string): string => join(folder, 'policy.json');
export const storeFile = (folder: string): string => join(folder, 'tenant.db');
export const modelsFolder = (folder: string): string => join(folder, 'models');

/** The tenant's key in a folder that is not protected; made the first time. */
export const identityIn = (folder: string): Identity => keysIn(folder).identity;

/** The folder's keys, with what the options, the environment or a person at the terminal gives to open them. */
export const openedKeys = async (folder: string, options: SecretOptions): Promise<FolderKeys> =>
  keysIn(folder, await secretFor(protectionOf(folder), options));
