import fc from 'fast-check';
import { keptFor } from './corpus.ts';
import { Finding, type Subject, type Target } from './target.ts';

/** What one process has fed to one target. */
export interface Report {
  readonly target: string;
  /** messages, requests, files: each line of a conversation is one */
  readonly inputs: number;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly findings: readonly Found[];
  readonly ms: number;
  /** MiB of heap after a collection: when a quarter had been fed, and in the end; 0 where nothing can be collected */
  readonly heap: readonly [early: number, late: number];
}

export interface Found {
  /** the same for the same fault: what changes from run to run is left out */
  readonly showed: string;
  readonly detail: string;
  /** smallest that shows it; undefined when the end of the run did */
  readonly input: unknown;
}

export interface RunOptions {
  readonly seed: number;
  readonly inputs: number;
  /** feed what is kept in the corpus first */
  readonly replay: boolean;
  /** told after every one, so that somebody notices when this hangs */
  readonly onProgress?: (inputs: number) => void;
  /** errors that nobody caught since this was last asked */
  readonly uncaught?: () => unknown;
}

const BATCH = 100;
/** Attempts at a smaller input; each begins with a new world. */
const SHRINKS = 40;
/** ms; far more than anything takes on a machine that does other work too. */
const DEADLINE = 90_000;
const MIB = 2 ** 20;

export async function runTarget(target: Target<unknown>, options: RunOptions): Promise<Report> {
  const started = performance.now();
  const feeder = new Feeder(target, options);
  if (options.replay) for (const { input } of keptFor(target.name)) await feeder.replay(input);
  let early = 0;
  for (let batch = 0; feeder.inputs < options.inputs; batch++) {
    await feeder.batch(options.seed + batch * 7919, Math.min(BATCH, options.inputs - feeder.inputs));
    if (early === 0 && feeder.inputs * 4 >= options.inputs) early = collected();
  }
  const late = collected();
  await feeder.close();
  if (late > 1.5 * early + 96)
    feeder.found.set('leak', { showed: 'leak', detail: `${early} to ${late} MiB`, input: undefined });
  return {
    target: target.name,
    inputs: feeder.inputs,
    outcomes: Object.fromEntries(feeder.outcomes),
    findings: [...feeder.found.values()],
    ms: performance.now() - started,
    heap: [early, late],
  };
}

/** Needs `--expose-gc`. */
function collected(): number {
  if (globalThis.gc === undefined) return 0;
  globalThis.gc();
  return Math.round(process.memoryUsage().heapUsed / MIB);
}

class Feeder {
  inputs = 0;
  readonly outcomes = new Map<string, number>();
  readonly found = new Map<string, Found>();
  /** names of faults, of larger inputs too */
  readonly #met = new Set<string>();
  readonly #target: Target<unknown>;
  readonly #uncaught: () => unknown;
  readonly #progress: (inputs: number) => void;
  #subject: Subject<unknown> | undefined;

  constructor(target: Target<unknown>, { uncaught = () => undefined, onProgress = () => {} }: RunOptions) {
    this.#target = target;
    this.#progress = onProgress;
    this.#uncaught = uncaught;
  }

  async replay(input: unknown): Promise<void> {
    const error = await this.#fault(input, true);
    if (error !== undefined) this.#keep(error, input);
  }

  async batch(seed: number, numRuns: number): Promise<void> {
    let shrinking = -1;
    let first = '';
    const property = fc.asyncProperty(this.#target.inputs, async (input) => {
      if (shrinking >= SHRINKS) return;
      if (shrinking >= 0) shrinking += 1;
      const error = await this.#fault(input, shrinking < 0);
      if (error === undefined) return;
      const name = nameOf(error);
      // what it met before is known, and a smaller input that shows another fault is not smaller
      if (shrinking < 0 ? this.#met.has(name) : name !== first) return;
      shrinking = Math.max(shrinking, 0);
      first = name;
      this.#met.add(name);
      throw error;
    });
    const { failed, counterexample, errorInstance } = await fc.check(property, { seed, numRuns });
    if (failed) this.#keep(errorInstance, counterexample?.[0]);
  }

  async close(): Promise<void> {
    try {
      await this.#subject?.close();
    } catch (error) {
      this.#keep(error, undefined);
    }
  }

  #keep(error: unknown, input: unknown): void {
    const showed = nameOf(error);
    if (!this.found.has(showed)) this.found.set(showed, { showed, detail: detailOf(error), input });
  }

  /** What does not hold with this input. After a fault the world is another. */
  async #fault(input: unknown, counts: boolean): Promise<unknown> {
    const saw = (outcome: string): void => {
      if (!counts) return;
      this.inputs += 1;
      this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
    };
    let error: unknown;
    try {
      this.#subject ??= await this.#target.open();
      await inTime(this.#subject.feed(input, saw));
      await new Promise((resolve) => setImmediate(resolve)); // what nobody awaited is rejected by now
      error = this.#uncaught();
      this.#progress(this.inputs);
    } catch (thrown) {
      error = thrown ?? new Error('nothing in particular was thrown');
      saw('finding');
    }
    if (error === undefined) return undefined;
    const subject = this.#subject;
    this.#subject = undefined;
    await subject?.close().catch(() => {}); // whatever it says, it says of a world that is broken
    return error;
  }
}

async function inTime(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Finding('hang: an input was not dealt with in time')), DEADLINE);
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** Without what differs from run to run. */
function nameOf(error: unknown): string {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return `${name}: ${message.split('\n')[0]}`.replace(/[0-9a-f]{8,}|[0-9]+/g, 'N').slice(0, 160);
}

function detailOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error instanceof Finding ? error.message : (error.stack ?? error.message);
}
