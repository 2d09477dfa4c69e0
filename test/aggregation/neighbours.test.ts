import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { neighbourhood, neighbours } from '../../aggregation/neighbours.ts';
import type { SumShape, TenantId } from '../../aggregation/secure-sum.ts';
import { names } from '../contracts/secure-sum-driver.ts';

const shape = (tenants: number, minCohort: number, colluders: number): SumShape => ({
  ...{ dimension: 1, tenants, minCohort, colluders, maxMagnitude: 1 },
  threshold: Math.floor((tenants + colluders) / 2) + 1,
});
const seed = (text: string) => createHash('sha256').update(text).digest();

describe('how many neighbours', () => {
  test.each([2, 3, 17, 64])('%i tenants have: all others, and the plan’s threshold', (tenants) => {
    const plan = shape(tenants, tenants, 0);
    expect(neighbourhood(tenants, plan)).toEqual({ degree: tenants - 1, threshold: plan.threshold });
  });

  /** Least k and t with n·P[a coalition holds t] < 2^−40, n·P[fewer than t are left] < 2^−20 and t > k/2: part that colludes, part that is lost. */
  const LISTED = [
    [100, 0.1, 0.1, 22, 12],
    [100, 0.1, 0.3, 60, 31],
    [100, 0.2, 0.2, 40, 21],
    [200, 0.1, 0.1, 32, 18],
    [200, 0.1, 0.3, 96, 49],
    [200, 0.2, 0.2, 62, 34],
  ] as const;
  test.each(LISTED)(
    '%i tenants have is at least what chance alone would ask for (%f collude, %f lost)',
    (n, γ, δ, k, t) => {
      const found = neighbourhood(n, shape(n, n - δ * n, γ * n));
      expect(found.degree).toBeGreaterThanOrEqual(k);
      expect(found.threshold).toBeGreaterThanOrEqual(t);
      expect(found.degree).toBeLessThan(n - 1); // and still fewer than all
    },
  );

  const plans = fc.integer({ min: 65, max: 200 }).chain((tenants) =>
    fc.integer({ min: 0, max: Math.floor(tenants / 3) }).chain((colluders) => {
      const least = Math.floor((tenants + colluders) / 2) + 1;
      return fc.record({
        ...{ tenants: fc.constant(tenants), colluders: fc.constant(colluders) },
        minCohort: fc.integer({ min: least, max: tenants }),
      });
    }),
  );

  test('a coalition, and all that are lost or never counted, hold too few shares and cannot cut the graph', () => {
    fc.assert(
      fc.property(plans, fc.double({ min: 0, max: 1, noNaN: true }), ({ tenants, minCohort, colluders }, part) => {
        const present = minCohort + Math.floor(part * (tenants - minCohort));
        const { degree, threshold } = neighbourhood(present, shape(tenants, minCohort, colluders));
        const against = colluders + present - minCohort;
        expect(threshold).toBeGreaterThan(against);
        expect(degree).toBeGreaterThan(against);
        expect(degree === present - 1 || degree % 2 === 0).toBe(true);
        expect(threshold).toBeLessThanOrEqual(degree + 1);
      }),
      { numRuns: 60 },
    );
  });

  test('a round that keeps its minimum fails to open with at most 2^−20, and one neighbour pair fewer would fail more', () => {
    fc.assert(
      fc.property(plans, ({ tenants, minCohort, colluders }) => {
        const { degree, threshold } = neighbourhood(tenants, shape(tenants, minCohort, colluders));
        if (degree === tenants - 1) return;
        const gone = tenants - minCohort;
        expect(tenants * lost(tenants, gone, degree, threshold)).toBeLessThanOrEqual(2 ** -20 * 1.000001);
        const fewer = degree - 2;
        const needed = Math.max(fewer / 2, gone + colluders) + 1;
        if (needed <= fewer) expect(tenants * lost(tenants, gone, fewer, needed)).toBeGreaterThan(2 ** -20 * 0.999999);
      }),
      { numRuns: 60 },
    );
  });

  /** Hypergeometric tail in logarithms: fewer than `needed` of `degree` drawn from n − 1, of whom `gone` are lost. */
  function lost(n: number, gone: number, degree: number, needed: number): number {
    const log = Array.from({ length: n + 1 }, () => 0);
    for (let i = 1; i <= n; i++) log[i] = log[i - 1]! + Math.log(i);
    const choose = (a: number, b: number) => (b < 0 || b > a ? -Infinity : log[a]! - log[b]! - log[a - b]!);
    let tail = 0;
    for (let d = degree - needed + 1; d <= Math.min(degree, gone); d++)
      tail += Math.exp(choose(gone, d) + choose(n - 1 - gone, degree - d) - choose(n - 1, degree));
    return tail;
  }
});

describe('the graph', () => {
  const everyone = names(100);
  const graph = neighbours(everyone, 22, seed('a'));

  test('gives each as many neighbours as it should, itself never, and both ways', () => {
    for (const name of everyone) {
      const near = graph.get(name)!;
      expect(near).toHaveLength(22);
      expect(new Set(near).size).toBe(22);
      expect(near).toEqual([...near].sort());
      expect(near).not.toContain(name);
      for (const other of near) expect(graph.get(other)).toContain(name);
    }
  });

  test('is the same for who has the same seed, and another for another', () => {
    expect(neighbours(everyone, 22, seed('a'))).toEqual(graph);
    expect(neighbours(everyone, 22, seed('b'))).not.toEqual(graph);
  });

  // tenants of different versions must draw the same; computed once more with Python's hashlib
  test('is what it was', () => {
    expect(neighbours(names(70), 4, seed('frozen')).get('tenant-00')).toEqual([
      'tenant-15',
      'tenant-16',
      'tenant-19',
      'tenant-55',
    ]);
  });

  test('is everybody with everybody where the degree says so', () => {
    const all = neighbours(names(5), 4, seed('a'));
    expect(all.get('tenant-02')).toEqual(['tenant-00', 'tenant-01', 'tenant-03', 'tenant-04']);
  });

  test('stays in one piece whoever is taken out, one fewer than the degree', () => {
    const order = circleOf(graph);
    // a run on each side of somebody cuts a circle best: and fails by one
    const run = [...order.slice(1, 12), ...order.slice(-10)];
    expect(run).toHaveLength(21);
    expect(pieces(graph, run)).toBe(1);
    expect(pieces(graph, [...order.slice(1, 12), ...order.slice(-11)])).toBe(2);
    fc.assert(
      fc.property(fc.shuffledSubarray(everyone, { minLength: 21, maxLength: 21 }), (gone) => {
        expect(pieces(graph, gone)).toBe(1);
      }),
      { numRuns: 30 },
    );
  });
});

type Graph = ReadonlyMap<TenantId, readonly TenantId[]>;

function pieces(graph: Graph, gone: readonly TenantId[]): number {
  const left = new Set([...graph.keys()].filter((name) => !gone.includes(name)));
  let count = 0;
  while (left.size > 0) {
    count++;
    const reached = [[...left][0]!];
    for (const name of reached) {
      if (!left.delete(name)) continue;
      reached.push(...graph.get(name)!.filter((other) => left.has(other)));
    }
  }
  return count;
}

/** The order around the circle: the nearest share all neighbours but two. */
function circleOf(graph: Graph): TenantId[] {
  const order = ['tenant-00'];
  const shared = (a: TenantId, b: TenantId) => graph.get(a)!.filter((name) => graph.get(b)!.includes(name)).length;
  while (order.length < graph.size) {
    const last = order.at(-1)!;
    const next = graph
      .get(last)!
      .filter((name) => !order.includes(name))
      .sort((a, b) => shared(last, b) - shared(last, a))[0]!;
    order.push(next);
  }
  return order;
}
