import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';

// Loaded before a process of the soak begins (node --import). V8 leaves garbage lying about for as long as the machine has memory; a
// process that collects all of it every few seconds has in memory what it holds, and what its allocator does not give back.
if (isMainThread) {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  setInterval(collect, 5_000).unref();
}
