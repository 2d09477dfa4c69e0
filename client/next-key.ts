import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Secret } from '../aggregation/at-rest.ts';
import { type FolderKeys, identityFile, keysIn, replaceKeys } from '../aggregation/folder-keys.ts';
import { createIdentity, type Identity } from '../aggregation/identity.ts';
import { replaceFile } from '../aggregation/replace-file.ts';

/**
 * A folder's next key, until the coordinator knows it:
 *
 *   folder/identity.pem         the key in use
 *   folder/next/identity.pem    the one to come, protected by the same secret, with the same store key beside it
 *
 * It takes the other's place by one rename: killed at any instruction, the folder has the old key in its place and the next one
 * beside it, or the next one in its place.
 */
export const hasNextKey = (folder: string): boolean => existsSync(identityFile(nextFolder(folder)));

/** The next key; made the first time, durable when it returns. */
export function nextKey(folder: string, { storeKey }: FolderKeys, secret: Secret | undefined): Identity {
  const next = nextFolder(folder);
  if (!hasNextKey(folder)) {
    mkdirSync(next, { recursive: true, mode: 0o700 });
    const isProtected = secret !== undefined && storeKey !== undefined;
    replaceKeys(next, createIdentity(), isProtected ? { secret, storeKey } : undefined);
  }
  return keysIn(next, secret).identity;
}

/** Puts the next key in the place of the one in use. */
export function takeNextKey(folder: string): void {
  replaceFile(identityFile(folder), readFileSync(identityFile(nextFolder(folder)), 'utf8'));
  dropNextKey(folder);
}

/** The next key is in its place already, or was never told to anybody. */
export const dropNextKey = (folder: string): void => rmSync(nextFolder(folder), { recursive: true, force: true });

const nextFolder = (folder: string): string => join(folder, 'next');
