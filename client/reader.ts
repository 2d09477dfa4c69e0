import { givenToken, type TokenOptions } from '../aggregation/given-token.ts';
import type { Identity } from '../aggregation/identity.ts';
import type { SecretOptions } from '../aggregation/secret.ts';
import { signRead } from '../aggregation/signed-read.ts';
import { policyOf } from './command-input.ts';
import { openedKeys } from './folder.ts';

/**
 * As whom a coordinator is read: a tenant signs each path with its key (`aggregation/signed-read.ts`), an auditor shows a token.
 *
 * @param path - path and query
 * @returns what to send as `Authorization`
 */
export type Reader = (path: string) => string;

/** @param coordinator - the fingerprint that the policy pins: to another coordinator the signature is worth nothing */
export const asTenant =
  (identity: Identity, coordinator: string): Reader =>
  (path) =>
    signRead(identity, { coordinator, path, time: Date.now() });

export interface ReaderOptions extends TokenOptions, SecretOptions {
  /** a client's; its key signs where no token is given */
  readonly folder?: string;
}

/** For a command. @returns undefined when nothing was given: a coordinator may be open to all readers */
export async function readerOf(options: ReaderOptions): Promise<Reader | undefined> {
  const token = givenToken(options);
  if (token !== undefined) return () => `Bearer ${token}`;
  const { folder } = options;
  if (folder === undefined) return undefined;
  const { coordinator } = policyOf(folder);
  const { identity } = await openedKeys(folder, options);
  return asTenant(identity, coordinator.fingerprint);
}
