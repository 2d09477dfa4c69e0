import { inTests, type Mutation } from '../mutation.ts';

const CONTRIBUTION = 'client/contribution.ts';
const inContribution = (named: string) => inTests('test/client/contribution.test.ts', named);
const inReplay = inTests('test/simulation/audit/replay.test.ts');

/** What one customer may move a sum by, and who is in it. */
export const bounding: readonly Mutation[] = [
  {
    name: 'forgot-clip',
    why: 'one customer moves the sum as far as its data says',
    file: 'privacy/clip.ts',
    find: 'if (norm <= clipNorm) return;',
    replace: 'return;',
    caughtBy: [inTests('test/privacy/clip.test.ts')],
    fast: true,
  },
  {
    name: 'clip-skipped',
    why: 'vectors go to the grid as they are: the types hold the order of the steps',
    file: CONTRIBUTION,
    find: 'quantize(clip(vectors, derived.clipNorm), gridSteps)',
    replace: 'quantize(vectors, gridSteps)',
    caughtBy: ['types'],
  },
  {
    name: 'clip-at-another-norm',
    why: 'the same grid, clipped 32 times too late: sensitivity and noise no longer fit',
    file: CONTRIBUTION,
    find: 'quantize(clip(vectors, derived.clipNorm), gridSteps)',
    replace: 'quantize(clip(vectors, 32 * derived.clipNorm), 32 * gridSteps)',
    caughtBy: [inContribution('moves the sum by no more'), 'audit'],
  },
  {
    name: 'clip-after-the-sum',
    why: 'the sum is bounded, no customer in it is',
    file: CONTRIBUTION,
    find: 'return quantize(clip(vectors, derived.clipNorm), gridSteps);',
    replace: `const [all, one] = [new Float64Array(vectors.dimension), new Float64Array(vectors.dimension)];
  for (let customer = 0; customer < vectors.count; customer++) {
    vectors.read(customer, one);
    for (let i = 0; i < all.length; i++) all[i]! += one[i]!;
  }
  const sum = { count: 1, dimension: vectors.dimension, read: (_: number, into: Float64Array) => into.set(all) };
  return quantize(clip(sum, derived.clipNorm), gridSteps);`,
    caughtBy: [inContribution('moves the sum by no more'), 'audit'],
  },
  {
    name: 'forgot-clip-in-chunks',
    why: 'models too large for single gradients have no second bound behind the clip',
    file: 'models/network.ts',
    find: 'Math.min(1, clipNorm / Math.sqrt(square))',
    replace: '1',
    caughtBy: [inTests('test/models/network.test.ts'), inReplay],
  },
  {
    name: 'rounded-beyond-the-norm',
    why: 'rounding to the grid lengthens a vector by up to half a step a coordinate',
    file: 'privacy/grid.ts',
    find: '    shortenTo(gridSteps, row);\n',
    replace: '',
    caughtBy: [inTests('test/privacy/grid.test.ts')],
  },
  {
    name: 'nan-let-through',
    why: 'one customer without numbers turns the sum into none: seen by everybody',
    file: 'privacy/clip.ts',
    find: '    vector.fill(0);\n    return;',
    replace: '    return;',
    caughtBy: [inTests('test/privacy/clip.test.ts'), inReplay],
  },
  {
    name: 'nan-row-skipped',
    why: 'a customer that takes no place moves everybody behind it: it must count as zero in its own',
    file: CONTRIBUTION,
    find: 'function sampled({ derived, settings }: Plan, { pool }: Customers, random: RandomSource): Int32Array {',
    replace: `function sampled({ derived, settings }: Plan, { encoded, pool: all }: Customers, random: RandomSource): Int32Array {
  const pool = all.filter((customer) => encoded.inputs[customer * encoded.maxRows * encoded.width] === encoded.inputs[customer * encoded.maxRows * encoded.width]);`,
    caughtBy: [inReplay],
  },
  {
    name: 'divisor-is-the-realised-batch',
    why: 'a mean tells how many were drawn, and weighs each customer by it',
    file: CONTRIBUTION,
    find: 'return quantize(clip(vectors, derived.clipNorm), gridSteps);',
    replace: `const drawn = Math.max(1, withoutPadding(chosen).length);
  const expected = settings.work.kind === 'train' ? settings.work.expectedBatch : drawn;
  return quantize(clip(vectors, derived.clipNorm), gridSteps).map((sum) => Math.round((sum * expected) / drawn)) as Quantized;`,
    caughtBy: [inContribution('drawn anew for each customer'), 'audit'],
  },
  {
    name: 'shuffled-batches',
    why: 'batches of one size are no Poisson sample: the amplification that is charged does not hold for them',
    file: CONTRIBUTION,
    find: 'const chosen = samplePoisson(pool.length, derived.rate, random).map((index) => pool[index]!);',
    replace: 'const chosen = placeBatch(pool, Math.round((pool.length * derived.rate) / 2 ** 32), random);',
    caughtBy: [inContribution('drawn anew for each customer')],
  },
  {
    name: 'rate-rounded-down',
    why: 'a customer takes part more often than is charged',
    file: 'privacy/poisson.ts',
    find: 'return Math.ceil(q * EVERYBODY);',
    replace: 'return Math.max(1, Math.floor(q * EVERYBODY));',
    caughtBy: [inTests('test/privacy/poisson.test.ts')],
  },
  {
    name: 'padding-removed',
    why: 'how long a round takes tells how many were drawn',
    file: CONTRIBUTION,
    find: '        padBatch(encoded, chosen, privacy.maxBatch),\n      );',
    replace: '        padBatch(encoded, withoutPadding(chosen), withoutPadding(chosen).length),\n      );',
    caughtBy: [inContribution('leaves no trace in the sizes')],
  },
  {
    name: 'padding-removed-by-placement',
    why: 'the places left over are what makes every batch the same size',
    file: 'privacy/poisson.ts',
    find: 'const placed = rows.slice(0, maxBatch);',
    replace: 'const placed = rows.slice(0, maxBatch).filter((row) => row !== PADDING);',
    caughtBy: [inTests('test/privacy/poisson.test.ts')],
  },
];
