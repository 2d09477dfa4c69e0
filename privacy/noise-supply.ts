import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { drawNoise, dropNoise, isUnused, type NoiseShare, roomForNoise, shareOf } from './noise.ts';
import type { Drawing } from './noise-thread.ts';
import type { RandomSource } from './random.ts';

/**
 * Where a client's noise shares come from.
 *
 *   draw ──▶ taken from the shelf, or drawn ──▶ share ──addNoise──▶ used once, overwritten
 *              the next of that shape is drawn ◀──┘      └─ close ──▶ overwritten
 *
 * Promise: every share is drawn for one use, in one way. When that way fails, every draw fails, and nothing is drawn
 * in another.
 */
export interface NoiseSupply {
  /** `replay` gives the same shares again for the same seed: for tests only, a client refuses it */
  readonly kind: RandomSource['kind'];
  /**
   * A share that nobody else has or had. Ask before the batch is drawn, and wait for it before the batch is drawn.
   *
   * @param stdDev - in grid steps, an integer from 6 to 2^31
   * @param length - coordinates
   * @throws RangeError (as a rejection) when one of them is out of range
   * @throws Error (as a rejection) when the supply is closed or broken; it stays so
   */
  draw(stdDev: number, length: number): Promise<NoiseShare>;
  /** Overwrites every share that was not used, those given out included, and fails every draw. When nothing is under way. */
  close(): Promise<void>;
}

/** Draws from `random`, when it is asked: for replays and tests, where the order of the words matters. */
export function inlineNoise(random: RandomSource): NoiseSupply {
  const given = new Unused();
  let closed = false;
  return {
    kind: random.kind,
    async draw(stdDev, length) {
      if (closed) throw new SupplyClosed();
      return given.add(drawNoise(stdDev, length, random));
    },
    async close() {
      closed = true;
      given.drop();
    },
  };
}

/** How many shapes have a share waiting: two tasks at a time, with one of each kind behind them. */
const SHAPES_AHEAD = 4;

/**
 * Draws in a thread of its own (`noise-thread.ts`), from the operating system's randomness, while this one waits for the
 * network: one share ahead for each of the four shapes last asked for. The thread keeps no process alive unless somebody waits.
 */
export function threadedNoise(): NoiseSupply {
  // next to this file, as source and as build
  const program = new URL(`./noise-thread${extname(import.meta.url)}`, import.meta.url);
  const thread = new Worker(program, { name: 'noise' });
  const ended = new Promise<void>((resolve) => thread.once('exit', () => resolve()));
  const given = new Unused();
  const shelf = new Map<string, Promise<NoiseShare>>();
  const underWay: Asked[] = [];
  let waiting = 0;
  let broken: Error | undefined;

  const fail = (error: Error): void => {
    broken ??= error;
    for (const { reject } of underWay.splice(0)) reject(broken);
    for (const ahead of shelf.values()) overwrite(ahead);
    shelf.clear();
  };
  const died = (cause?: unknown): void =>
    fail(new Error('the noise thread ended: no share is drawn without it; start again', { cause }));

  thread.on('message', (values: Float64Array) => {
    const asked = underWay[0];
    if (asked === undefined) return void values.fill(0); // broken or closed meanwhile
    if (values.length !== asked.length) return died(new Error('a share of another length than was asked for'));
    underWay.shift();
    asked.resolve(given.add(shareOf(asked.stdDev, values)));
  });
  thread.on('messageerror', died);
  thread.on('error', died);
  thread.on('exit', died);
  thread.unref();

  const start = (stdDev: number, length: number): Promise<NoiseShare> => {
    const drawing: Drawing = { stdDev, values: roomForNoise(stdDev, length) };
    const share = new Promise<NoiseShare>((resolve, reject) => underWay.push({ stdDev, length, resolve, reject }));
    share.catch(() => {}); // nobody may ever ask for it
    thread.postMessage(drawing, [drawing.values.buffer]);
    return share;
  };

  /** The share of this shape that was drawn ahead, or one drawn now; and the next one is begun. */
  const take = (stdDev: number, length: number): Promise<NoiseShare> => {
    const shape = `${stdDev}/${length}`;
    const share = shelf.get(shape) ?? start(stdDev, length);
    shelf.delete(shape); // and to the end: the shape last asked for
    shelf.set(shape, start(stdDev, length));
    for (const [oldest, ahead] of [...shelf].slice(0, -SHAPES_AHEAD)) {
      shelf.delete(oldest);
      overwrite(ahead);
    }
    return share;
  };

  return {
    kind: 'secure',
    async draw(stdDev, length) {
      if (broken !== undefined) throw broken;
      const share = take(stdDev, length);
      if (waiting++ === 0) thread.ref();
      try {
        return await share;
      } finally {
        if (--waiting === 0) thread.unref();
      }
    },
    async close() {
      fail(new SupplyClosed());
      given.drop();
      thread.ref();
      thread.postMessage('close'); // what is under way comes back first, and is overwritten
      await ended;
    },
  };
}

interface Asked {
  readonly stdDev: number;
  readonly length: number;
  readonly resolve: (share: NoiseShare) => void;
  readonly reject: (error: Error) => void;
}

const overwrite = (ahead: Promise<NoiseShare>): void => void ahead.then(dropNoise, () => {});

class SupplyClosed extends Error {
  override readonly name = 'SupplyClosed';
  constructor() {
    super('the noise supply is closed');
  }
}

/** The shares of one supply that may still be unused. Used ones are let go when the next comes. */
class Unused {
  readonly #shares = new Set<NoiseShare>();

  add(share: NoiseShare): NoiseShare {
    for (const one of this.#shares) if (!isUnused(one)) this.#shares.delete(one);
    this.#shares.add(share);
    return share;
  }

  drop(): void {
    for (const share of this.#shares) dropNoise(share);
    this.#shares.clear();
  }
}
