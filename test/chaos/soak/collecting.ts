import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';
import { HELD_FOLDER } from './held.ts';

/*
 * Loaded before a process of the soak begins (node --import). V8 leaves garbage lying about for as long as the machine has memory; here
 * all of it is collected every few seconds, and what is left is told: bytes of objects, buffers and WebAssembly.
 */
const folder = process.env[HELD_FOLDER];
if (isMainThread && folder !== undefined) {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const path = join(folder, String(process.pid));
  const tell = (): void => {
    collect();
    const { heapUsed, external } = process.memoryUsage();
    writeFileSync(`${path}.new`, String(heapUsed + external));
    renameSync(`${path}.new`, path);
  };
  tell();
  setInterval(tell, 5_000).unref();
}
