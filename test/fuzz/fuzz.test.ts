import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromClient, fromCoordinator } from '../../aggregation/wire.ts';
import { fromText, toText } from './corpus.ts';
import { changed, nearly } from './nearly.ts';
import { runTarget } from './run-target.ts';
import { jsonSchemaOf, valuesOf } from './schema-values.ts';
import { mustHold, type Target } from './target.ts';
import { SHARES, TARGETS } from './targets.ts';

/*
 * A little of what `npm run fuzz` does for hours: every target, a fixed seed, and everything in the corpus.
 */
const INPUTS: Readonly<Record<string, number>> = {
  decoder: 8_500,
  'coordinator-stranger': 120,
  'coordinator-tenant': 200,
  participant: 150,
  http: 250,
  files: 800,
};

describe.each(Object.keys(SHARES))('%s', (name) => {
  test('holds against a few hundred inputs, and all that it once did not hold against', async () => {
    const report = await runTarget(await TARGETS[name]!(), { seed: 1, inputs: INPUTS[name]!, replay: true });
    expect(report.findings).toEqual([]);
    expect(report.inputs).toBeGreaterThanOrEqual(INPUTS[name]!);
    // what is always refused, or always let in, is not fuzzed
    expect(Object.keys(report.outcomes).length).toBeGreaterThan(1);
  }, 300_000);
});

describe('the fuzzer', () => {
  test.each([
    ['a client', fromClient],
    ['a coordinator', fromCoordinator],
  ])('makes every message that %s may say, and only such', (_, schema) => {
    const values = valuesOf(jsonSchemaOf(schema));
    const types = new Set<unknown>();
    for (const value of fc.sample(values, { seed: 1, numRuns: 300 })) {
      expect(schema.safeParse(value).error).toBeUndefined();
      types.add((value as { type: string }).type);
    }
    expect(types.size).toBe(schema.options.length);
  });

  test('makes of most messages what is none', () => {
    const near = fc.sample(nearly(valuesOf(jsonSchemaOf(fromClient))), { seed: 1, numRuns: 300 });
    expect(near.filter((value) => !fromClient.safeParse(value).success).length).toBeGreaterThan(150);
  });

  test('changes one place of a value, and leaves the value as it was', () => {
    const value = { a: [1, 2], b: 'c' };
    const drop = { do: 'drop' } as const;
    expect(changed(value, { at: 0.7, to: drop })).toEqual({ a: [1], b: 'c' });
    expect(changed(value, { at: 0.9, to: { do: 'put', value: null } })).toEqual({ a: [1, 2], b: null });
    expect(changed(value, { at: 0, to: { do: 'nest', depth: 2 } })).toEqual([[value]]);
    expect(value).toEqual({ a: [1, 2], b: 'c' });
  });

  test('writes inputs to files and reads the same again', () => {
    const values = [new Uint8Array([1, 2]), Number.NaN, -0, { a: undefined, b: [null] }];
    expect(fromText(toText(values))).toEqual(values);
  });

  test('finds what throws, what does not hold and what nobody caught, each once and smaller', async () => {
    let loose: unknown;
    const inputs = fc.array(fc.nat(1000), { maxLength: 20 }) as fc.Arbitrary<unknown>;
    const faulty: Target<unknown> = {
      name: 'faulty',
      inputs,
      open: async () => ({
        async feed(input, saw) {
          const numbers = input as number[];
          saw('fed');
          if (numbers[0]! > 900) throw new TypeError(`no ${numbers.length}`);
          mustHold(!(numbers[1]! > 900), 'too many');
          if (numbers[2]! > 900) loose = new RangeError('nobody caught it');
        },
        close: async () => {},
      }),
    };
    const uncaught = (): unknown => {
      const error = loose;
      loose = undefined;
      return error;
    };
    const { findings, inputs: fed } = await runTarget(faulty, { seed: 1, inputs: 3_000, replay: false, uncaught });
    expect(fed).toBeGreaterThanOrEqual(3_000);
    expect(findings.map(({ showed }) => showed.split(':')[0]).sort()).toEqual(['Finding', 'RangeError', 'TypeError']);
    const smallest = findings.map(({ input }) => input as number[]).sort((a, b) => a.length - b.length);
    expect(smallest.slice(0, 2)).toEqual([[901], [0, 901]]);
    expect(smallest[2]![2]).toBeGreaterThan(900); // as small as so many attempts make it
  });
});
