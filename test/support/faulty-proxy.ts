import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';

/**
 * A TCP proxy that treats connections as bad networks do:
 *
 *   peer ──▶ delayed, throttled, stalled ──▶ target        and the same way back
 *                    └──▶ cut, or silent for ever
 *
 * Bytes arrive in order, unchanged, or not at all: that is what TCP makes of a lossy network. What loss costs is time, so a lost
 * packet is a stall. What it does follows from the weather it is given and from `random` alone.
 */
export interface Weather {
  /** one way, milliseconds */
  readonly latencyMs?: number;
  /** up to so much more, drawn for each chunk; chunks do not overtake each other */
  readonly jitterMs?: number;
  /** each way */
  readonly bytesPerSecond?: number;
  /** how often a chunk is held up, as if it had been lost, and for how long */
  readonly stalls?: { readonly share: number; readonly ms: number };
  /** 'reset' as a crashed host or a firewall (RST), 'end' as an orderly proxy (FIN), 'silence': nothing is passed on, both sides stay open */
  readonly fault?: { readonly how: Fault; readonly afterBytes?: number; readonly afterMs?: number };
}
export type Fault = 'reset' | 'end' | 'silence';

/** One connection through the proxy. */
export interface Passage {
  /** bytes passed on to the target, and back */
  readonly up: number;
  readonly down: number;
  /** what became of it, when that was the proxy's doing */
  readonly fault: Fault | undefined;
  strike(how: Fault): void;
}

export interface FaultyProxy {
  readonly port: number;
  /** all so far, in order */
  readonly passages: readonly Passage[];
  /** bytes passed on to the target over all of them */
  readonly up: number;
  /** Does this to all that are open. */
  strike(how: Fault): void;
  close(): Promise<void>;
}

export interface ProxyOptions {
  /** port of the target on 127.0.0.1; asked for each connection */
  readonly to: () => number;
  /** of a connection, counted from 0 */
  readonly weather: (connection: number) => Weather;
  /** in [0, 1) */
  readonly random?: () => number;
  /** where it listens */
  readonly host?: string;
}

export async function startFaultyProxy({
  to,
  weather,
  random = Math.random,
  host = '127.0.0.1',
}: ProxyOptions): Promise<FaultyProxy> {
  const passages: OpenPassage[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = connect({ port: to(), host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    passages.push(new OpenPassage(near, far, weather(passages.length), random));
  });
  server.listen(0, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    passages,
    get up() {
      return passages.reduce((sum, { up }) => sum + up, 0);
    },
    strike(how) {
      for (const passage of passages) passage.strike(how);
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const passage of passages) passage.destroy();
      await closed;
    },
  };
}

/** What may lie in the proxy before it stops reading: a network has little room. */
const MOST_HELD = 2 ** 18;

class OpenPassage implements Passage {
  fault: Fault | undefined;
  readonly #sockets: readonly [near: Socket, far: Socket];
  readonly #lanes: readonly [up: Lane, down: Lane];
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(near: Socket, far: Socket, weather: Weather, random: () => number) {
    this.#sockets = [near, far];
    const { how, afterBytes = Number.POSITIVE_INFINITY, afterMs } = weather.fault ?? {};
    const room = (): number => afterBytes - this.up - this.down;
    const passed = (): void => {
      if (how !== undefined && room() <= 0) this.strike(how);
    };
    const lane = (from: Socket, to: Socket): Lane => new Lane(from, to, { weather, random, room, passed });
    this.#lanes = [lane(near, far), lane(far, near)];
    if (how !== undefined && afterMs !== undefined) this.#timer = setTimeout(() => this.strike(how), afterMs);
  }

  get up(): number {
    return this.#lanes[0].passed;
  }

  get down(): number {
    return this.#lanes[1].passed;
  }

  strike(how: Fault): void {
    if (this.fault !== undefined || this.#sockets.some(({ destroyed }) => destroyed)) return;
    this.fault = how;
    for (const lane of this.#lanes) lane.stop();
    for (const socket of this.#sockets) {
      if (how === 'reset') socket.resetAndDestroy();
      if (how === 'end') socket.end(() => socket.destroy());
    }
  }

  destroy(): void {
    clearTimeout(this.#timer);
    for (const lane of this.#lanes) lane.stop();
    for (const socket of this.#sockets) socket.destroy();
  }
}

interface Lanes {
  readonly weather: Weather;
  readonly random: () => number;
  /** bytes that may still pass */
  readonly room: () => number;
  /** told after every chunk */
  readonly passed: () => void;
}

/** One direction: what came in, in order, and when it goes out. */
class Lane {
  passed = 0;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #rules: Lanes;
  /** no bytes: the end */
  readonly #queue: { readonly at: number; readonly chunk: Buffer }[] = [];
  #held = 0;
  /** when the last of them goes */
  #free = 0;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(from: Socket, to: Socket, rules: Lanes) {
    this.#from = from;
    this.#to = to;
    this.#rules = rules;
    from.on('data', (chunk: Buffer) => this.#take(chunk));
    from.on('end', () => this.#take(Buffer.alloc(0)));
    from.on('error', () => {}); // 'close' follows
    from.on('close', (isBroken) => {
      if (isBroken && !this.#isStopped) to.resetAndDestroy();
    });
    to.on('drain', () => this.#go());
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#from.pause();
    this.#queue.length = 0;
  }

  #take(chunk: Buffer): void {
    if (this.#isStopped) return;
    this.#free = this.#arrival(chunk.length);
    this.#queue.push({ at: this.#free, chunk });
    this.#held += chunk.length;
    if (this.#held > MOST_HELD) this.#from.pause();
    this.#go();
  }

  #arrival(bytes: number): number {
    const { weather, random } = this.#rules;
    const { latencyMs = 0, jitterMs = 0, bytesPerSecond = Number.POSITIVE_INFINITY, stalls } = weather;
    const stall = stalls !== undefined && random() < stalls.share ? stalls.ms : 0;
    const arrives = performance.now() + latencyMs + (jitterMs > 0 ? random() * jitterMs : 0) + stall;
    return Math.max(arrives, this.#free) + (1000 * bytes) / bytesPerSecond;
  }

  /** Passes on what is due. */
  #go(): void {
    clearTimeout(this.#timer);
    for (let first = this.#queue[0]; first !== undefined && !this.#isStopped; first = this.#queue[0]) {
      const wait = first.at - performance.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.#go(), Math.ceil(wait));
        return;
      }
      if (this.#to.writableNeedDrain) return;
      this.#queue.shift();
      this.#pass(first.chunk);
    }
  }

  #pass(chunk: Buffer): void {
    if (this.#to.destroyed || this.#to.writableEnded) return;
    if (chunk.length === 0) return void this.#to.end();
    this.#held -= chunk.length;
    const bytes = chunk.subarray(0, Math.max(0, Math.min(chunk.length, this.#rules.room())));
    this.#to.write(bytes);
    this.passed += bytes.length;
    if (this.#held <= MOST_HELD) this.#from.resume();
    this.#rules.passed();
  }
}
