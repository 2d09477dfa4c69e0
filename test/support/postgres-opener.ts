import { parentPort, workerData } from 'node:worker_threads';
import { openPostgresStore } from '../../coordinator/store/postgres.ts';

/** A coordinator's first start, in a thread of its own: opens the store, claims it, closes it; says how that went. */
const { url, federation } = workerData as { url: string; federation: string };
const onLost = (): void => {};
const store = await openPostgresStore({ url, federation, onLost });
try {
  store.claim(federation);
  parentPort!.postMessage('claimed');
} catch (error) {
  parentPort!.postMessage((error as Error).message);
}
store.close();
