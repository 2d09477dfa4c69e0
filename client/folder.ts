import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createIdentity, type Identity, readIdentity } from '../aggregation/identity.ts';

/**
 * A tenant's folder:
 *
 *   policy.json    what it allows; written by people
 *   identity.pem   its key (0600); made once
 *   tenant.db      budget, ledger, answered rounds
 *   models/        released models it took part in, and checked
 */
export const policyFile = (folder: string): string => join(folder, 'policy.json');
export const storeFile = (folder: string): string => join(folder, 'tenant.db');
export const modelsFolder = (folder: string): string => join(folder, 'models');

/** The tenant's key; made and kept the first time. */
export function identityIn(folder: string): Identity {
  const file = join(folder, 'identity.pem');
  if (existsSync(file)) return readIdentity(readFileSync(file, 'utf8'));
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const identity = createIdentity();
  writeFileSync(file, identity.exportPem(), { mode: 0o600, flag: 'wx' });
  return identity;
}
