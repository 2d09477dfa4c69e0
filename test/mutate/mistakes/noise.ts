import { inTests, type Mutation } from '../mutation.ts';

/** How noise is drawn, and how often it is used. */
export const noise: readonly Mutation[] = [
  {
    name: 'noise-reused-on-retry',
    why: 'two sums under one noise: their difference is data in the clear',
    file: 'client/fresh-vectors.ts',
    find: '  async #drawn(parameters: Float64Array): Promise<Noised> {',
    replace: `  #kept: { readonly parameters: Float64Array; readonly vector: Promise<Noised> } | undefined;
  #drawn(parameters: Float64Array): Promise<Noised> {
    if (this.#kept?.parameters !== parameters) this.#kept = { parameters, vector: this.#anew(parameters) };
    return this.#kept.vector;
  }
  async #anew(parameters: Float64Array): Promise<Noised> {`,
    caughtBy: [inTests('test/client/contribution.test.ts', 'held again carries fresh noise')],
  },
  {
    name: 'noise-used-twice',
    why: 'a share that stays usable will be used again',
    file: 'privacy/noise.ts',
    find: `  unused.delete(share);
  for (let i = 0; i < values.length; i++) values[i]! += noise[i]!;
  noise.fill(0);`,
    replace: '  for (let i = 0; i < values.length; i++) values[i]! += noise[i]!;',
    caughtBy: [inTests('test/privacy/noise.test.ts')],
    fast: true,
  },
  {
    name: 'noise-drawn-once',
    why: 'every round of a task under the same noise: one difference takes it off',
    file: 'privacy/noise-thread.ts',
    find: '  discreteGaussian(stdDev, values, random);\n',
    replace: `  const drawn = ((globalThis as { drawn?: Map<number, Float64Array> }).drawn ??= new Map());
  if (!drawn.has(values.length)) {
    discreteGaussian(stdDev, values, random);
    drawn.set(values.length, values.slice());
  }
  values.set(drawn.get(values.length)!);
`,
    caughtBy: [inTests('test/privacy/noise-supply.test.ts'), 'audit'],
  },
  {
    name: 'float-noise',
    why: 'rounded Box–Muller noise is no discrete Gaussian: its tails and gaps tell values apart (Mironov 2012)',
    file: 'privacy/discrete-gaussian.ts',
    find: '      done = attempt(stdDev, into, done, words, random);',
    replace: `      const radius = Math.sqrt(-2 * Math.log((words[0]! + 1) / 2 ** 32));
      into[done++] = Math.round(stdDev * radius * Math.cos((2 * Math.PI * words[1]!) / 2 ** 32));`,
    caughtBy: [inTests('test/privacy/discrete-gaussian.test.ts', 'that exact arithmetic gives')],
  },
  {
    name: 'randomness-from-math-random',
    why: 'who sees some of its numbers knows the others: noise that can be computed protects nobody',
    file: 'privacy/random.ts',
    find: '          randomFillSync(pool);',
    replace: '          for (let i = 0; i < pool.length; i++) pool[i] = Math.random() * 2 ** 32;',
    caughtBy: [inTests('test/architecture.test.ts', 'Math.random')],
  },
  {
    name: 'replayed-randomness-accepted',
    why: 'a client that takes the randomness of tests releases its data with a known seed',
    file: 'client/participant.ts',
    find: "if (world.random.kind !== 'secure' || world.noise.kind !== 'secure')",
    replace: "if (world.random.kind !== 'secure')",
    caughtBy: [inTests('test/attacks/lying-plans.test.ts', 'replayed randomness')],
  },
  {
    name: 'empty-batch-skipped',
    why: 'a contribution without noise says that nobody was drawn',
    file: 'client/contribution.ts',
    find: 'return addNoise(await onGrid(plan, customers, parameters, backend, random), noise);',
    replace: `const sum = await onGrid(plan, customers, parameters, backend, random);
  return sum.some((value) => value !== 0) ? addNoise(sum, noise) : (sum as Float64Array as Noised);`,
    caughtBy: [inTests('test/client/contribution.test.ts', 'variance of the sum of all tenants'), 'audit'],
  },
  {
    name: 'share-too-small-for-a-sum',
    why: 'below six steps a sum of shares is no discrete Gaussian any more, and the proof does not hold',
    file: 'privacy/noise.ts',
    find: 'export const MIN_SHARE_STD_DEV = 6;',
    replace: 'export const MIN_SHARE_STD_DEV = 1;',
    caughtBy: [inTests('test/privacy/noise.test.ts')],
  },
];
