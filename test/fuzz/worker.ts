import { type Report, type RunOptions, runTarget } from './run-target.ts';
import { TARGETS } from './targets.ts';

/** A process of its own for one target: told what to do by its parent, and ends with what it saw (`fuzz.ts`). */
export interface Job extends Pick<RunOptions, 'seed' | 'inputs' | 'replay'> {
  readonly target: string;
}
export type FromWorker = { readonly progress: number } | { readonly report: Report };

let uncaught: unknown;
let told = 0;
process.on('uncaughtException', (error) => {
  uncaught ??= error;
});
process.on('unhandledRejection', (error) => {
  uncaught ??= error ?? new Error('a promise was rejected with nothing');
});

process.once('disconnect', () => process.exit(1)); // nobody is left to tell

process.once('message', async ({ target: name, ...options }: Job) => {
  const target = await TARGETS[name]!();
  const report = await runTarget(target, {
    ...options,
    onProgress: (progress) => {
      if (performance.now() - told < 1_000) return;
      told = performance.now();
      process.send!({ progress } satisfies FromWorker);
    },
    uncaught: () => {
      const error = uncaught;
      uncaught = undefined;
      return error;
    },
  });
  process.send!({ report } satisfies FromWorker, () => process.exit(0));
});
