import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

/** Runs the commands of a page as they stand there, in a folder of their own with the example tasks in it. */
export interface PageCommands {
  readonly folder: string;
  /** in place of 7400 */
  readonly port: number;
  /** @returns all that it said, when it has ended with 0 */
  run(command: string): Promise<string>;
  /** Starts one that goes on, and waits until it has said this. */
  background(command: string, until: RegExp): Promise<ChildProcess>;
  /** Ends what runs, and removes the folder. */
  close(): void;
}

/** @param asks - commands that ask the coordinator: they are told its port */
export function pageCommands(name: string, asks: RegExp): PageCommands {
  const folder = mkdtempSync(join(tmpdir(), `parley-${name}-`));
  symlinkSync(join(ROOT, 'simulation'), join(folder, 'simulation'));
  const port = 20_000 + (process.pid % 20_000);
  const running: ChildProcess[] = [];

  function start(command: string): { child: ChildProcess; said: () => string } {
    // words in single quotes stay together, as in a shell
    const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!);
    const args = words.map((word) => word.replace('7400', String(port)).replace('7401', '0'));
    const child = spawn(process.execPath, [join(ROOT, 'parley.js'), ...args], { cwd: folder });
    let out = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data: Buffer) => {
        out += data;
      });
    return { child, said: () => out };
  }

  return {
    folder,
    port,
    async run(command) {
      const { child, said } = start(asks.test(command) ? `${command} --coordinator http://127.0.0.1:${port}` : command);
      const [code] = (await once(child, 'close')) as [number];
      expect(code, `${command}\n${said()}`).toBe(0);
      return said();
    },
    async background(command, until) {
      const { child, said } = start(command);
      running.push(child);
      await new Promise<void>((resolve, reject) => {
        const look = (): void => (until.test(said()) ? resolve() : undefined);
        child.stdout!.on('data', look);
        child.stderr!.on('data', look);
        child.on('exit', () => reject(new Error(`${command} ended:\n${said()}`)));
      });
      return child;
    },
    close() {
      for (const child of running) child.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The coordinator's fingerprint in what a command said; empty where there is none. */
export const fingerprintIn = (said: string): string => said.match(/([0-9a-f]{4}-){9}[0-9a-f]{4}/)?.[0] ?? '';
/** The one-time code. */
export const codeIn = (said: string): string => said.match(/\b([0-9a-f]{4}-){7}[0-9a-f]{4}\b/)?.[0] ?? '';
