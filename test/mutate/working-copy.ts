import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Mutation, mutated } from './mutation.ts';

/** A copy of this repository in which mistakes are made. */
export interface WorkingCopy {
  readonly folder: string;
  /** Makes the mistake for as long as `work` takes. @throws RangeError as `mutated` */
  with<T>(mutation: Mutation, work: () => Promise<T>): Promise<T>;
}

export interface Workshop {
  /** A new copy, all alike. */
  copy(): WorkingCopy;
  /** Removes all of them. */
  close(): void;
}

/** @param root - of this repository, its packages installed: what is there now is copied, committed or not */
export function openWorkshop(root: string): Workshop {
  const folder = mkdtempSync(join(tmpdir(), 'parley-mutate-'));
  const pristine = join(folder, '0');
  copyTree(root, pristine);
  let copies = 0;
  return {
    copy() {
      const mine = join(folder, `${++copies}`);
      cpSync(pristine, mine, { recursive: true, verbatimSymlinks: true });
      return workingCopy(mine);
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function workingCopy(folder: string): WorkingCopy {
  return {
    folder,
    async with(mutation, work) {
      const path = join(folder, mutation.file);
      const text = readFileSync(path, 'utf8');
      writeFileSync(path, mutated(mutation, text));
      try {
        return await work();
      } finally {
        writeFileSync(path, text);
      }
    },
  };
}

function copyTree(root: string, to: string): void {
  for (const file of filesOf(root)) {
    if (!statSync(join(root, file), { throwIfNoEntry: false })?.isFile()) continue; // deleted, and not committed
    mkdirSync(dirname(join(to, file)), { recursive: true });
    cpSync(join(root, file), join(to, file));
  }
  symlinkSync(join(root, 'node_modules'), join(to, 'node_modules'), 'junction');
}

/** What git knows or would take in, as paths from the root; all but what is installed or built where git does not answer. */
function filesOf(root: string): string[] {
  const git = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const { stdout, status } = spawnSync('git', git, { cwd: root, encoding: 'utf8' });
  if (status === 0) return stdout.split('\0').filter((file) => file !== '');
  return filesIn(root, '').map((file) => file.slice(1));
}

const LEFT_OUT = /^(node_modules|dist|demo-run|\..*)$/;

const filesIn = (root: string, folder: string): string[] =>
  readdirSync(join(root, folder), { withFileTypes: true })
    .filter(({ name }) => !LEFT_OUT.test(name))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      return entry.isDirectory() ? filesIn(root, path) : [path];
    });
