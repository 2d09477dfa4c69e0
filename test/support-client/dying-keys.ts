import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { DatabaseSync, StatementSync } from 'node:sqlite';

/**
 * `parley keys`, killed: run as a process of its own, it kills itself, without a goodbye, at the POINT-th moment at which
 * it is about to change the disk. A file that is written counts twice, the second time when half of it is there.
 *
 *   node dying-keys.ts POINT protect|unprotect|change FOLDER KEY-FILE [NEW-KEY-FILE]
 */
const [, , point, command, folder, keyFile, newKeyFile] = process.argv as string[];
let moments = 0;

function moment(half?: () => void): void {
  if (++moments !== Number(point)) return;
  half?.();
  process.kill(process.pid, 'SIGKILL');
}

type Call = (...args: unknown[]) => unknown;

function dying(object: object, name: string): void {
  const calls = object as Record<string, Call>;
  const call = calls[name]!;
  calls[name] = function (this: unknown, ...args: unknown[]) {
    moment();
    if (name === 'writeFileSync') {
      const [file, text, options] = args as [string, string, object];
      moment(() => call(file, text.slice(0, text.length / 2), options));
    }
    return call.apply(this, args);
  };
}

for (const name of ['writeFileSync', 'renameSync', 'rmSync', 'fsyncSync', 'chownSync']) dying(fs, name);
dying(DatabaseSync.prototype, 'exec');
dying(DatabaseSync.prototype, 'close');
dying(StatementSync.prototype, 'run');
syncBuiltinESMExports();

const keys = await import('../../client/keys-commands.ts');
const options = { folder: folder!, keyFile: keyFile! };
if (command === 'protect') await keys.protectKeys(options);
else if (command === 'unprotect') await keys.unprotectKeys(options);
else await keys.changePassphrase({ ...options, newKeyFile: newKeyFile! });
