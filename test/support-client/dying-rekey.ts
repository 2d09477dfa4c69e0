import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { DatabaseSync, StatementSync } from 'node:sqlite';

/**
 * `parley client rekey`, killed: run as a process of its own, it kills itself, without a goodbye, at the POINT-th moment at
 * which it is about to change the disk, or to send, or has been answered. A file that is written counts twice, the second time
 * when half of it is there.
 *
 *   node dying-rekey.ts POINT FOLDER [KEY-FILE]
 *
 * Prints what each moment was.
 */
const [, , point, folder, keyFile] = process.argv as string[];
let moments = 0;

function moment(what: string, half?: () => void): void {
  fs.writeSync(1, `${what}\n`);
  if (++moments !== Number(point)) return;
  half?.();
  process.kill(process.pid, 'SIGKILL');
}

type Call = (...args: unknown[]) => unknown;

function dying(object: object, name: string): void {
  const calls = object as Record<string, Call>;
  const call = calls[name]!;
  calls[name] = function (this: unknown, ...args: unknown[]) {
    // reading locks, too, and tables that are there: only what changes something can leave a half
    if (name !== 'exec' || args[0] === 'commit') moment(name);
    if (name === 'writeFileSync') {
      const [file, text, options] = args as [string, string, object];
      moment('half a file', () => call(file, text.slice(0, text.length / 2), options));
    }
    return call.apply(this, args);
  };
}

for (const name of ['writeFileSync', 'renameSync', 'rmSync', 'fsyncSync', 'mkdirSync']) dying(fs, name);
dying(DatabaseSync.prototype, 'exec');
dying(StatementSync.prototype, 'run');
syncBuiltinESMExports();

const ask = globalThis.fetch;
globalThis.fetch = async (...args) => {
  moment('sending');
  const answer = await ask(...args);
  moment('answered');
  return answer;
};

const { rekey } = await import('../../client/rekey-command.ts');
await rekey({ folder: folder!, ...(keyFile === undefined ? {} : { keyFile }) });
