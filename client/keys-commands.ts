import { existsSync } from 'node:fs';
import type { Secret } from '../aggregation/at-rest.ts';
import { CommandError, EXIT } from '../aggregation/exit.ts';
import {
  createStoreKey,
  type FolderKeys,
  identityFile,
  keysIn,
  protectionOf,
  replaceKeys,
} from '../aggregation/folder-keys.ts';
import { removeUnfinished } from '../aggregation/replace-file.ts';
import { newSecret, type SecretOptions, secretFor, writeKeyFile } from '../aggregation/secret.ts';
import { openDatabase } from './client-store.ts';
import { storeFile } from './folder.ts';
import { convertKept, openKept } from './kept.ts';

/**
 * `parley keys`: what a folder's keys are protected by. A coordinator's folder has the one file; a client's has its store too:
 *
 *   protect     identity.pem ──▶ store        a store is encrypted only with a key that is already on disk
 *   unprotect   store ──▶ identity.pem        the key goes when nothing needs it any more
 *
 * Each step happens whole or not at all. Killed between the two, the folder does not open until the command is given again.
 */
export interface KeysOptions extends SecretOptions {
  readonly folder: string;
  readonly json?: boolean;
}

/** `parley keys protect`. Given to a folder that is protected, ends what a killed one began. @throws CommandError */
export async function protectKeys(options: KeysOptions): Promise<void> {
  const { folder } = options;
  const was = present(folder);
  const secret = was === 'plain' ? await newSecret(options) : await secretFor(was, options);
  withStore(folder, (store) => {
    if (was === 'plain') {
      store.check();
      replaceKeys(folder, keysIn(folder).identity, { secret: secret!, storeKey: createStoreKey() });
    } else removeUnfinished(identityFile(folder));
    // read back from the disk: a store is encrypted with nothing else
    store.convert(keysIn(folder, secret), 'protected');
  });
  const { kind } = secret!;
  say(
    options,
    { protection: kind },
    was === 'plain'
      ? `${folder} is protected by ${A[kind]}. Without that nothing opens: keep a copy apart.\nCopies of the folder made before now open without it; delete them.`
      : `${folder} was protected by ${A[kind]} before, and is.`,
  );
}

/** `parley keys unprotect` @throws CommandError when it does not open */
export async function unprotectKeys(options: KeysOptions): Promise<void> {
  const { folder } = options;
  const was = present(folder);
  if (was !== 'plain') {
    const secret = await secretFor(was, options);
    withStore(folder, (store) => {
      const keys = keysIn(folder, secret);
      store.convert(keys, 'plain');
      replaceKeys(folder, keys.identity);
    });
  }
  say(options, { protection: 'plain' }, `${folder} is not protected: its keys are plain, for who can read the files.`);
}

/** `parley keys change-passphrase`: one file is replaced; what the store is encrypted with stays. @throws CommandError */
export async function changePassphrase(options: KeysOptions & { newKeyFile?: string }): Promise<void> {
  const { folder } = options;
  const was = present(folder);
  if (was === 'plain')
    throw new CommandError(
      EXIT.refused,
      `${folder} is not protected; \`parley keys protect --folder ${folder}\` does that`,
    );
  const secret = await secretFor(was, options);
  const { identity, storeKey } = keysIn(folder, secret);
  const next = await newSecret(
    options.newKeyFile === undefined ? {} : { keyFile: options.newKeyFile },
    undefined,
    'PARLEY_NEW_PASSPHRASE',
  );
  replaceKeys(folder, identity, { secret: next, storeKey: storeKey! });
  say(
    options,
    { protection: next.kind },
    `${folder} is protected by ${A[next.kind]}, the new one. Older copies of identity.pem open with the old one; delete them.`,
  );
}

/** `parley keys new-key-file` @throws CommandError when the file is there already */
export function newKeyFile(file: string, options: { json?: boolean }): void {
  writeKeyFile(file);
  console.log(
    options.json
      ? JSON.stringify({ keyFile: file })
      : `${file} is written. Keep a copy apart: what it protects opens with nothing else.`,
  );
}

const A = { passphrase: 'a passphrase', 'key-file': 'a key file' } as const;

function present(folder: string): 'plain' | Secret['kind'] {
  const protection = protectionOf(folder);
  if (protection !== 'absent') return protection;
  throw new CommandError(
    EXIT.input,
    `${identityFile(folder)}: no such file; --folder names the folder of a client or a coordinator that has a key`,
  );
}

interface Store {
  /** @throws CommandError when it is protected: the plain key beside it is not the one it needs */
  check(): void;
  convert(keys: FolderKeys, to: 'plain' | 'protected'): void;
}

/** Works while the folder's store, where there is one, is locked: no client runs on it meanwhile. */
function withStore(folder: string, work: (store: Store) => void): void {
  const file = storeFile(folder);
  if (!existsSync(file)) return work({ check() {}, convert() {} });
  const db = openDatabase(file);
  try {
    work({
      check: () => void openKept(db, file),
      convert: ({ storeKey }, to) => convertKept(db, file, storeKey!, to),
    });
  } finally {
    db.close();
  }
}

function say({ folder, json }: KeysOptions, result: object, sentence: string): void {
  console.log(json ? JSON.stringify({ folder, ...result }) : sentence);
}
