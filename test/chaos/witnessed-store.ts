/**
 * A store, the coordinator's or a client's, with somebody who sees each of its writes become durable, and may end the process
 * just before or just after:
 *
 *   commit ─▶ work ─▶ seen(what) ─▶ on disk ─▶ the caller goes on
 *                     └ before        └ after
 *
 * A write outside of a transaction is a transaction of its own; one inside another is part of it.
 */
export type Around = <T>(write: Write<T>) => T;

export interface Write<T> {
  /** a power cut may take it back */
  readonly soon: boolean;
  /** @param seen - called with what is written, when all of it is, and none of it is durable; if it throws, none of it ever is */
  run(seen: (what: string) => void): T;
}

/** What of a store writes, and in what words. @returns undefined for what only reads */
export type Describe = (method: string, args: readonly unknown[]) => string | undefined;

/** @param check - called first by whatever is asked of the store; throws when its process has ended */
export function witnessed<Store extends object>(
  store: Store,
  describe: Describe,
  { around, check }: { readonly around: Around; readonly check: () => void },
): Store {
  let written: string[] | undefined;
  const transaction = (soon: boolean, begin: (work: () => unknown) => unknown, work: () => unknown): unknown => {
    if (written !== undefined) return begin(work);
    return around({
      soon,
      run(seen) {
        written = [];
        try {
          return begin(() => {
            const result = work();
            seen(written!.join(', '));
            return result;
          });
        } finally {
          written = undefined;
        }
      },
    });
  };
  return new Proxy(store, {
    get(target, name: string) {
      const method = Reflect.get(target, name) as unknown;
      if (typeof method !== 'function') return method;
      return (...args: unknown[]): unknown => {
        check();
        const call = (): unknown => Reflect.apply(method, target, args);
        if (name === 'commit' || name === 'commitSoon')
          return transaction(
            name === 'commitSoon',
            (work) => Reflect.apply(method, target, [work]),
            args[0] as () => unknown,
          );
        const what = describe(name, args);
        if (what === undefined) return call();
        if (written !== undefined) {
          written.push(what);
          return call();
        }
        return around({
          soon: false,
          run(seen) {
            seen(what);
            return call();
          },
        }) as unknown;
      };
    },
  });
}
