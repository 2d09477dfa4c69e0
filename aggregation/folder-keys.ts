import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import canonicalize from 'canonicalize';
import { decryptAtRest, encryptAtRest, protectedBy, protectionIn, type Secret } from './at-rest.ts';
import { CommandError, EXIT } from './exit.ts';
import { createIdentity, type Identity, readIdentity } from './identity.ts';
import { replaceFile } from './replace-file.ts';

/**
 * The keys of a folder, a client's or a coordinator's, in one file, `identity.pem` (0600):
 *
 *   plain        the identity, PKCS #8 PEM; who can read the file is who it says
 *   protected    identity and store key, encrypted with a passphrase or a key file (`at-rest.ts`)
 *
 * The store key encrypts what the folder's database keeps to itself. It lies beside the identity so that another passphrase
 * is one file replaced, at once; and it is no function of the identity, whose plain copies may still lie in backups.
 */
export interface FolderKeys {
  readonly identity: Identity;
  /** 256 bits; undefined where the folder is not protected */
  readonly storeKey: KeyObject | undefined;
}

export type Protection = 'absent' | 'plain' | Secret['kind'];

export const identityFile = (folder: string): string => join(folder, 'identity.pem');

/** @throws CommandError when there is a file, and it is neither a plain nor a whole protected one */
export function protectionOf(folder: string): Protection {
  const file = identityFile(folder);
  if (!existsSync(file)) return 'absent';
  const text = readFileSync(file, 'utf8');
  return text.startsWith(PEM) ? 'plain' : protectionIn(text, file);
}

/**
 * The folder's keys; made the first time, protected when a secret is given.
 * @throws CommandError when the file is protected and this is not its secret, or is plain and a secret is given
 */
export function keysIn(folder: string, secret?: Secret): FolderKeys {
  const file = identityFile(folder);
  const protection = protectionOf(folder);
  if (protection === 'absent') return makeKeys(folder, secret);
  const text = readFileSync(file, 'utf8');
  if (protection !== 'plain') {
    if (secret === undefined) throw new CommandError(EXIT.refused, `${file} ${protectedBy(protection)}`);
    return fromText(decryptAtRest(text, secret, PURPOSE, file));
  }
  // whoever gives a secret believes that the key is protected: it must not go on as if it were
  if (secret !== undefined)
    throw new CommandError(
      EXIT.refused,
      `${file} is not protected, and a passphrase or key file was given: protect it with \`parley keys protect --folder ${folder}\`, or start without`,
    );
  return { identity: plainIdentity(text, file), storeKey: undefined };
}

/** Puts keys in the place of the folder's, at once (`replace-file.ts`): protected, or plain when no lock is given. */
export function replaceKeys(folder: string, identity: Identity, lock?: Lock): void {
  replaceFile(identityFile(folder), toText(identity, lock));
}

export interface Lock {
  readonly secret: Secret;
  readonly storeKey: KeyObject;
}

export const createStoreKey = (): KeyObject => createSecretKey(randomBytes(32));

function makeKeys(folder: string, secret: Secret | undefined): FolderKeys {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const identity = createIdentity();
  const lock = secret && { secret, storeKey: createStoreKey() };
  // 'wx': of two processes that make a key at the same time, one is told so
  writeFileSync(identityFile(folder), toText(identity, lock), { mode: 0o600, flag: 'wx', flush: true });
  return { identity, storeKey: lock?.storeKey };
}

const PEM = '-----BEGIN PRIVATE KEY-----';
const PURPOSE = 'folder keys';

function toText(identity: Identity, lock: Lock | undefined): string {
  if (lock === undefined) return identity.exportPem();
  const keys = { identity: identity.exportPem(), store: lock.storeKey.export().toString('hex') };
  return encryptAtRest(canonicalize(keys)!, lock.secret, PURPOSE);
}

/** What decrypts was written here: it needs no further check. */
function fromText(text: string): FolderKeys {
  const { identity, store } = JSON.parse(text) as { identity: string; store: string };
  return { identity: readIdentity(identity), storeKey: createSecretKey(Buffer.from(store, 'hex')) };
}

function plainIdentity(text: string, file: string): Identity {
  try {
    return readIdentity(text);
  } catch {
    // what OpenSSL says about it could hold a part of it
    throw new CommandError(
      EXIT.input,
      `${file}: not an Ed25519 key in PEM, it was cut or changed; restore it from a copy`,
    );
  }
}
