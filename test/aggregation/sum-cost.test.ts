import { describe, expect, test } from 'vitest';
import { protocolNamed } from '../../aggregation/protocols.ts';
import { PROTECTING_SUMS, type SumShape } from '../../aggregation/secure-sum.ts';
import { sumCosts } from '../../aggregation/sum-cost.ts';

const shape: SumShape = {
  ...{ dimension: 1_000_000, tenants: 20, threshold: 12, minCohort: 14, colluders: 2, maxMagnitude: 2 ** 22 - 1 },
};
const costOf = (name: string, change: Partial<SumShape> = {}) =>
  sumCosts({ ...shape, ...change }).find(({ protocol }) => protocol === name)!;

/* Unit costs are measured by `npm run bench:secure-sum`; here is what must hold whatever they are. */
describe.each(PROTECTING_SUMS)('what %s takes', (name) => {
  test('are the bytes that it sends', () => {
    expect(costOf(name).bytesUp).toBe(protocolNamed(name).bytesPerRound(shape));
    expect(costOf(name).unfit).toBeUndefined();
  });
  test.each<[string, Partial<SumShape>]>([
    ['a longer vector', { dimension: 4_000_000 }],
    ['wider lanes', { maxMagnitude: 2 ** 44 }],
    ['more tenants', { tenants: 40, threshold: 23, minCohort: 30 }],
  ])('grows with %s, for everybody', (_, change) => {
    const [less, more] = [costOf(name), costOf(name, change)];
    expect(more.clientMs).toBeGreaterThan(less.clientMs);
    expect(more.coordinatorMs).toBeGreaterThan(less.coordinatorMs);
  });
  test('is more where tenants are lost', () => {
    const { coordinatorMs, coordinatorMsAtWorst } = costOf(name);
    expect(coordinatorMsAtWorst).toBeGreaterThan(coordinatorMs);
  });
  test('is said to be nothing for a sum that does not fit, with the reason', () => {
    expect(costOf(name, { maxMagnitude: 2 ** 54 }).unfit).toMatch(/coarser grid/);
    expect(costOf(name, { tenants: 201, threshold: 120, minCohort: 140 }).unfit).toMatch(/at most \d+ tenants/);
  });
});

test('masks on a key of 16 KiB make who is lost cheap, masks on the vector do not', () => {
  const extra = (name: string): number => costOf(name).coordinatorMsAtWorst - costOf(name).coordinatorMs;
  expect(extra('lattice-mask')).toBeLessThan(extra('masking') / 5);
});
