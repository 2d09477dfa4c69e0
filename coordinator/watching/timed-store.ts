import type { EventStore } from '../store/event-store.ts';

/** The same store. @param took - told how long each commit took, in seconds; those too that failed */
export function timedStore(store: EventStore, took: (seconds: number) => void): EventStore {
  const timed =
    <T>(commit: (work: () => T) => T) =>
    (work: () => T): T => {
      const began = performance.now();
      try {
        return commit(work);
      } finally {
        took((performance.now() - began) / 1000);
      }
    };
  return {
    ...store,
    commit: (work) => timed(store.commit<never>)(work as () => never),
    commitSoon: (work) => timed(store.commitSoon<never>)(work as () => never),
  };
}
