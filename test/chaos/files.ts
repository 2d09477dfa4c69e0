import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder for databases, each life of a process in one of its own: what it finds there is what the one before had on disk. */
export interface Disk {
  readonly folder: string;
  /** A copy of a database as its files are at this moment, whoever has it open. @returns the copy's path */
  copyOf(database: string): string;
  /** A new database's path. */
  fresh(): string;
  remove(): void;
}

/** Memory where there is such a folder: what a disk holds when is said by copies here, not by how long it takes to force it. */
const SOMEWHERE = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

const folders = new Set<string>();
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

export function openDisk(): Disk {
  const folder = mkdtempSync(join(SOMEWHERE, 'parley-chaos-'));
  folders.add(folder);
  let lives = 0;
  const fresh = (): string => {
    const life = join(folder, String(lives++));
    mkdirSync(life);
    return join(life, 'store.db');
  };
  return {
    folder,
    fresh,
    copyOf(database) {
      const copy = fresh();
      // not -shm: an index that every opening makes again
      for (const suffix of ['', '-wal'])
        if (existsSync(database + suffix)) copyFileSync(database + suffix, copy + suffix);
      return copy;
    },
    remove() {
      rmSync(folder, { recursive: true, force: true });
      folders.delete(folder);
    },
  };
}
