import { MAX_FRAME } from '../aggregation/wire.ts';

/**
 * What anybody may use of this coordinator, in one place. Every limit holds before anything is allocated or computed for whoever
 * exceeds it, and leaves what honest clients need a wide margin.
 *
 *   socket ──open at one time?──▶ headers ──in time?──▶ upgrade ──how often?──▶ stranger ──short, soon?──▶ tenant ──how much?──▶ task
 *
 * An address is an IPv4 address or an IPv6 /64. Behind `--trust-proxy` it is the one that the proxy names.
 */
export const ADDRESS = {
  /** sockets open at one time: a thousand clients behind one address, and their commands */
  open: 1_500,
  /** connections to the federation; a handshake costs a signature, and under TLS another. 200 clients of one site come back at once */
  knocks: { burst: 300, perSecond: 20 },
  /** connected, and not yet identified, at one time: of `STRANGERS.most`, so that one address cannot take all places */
  strangers: 32,
  /** addresses remembered for their rates */
  remembered: 10_000,
} as const;

/** Sockets of all addresses: below what an operating system lets a process have. */
export const MOST_SOCKETS = 8_192;

/** Peers that have not said who they are. Of the most, the one longest there makes room for the next (`door.ts`). */
export const STRANGERS = {
  most: 512,
  /** bytes of a greeting */
  greeting: 4096,
  /** bytes that may arrive from one altogether, pings and the WebSocket's own included */
  bytes: 8192,
  /** ms until one must have said who it is; where a message takes five seconds, two of them and what a slow line adds */
  patience: 30_000,
} as const;

/** An identified tenant, over all its connections. */
export const TENANT = {
  /** a round takes some ten, and one more for each MiB of a vector; one costs 0.1 to 0.3 ms here, so a tenant can take a third of a core */
  messages: { burst: 5_000, perSecond: 1_000 },
  /** three tasks of ten million values at once take 240 MB a round */
  bytes: { burst: 2 ** 30, perSecond: 2 ** 26 },
  /** times it may come back; what is new in the ledger is sent each time, and each task's plan */
  returns: { burst: 60, perSecond: 1 },
  /**
   * Bytes sent to a task that is busy, and has looked at none of them yet. Who keeps to the protocol has two parts, the last one
   * and a statement under way.
   */
  waiting: 2 * MAX_FRAME.fromClient,
} as const;

/** Of one WebSocket message. Ours come in two fragments; a proxy may cut them again, and each costs an object here. */
export const FRAGMENTS = { most: 64, chunks: 16_384 } as const;

/** HTTP, in milliseconds and bytes: what comes slowly is not waited for (slowloris). */
export const HTTP = {
  headersMs: 10_000,
  requestMs: 30_000,
  keepAliveMs: 10_000,
  /** how often the two above are looked at */
  checkMs: 1_000,
  tlsHandshakeMs: 30_000,
  closeMs: 3_000,
  headerBytes: 8_192,
  requestsPerSocket: 1_000,
  /** of a request's body, where its route needs no more */
  bodyBytes: 16_384,
  /** an address's requests in a minute, to all routes without a limit of their own */
  perMinute: 1_000,
} as const;

/** Routes that need more, or are dear. */
export const ROUTES: Readonly<Record<string, { readonly bodyLimit?: number; readonly perMinute?: number }>> = {
  '/tasks': { bodyLimit: 4 * 2 ** 20 },
  '/ledger': { perMinute: 60 },
  '/tile/*': { perMinute: 600 },
  '/parameters/:hash': { perMinute: 60 },
  '/tasks/:task/model/weights.bin': { perMinute: 60 },
};
