import { randomBytes } from 'node:crypto';
import {
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

/**
 * Puts a text in the place of a file's, whole or not at all: a process that is killed at any instruction leaves the old one
 * or the new one, and the next call removes what it left beside it. Mode 0600; the owner stays who it was.
 */
export function replaceFile(file: string, text: string): void {
  removeUnfinished(file);
  const next = `${file}.${randomBytes(8).toString('hex')}.new`;
  writeFileSync(next, text, { mode: 0o600, flag: 'wx', flush: true });
  if (existsSync(file)) keepOwner(file, next);
  renameSync(next, file);
  syncFolder(dirname(file));
}

/** Removes what killed replacements of this file left. */
export function removeUnfinished(file: string): void {
  const folder = dirname(file);
  const left = (name: string): boolean => name.startsWith(`${basename(file)}.`) && /\.[0-9a-f]{16}\.new$/.test(name);
  for (const name of readdirSync(folder).filter(left)) rmSync(join(folder, name));
}

/** An operator who converts a service's folder as root must not take it from the service. */
function keepOwner(of: string, on: string): void {
  const [was, is] = [statSync(of), statSync(on)];
  if (was.uid !== is.uid || was.gid !== is.gid) chownSync(on, was.uid, was.gid);
}

/** POSIX: a rename is durable when its folder is. Windows has no such call. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const handle = openSync(folder, 'r');
  fsyncSync(handle);
  closeSync(handle);
}
