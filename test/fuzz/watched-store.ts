import type { EventStore } from '../../coordinator/store/event-store.ts';

/** An event store, and how often somebody wrote to it: what changes nothing has not been written. */
export interface WatchedStore extends EventStore {
  readonly writes: () => number;
}

const READING =
  /^(tasks|facts|bodies|part|sums|ledger|notes|invitations|roster|wasHeard|standings|tokens|pendingActs)$/;

export function watched(store: EventStore): WatchedStore {
  let writes = 0;
  const wrapped = new Proxy(store, {
    get(target, name) {
      if (name === 'writes') return () => writes;
      const method: unknown = Reflect.get(target, name, target);
      if (typeof method !== 'function') return method;
      // whatever is not known to read is taken to write: a method added later is watched too
      const reads = READING.test(String(name)) || name === 'close' || name === 'parameters';
      return (...given: unknown[]) => {
        if (!reads) writes += 1;
        return Reflect.apply(method, target, given);
      };
    },
  });
  return wrapped as WatchedStore;
}
