import { isIP } from 'node:net';
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

/**
 * As `fetch`, but goes nowhere else than it is told: a redirection could lead from TLS to plaintext, or to somebody else.
 * @throws CommandError with the code for the network when there is no answer; for usage when a token would travel in plaintext
 */
export async function answerFrom(url: string, init: RequestInit = {}): Promise<Response> {
  if (/^bearer /i.test(new Headers(init.headers).get('authorization') ?? '')) refusePlaintext(url);
  try {
    return await fetch(url, { ...init, redirect: 'error' });
  } catch (error) {
    const { cause } = error as { cause?: { code?: string; message?: string } };
    const { origin } = new URL(url);
    const why = cause?.code ?? cause?.message ?? 'unknown';
    if (/CERT|SIGNATURE|ALTNAME/.test(why))
      throw new CommandError(
        EXIT.network,
        `the certificate at ${origin} does not verify (${why}): compare the address with it, or name its CA with --tls-ca; in a policy, coordinator.tls.ca`,
      );
    throw new CommandError(EXIT.network, `nobody answers at ${origin} (${why}); is the coordinator running?`);
  }
}

/** Does what is sent to this host stay on this machine? @param host - name or address; IPv6 with brackets or without */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || host === '[::1]' || (isIP(host) === 4 && host.startsWith('127.'));

/** A token works for whoever has read it on the way; a tenant's signature does not. @throws CommandError naming the ways out */
function refusePlaintext(url: string): void {
  const { protocol, hostname, origin } = new URL(url);
  if (protocol === 'https:' || isLoopback(hostname)) return;
  throw new CommandError(
    EXIT.usage,
    `a token would travel to ${origin} in plaintext: give an https:// address, or run this on the coordinator's machine, or through a tunnel to it (ssh -L 7400:127.0.0.1:7400)`,
  );
}

/** How long a machine that has vanished is waited for. */
const READY_MS = 3_000;
