import { CommandError, EXIT } from './exit.ts';

/**
 * The address at which the leading one of several coordinators answers. They have one key between them, and whoever asks knows it:
 * an address that is wrong, or somebody else's, is found out by what answers there.
 *
 * @param addresses - http(s)://host:port, in the order to be tried; a single one is not asked
 * @throws CommandError with the code for the network when none of them is ready
 */
export async function readyAt(addresses: readonly string[]): Promise<string> {
  if (addresses.length === 1) return addresses[0]!;
  for (const address of addresses) {
    const signal = AbortSignal.timeout(READY_MS);
    const ready = await fetch(`${address}/readyz`, { signal, redirect: 'error' }).then(
      ({ ok }) => ok,
      () => false,
    );
    if (ready) return address;
  }
  throw new CommandError(EXIT.network, `no coordinator is ready at ${addresses.join(' or ')}; is one running?`);
}

/** How long a machine that has vanished is waited for. */
const READY_MS = 3_000;
