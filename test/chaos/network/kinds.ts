import type { TenantId } from '../../../aggregation/secure-sum.ts';
import { startFaultyMessages, type Tampering } from '../../support/faulty-messages.ts';
import { type Passage, startFaultyProxy, type Weather } from '../../support/faulty-proxy.ts';
import { between } from './seeded.ts';

/**
 * What a network does to connections, one kind after the other. Each kind is a proxy in front of a coordinator; what it does
 * follows from `random`.
 */
export interface NetworkFault {
  readonly name: string;
  /** in a sentence, for the table */
  readonly what: string;
  open(scene: Scene): Promise<Opened>;
}

export interface Scene {
  /** port of the coordinator; asked for each connection */
  readonly to: () => number;
  readonly tenant: TenantId;
  /** in [0, 1) */
  readonly random: () => number;
  /** 1 is as networks are; smaller in tests */
  readonly scale: number;
}

export interface Opened {
  readonly port: number;
  /** how often it has struck so far */
  readonly faults: () => number;
  close(): Promise<void>;
}

/** Connections that are broken before the network has had enough, and lets the rest live. */
const MOST_BROKEN = 6;

/** @param counts - what of a connection is a fault; where it only has to bear the weather, that */
const weather = (
  name: string,
  what: string,
  each: (scene: Scene, connection: number) => Weather,
  counts: (passage: Passage) => boolean = ({ fault }) => fault !== undefined,
): NetworkFault => ({
  name,
  what,
  async open(scene) {
    const { to, random } = scene;
    const proxy = await startFaultyProxy({ to, random, weather: (connection) => each(scene, connection) });
    return { port: proxy.port, faults: () => proxy.passages.filter(counts).length, close: () => proxy.close() };
  },
});

const borne = (): boolean => true;

const broken = (how: 'reset' | 'end'): ((scene: Scene, connection: number) => Weather) => {
  return ({ random }, connection) =>
    connection < MOST_BROKEN ? { fault: { how, afterBytes: between(random, 200, 40_000) } } : {};
};

const messages = (name: Tampering, what: string): NetworkFault => ({
  name: `message ${name}`,
  what,
  async open({ to, random }) {
    const strikes = Array.from({ length: MOST_BROKEN }, () => ({
      from: random() < 0.5 ? 'client' : 'coordinator',
      index: between(random, 0, 8),
    }));
    const relay = await startFaultyMessages({
      to,
      tamper: ({ connection, from, index }) =>
        strikes[connection]?.from === from && strikes[connection].index === index ? name : undefined,
    });
    const faults = (): number => relay.connections.reduce((sum, { done }) => sum + done.length, 0);
    return { port: relay.port, faults, close: () => relay.close() };
  },
});

export const NETWORK_FAULTS: readonly NetworkFault[] = [
  weather('reset', 'connections reset (RST) after some bytes', broken('reset')),
  weather('cut', 'connections ended (FIN) after some bytes', broken('end')),
  weather('60 s proxy', 'every connection reset when it is 60 s old', ({ scale }) => ({
    fault: { how: 'reset', afterMs: 60_000 * scale },
  })),
  // not of all: each takes a quarter of a minute to be noticed
  weather('half open', 'a connection that stays open and carries nothing any more', ({ random }, connection) =>
    connection === 0 && random() < 0.4 ? { fault: { how: 'silence', afterBytes: between(random, 200, 40_000) } } : {},
  ),
  weather(
    'latency',
    'up to 5 s one way, with jitter',
    ({ random, scale }) => ({
      latencyMs: 4_000 * random() * scale,
      jitterMs: 1_000 * scale,
    }),
    borne,
  ),
  weather('thin', '64 kB/s', () => ({ bytesPerSecond: 2 ** 16 }), borne),
  weather(
    'loss',
    '1 % of chunks come 1 s late, and all behind them',
    ({ scale }) => ({
      latencyMs: 20,
      stalls: { share: 0.01, ms: 1_000 * scale },
    }),
    borne,
  ),
  messages('twice', 'a message delivered twice'),
  messages('swapped', 'two messages the other way round'),
  messages('changed', 'a message with a bit flipped'),
];
