import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  append,
  consistencyProof,
  EMPTY_FRONTIER,
  emptyRoot,
  type Frontier,
  inclusionProof,
  leafHash,
  nodeHash,
  rootOf,
  treeRoot,
  verifyConsistency,
  verifyInclusion,
} from '../../../privacy/transparency/merkle.ts';
import { vectors } from '../vectors.ts';
import { flipped } from './keys.ts';

interface Vectors {
  readonly reference: {
    readonly entries: readonly string[];
    readonly leaves: readonly string[];
    readonly roots: readonly string[];
    readonly subtrees: Readonly<Record<string, string>>;
    readonly inclusion: readonly { index: number; size: number; proof: string[] }[];
    readonly consistency: readonly { from: number; to: number; proof: string[] }[];
  };
  readonly argon2020: {
    readonly size: number;
    readonly root: string;
    readonly index: number;
    readonly entry: string;
    readonly inclusion: readonly string[];
    readonly from: { size: number; root: string };
    readonly consistency: readonly string[];
  };
  readonly border: { size: number; index: number; entry: string; root: string; inclusion: string[] };
}

const { reference, argon2020, border } = vectors<Vectors>('transparency-merkle');
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const unhex = (text: string): Uint8Array => Buffer.from(text, 'hex');
const unbase64 = (text: string): Uint8Array => Buffer.from(text, 'base64');

const entries = reference.entries.map(unhex);
const leaves = entries.map(leafHash);

/** 70 leaves, all different. */
const many = Array.from({ length: 70 }, (_, i) => leafHash(Buffer.from(`entry ${i}`)));
const frontierOf = (hashes: readonly Uint8Array[]): Frontier => hashes.reduce(append, EMPTY_FRONTIER);

/** MTH, word for word from RFC 9162 §2.1.1. */
function mth(d: readonly Uint8Array[]): Uint8Array {
  if (d.length === 0) return emptyRoot;
  if (d.length === 1) return d[0]!;
  let k = 1;
  while (2 * k < d.length) k *= 2;
  return nodeHash(mth(d.slice(0, k)), mth(d.slice(k)));
}

describe('the reference tree of Certificate Transparency', () => {
  test('has these leaf hashes, subtrees and roots', () => {
    expect(leaves.map(hex)).toEqual(reference.leaves);
    for (const [range, root] of Object.entries(reference.subtrees)) {
      const [from, to] = range.split('-').map(Number);
      expect(hex(treeRoot(leaves, from!, to!)), range).toBe(root);
    }
    expect(reference.roots).toHaveLength(9);
    for (const [size, root] of reference.roots.entries()) {
      expect(hex(treeRoot(leaves.slice(0, size))), `${size}`).toBe(root);
      expect(hex(rootOf(frontierOf(leaves.slice(0, size)))), `${size}`).toBe(root);
    }
    expect(hex(emptyRoot)).toBe(reference.roots[0]);
  });

  test.each(reference.inclusion)('proves entry $index of $size so', ({ index, size, proof }) => {
    expect(inclusionProof(index, leaves.slice(0, size)).map(hex)).toEqual(proof);
    const root = unhex(reference.roots[size]!);
    expect(verifyInclusion({ index, size, leaf: leaves[index]!, proof: proof.map(unhex), root })).toBe(true);
  });

  test.each(reference.consistency)('proves that $to continues $from so', ({ from, to, proof }) => {
    expect(consistencyProof(from, leaves.slice(0, to)).map(hex)).toEqual(proof);
    const head = (size: number) => ({ size, root: unhex(reference.roots[size]!) });
    expect(verifyConsistency({ from: head(from), to: head(to), proof: proof.map(unhex) })).toBe(true);
  });
});

test('answers of a log of 961,984,013 entries verify, and not for another entry, position or root', () => {
  const { size, index, from } = argon2020;
  const [root, proof] = [unbase64(argon2020.root), argon2020.inclusion.map(unbase64)];
  const leaf = leafHash(unbase64(argon2020.entry));
  expect(verifyInclusion({ index, size, leaf, proof, root })).toBe(true);
  expect(verifyInclusion({ index, size, leaf: flipped(leaf, 0), proof, root })).toBe(false);
  expect(verifyInclusion({ index: index + 1, size, leaf, proof, root })).toBe(false);
  const consistency = {
    from: { size: from.size, root: unbase64(from.root) },
    to: { size, root },
    proof: argon2020.consistency.map(unbase64),
  };
  expect(verifyConsistency(consistency)).toBe(true);
  expect(verifyConsistency({ ...consistency, from: { size: from.size, root: leaf } })).toBe(false);
});

test('the last of 76,959 entries of a public log verifies: where levels have no sibling', () => {
  const proof = border.inclusion.map(unbase64);
  const { size, index } = border;
  const claim = { index, size, leaf: leafHash(Buffer.from(border.entry)), proof, root: unbase64(border.root) };
  expect(verifyInclusion(claim)).toBe(true);
  expect(verifyInclusion({ ...claim, index: index - 1 })).toBe(false);
});

describe('every tree of up to 70 entries', () => {
  test('has the root of the recursive definition, grown or at once', () => {
    let frontier = EMPTY_FRONTIER;
    for (let size = 0; size <= many.length; size++) {
      const root = hex(mth(many.slice(0, size)));
      expect(hex(rootOf(frontier)), `${size}`).toBe(root);
      expect(hex(treeRoot(many, 0, size)), `${size}`).toBe(root);
      // JSON is enough to go on from
      if (size < many.length) frontier = append(JSON.parse(JSON.stringify(frontier)) as Frontier, many[size]!);
    }
  });

  test('proves each of its entries, and no other by the same proof', () => {
    for (let size = 1; size <= many.length; size++) {
      const tree = many.slice(0, size);
      const root = mth(tree);
      for (let index = 0; index < size; index++) {
        const proof = inclusionProof(index, tree);
        expect(verifyInclusion({ index, size, leaf: tree[index]!, proof, root }), `${index} of ${size}`).toBe(true);
        const others = [...tree.keys()].filter((other) => other !== index);
        const taken = others.some((other) => verifyInclusion({ index: other, size, leaf: tree[index]!, proof, root }));
        expect(taken, `${index} of ${size}`).toBe(false);
      }
    }
  });

  test('continues every smaller one', () => {
    for (let size = 0; size <= many.length; size++) {
      const to = { size, root: mth(many.slice(0, size)) };
      for (let earlier = 0; earlier <= size; earlier++) {
        const from = { size: earlier, root: mth(many.slice(0, earlier)) };
        const proof = consistencyProof(earlier, many.slice(0, size));
        expect(verifyConsistency({ from, to, proof }), `${earlier} → ${size}`).toBe(true);
        if (0 < earlier && earlier < size) expect(verifyConsistency({ from: to, to: from, proof })).toBe(false);
      }
    }
  });
});

const aTree = fc.integer({ min: 1, max: 70 });
const aBit = fc.nat({ max: 255 });

test('a bit changed in leaf, root or proof, a hash more or less: not included', () => {
  const claim = aTree.chain((size) =>
    fc.record({ size: fc.constant(size), index: fc.nat({ max: size - 1 }), bit: aBit }),
  );
  fc.assert(
    fc.property(claim, ({ size, index, bit }) => {
      const tree = many.slice(0, size);
      const good = { index, size, leaf: tree[index]!, proof: inclusionProof(index, tree), root: treeRoot(tree) };
      expect(verifyInclusion(good)).toBe(true);
      const bad = [
        { ...good, leaf: flipped(good.leaf, bit) },
        { ...good, root: flipped(good.root, bit) },
        { ...good, proof: [...good.proof, good.root] },
        { ...good, proof: [good.root, ...good.proof] },
        ...good.proof.map((_, at) => ({ ...good, proof: good.proof.filter((__, i) => i !== at) })),
        ...good.proof.map((one, at) => ({ ...good, proof: good.proof.with(at, flipped(one, bit)) })),
        ...Array.from({ length: 7 }, (_, i) => ({ ...good, index: index ^ (1 << i) })),
      ];
      for (const each of bad) expect(verifyInclusion(each)).toBe(false);
    }),
  );
});

test('a bit changed in either root or the proof, a hash more or less: not consistent', () => {
  const claim = aTree.chain((to) =>
    fc.record({ to: fc.constant(to), from: fc.integer({ min: 1, max: to }), bit: aBit }),
  );
  fc.assert(
    fc.property(claim, ({ from, to, bit }) => {
      const tree = many.slice(0, to);
      const good = {
        from: { size: from, root: treeRoot(tree, 0, from) },
        to: { size: to, root: treeRoot(tree) },
        proof: consistencyProof(from, tree),
      };
      expect(verifyConsistency(good)).toBe(true);
      const bad = [
        { ...good, from: { ...good.from, root: flipped(good.from.root, bit) } },
        { ...good, to: { ...good.to, root: flipped(good.to.root, bit) } },
        { ...good, proof: [...good.proof, good.to.root] },
        { ...good, proof: [good.from.root, ...good.proof] },
        ...good.proof.map((_, at) => ({ ...good, proof: good.proof.filter((__, i) => i !== at) })),
        ...good.proof.map((one, at) => ({ ...good, proof: good.proof.with(at, flipped(one, bit)) })),
      ];
      for (const each of bad) expect(verifyConsistency(each)).toBe(false);
    }),
  );
});

/** What PATH of RFC 9162 §2.1.3.1 computes, as a formula in its hashes instead of their values. */
function pathFormula(index: number, size: number): string {
  if (size === 1) return 'leaf';
  let k = 1;
  while (2 * k < size) k *= 2;
  return index < k ? `(${pathFormula(index, k)} p)` : `(p ${pathFormula(index - k, size - k)})`;
}

/** What SUBPROOF of RFC 9162 §2.1.4.1 computes: both roots as formulas, in how many hashes. */
function subproofFormula(m: number, n: number, known: boolean): { older: string; newer: string; hashes: number } {
  if (m === n) {
    // the old root itself, or the first hash of the proof
    const start = known ? 'old' : 'p1';
    return { older: start, newer: start, hashes: known ? 0 : 1 };
  }
  let k = 1;
  while (2 * k < n) k *= 2;
  const { older, newer, hashes } = m <= k ? subproofFormula(m, k, known) : subproofFormula(m - k, n - k, false);
  const p = `p${hashes + 1}`;
  return m <= k
    ? { older, newer: `(${newer} ${p})`, hashes: hashes + 1 }
    : { older: `(${p} ${older})`, newer: `(${p} ${newer})`, hashes: hashes + 1 };
}

/** Sizes with one bit changed, and what else is near. */
const near = (size: number): number[] => [...Array.from({ length: 8 }, (_, i) => size ^ (1 << i)), size - 1, size + 1];

// A proof does not authenticate sizes: entry 0 of 6 and of 7 is proven by the same hashes in the same places. Sizes are
// signed with their roots. What must hold: another size is refused unless the RFC's own formula is the same for it.
test('another size is refused exactly where the definition of the proof differs', () => {
  for (let size = 1; size <= 40; size++) {
    const tree = many.slice(0, size);
    const root = treeRoot(tree);
    for (let index = 0; index < size; index++) {
      const good = { index, leaf: tree[index]!, proof: inclusionProof(index, tree), root };
      for (const other of near(size)) {
        const alike = other > index && pathFormula(index, other) === pathFormula(index, size);
        expect(verifyInclusion({ ...good, size: other }), `${index} of ${size} as of ${other}`).toBe(alike);
      }
    }
  }
});

test('other sizes of a consistent pair are refused exactly where the definition of the proof differs', () => {
  for (let to = 2; to <= 33; to++) {
    const tree = many.slice(0, to);
    const newRoot = treeRoot(tree);
    for (let from = 1; from < to; from++) {
      const [oldRoot, proof] = [treeRoot(tree, 0, from), consistencyProof(from, tree)];
      const formula = JSON.stringify(subproofFormula(from, to, true));
      const check = (m: number, n: number): void => {
        const alike = 0 < m && m < n && JSON.stringify(subproofFormula(m, n, true)) === formula;
        const claim = { from: { size: m, root: oldRoot }, to: { size: n, root: newRoot }, proof };
        expect(verifyConsistency(claim), `${from} → ${to} as ${m} → ${n}`).toBe(alike);
      };
      for (const n of near(to)) check(from, n);
      for (const m of near(from)) check(m, to);
    }
  }
});

describe('nothing hostile is accepted, and nothing throws', () => {
  const tree = many.slice(0, 6);
  const good = { index: 2, size: 6, leaf: tree[2]!, proof: inclusionProof(2, tree), root: treeRoot(tree) };
  const pair = {
    from: { size: 3, root: treeRoot(tree, 0, 3) },
    to: { size: 6, root: good.root },
    proof: consistencyProof(3, tree),
  };
  const numbers = [-1, 2.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '6', null, undefined];
  const hashes = [null, undefined, 'a'.repeat(32), [], new Uint8Array(31), new Uint8Array(33), {}];
  const proofs = [null, undefined, 'x', {}, { length: 3 }, [null], ['a'.repeat(32)], Array(65).fill(good.root)];

  test('in an inclusion', () => {
    expect(verifyInclusion(good)).toBe(true);
    for (const index of numbers) expect(verifyInclusion({ ...good, index } as never)).toBe(false);
    for (const size of numbers) expect(verifyInclusion({ ...good, size } as never)).toBe(false);
    for (const leaf of hashes) expect(verifyInclusion({ ...good, leaf } as never)).toBe(false);
    for (const root of hashes) expect(verifyInclusion({ ...good, root } as never)).toBe(false);
    for (const proof of proofs) expect(verifyInclusion({ ...good, proof } as never)).toBe(false);
    expect(verifyInclusion({ ...good, index: 6 })).toBe(false);
    expect(verifyInclusion({ ...good, index: 0, size: 0 })).toBe(false);
  });

  test('in a consistency', () => {
    expect(verifyConsistency(pair)).toBe(true);
    for (const side of ['from', 'to'] as const) {
      for (const size of numbers) expect(verifyConsistency({ ...pair, [side]: { ...pair[side], size } })).toBe(false);
      for (const root of hashes) expect(verifyConsistency({ ...pair, [side]: { ...pair[side], root } })).toBe(false);
      for (const head of [null, undefined, 3])
        expect(verifyConsistency({ ...pair, [side]: head } as never)).toBe(false);
    }
    for (const proof of proofs) expect(verifyConsistency({ ...pair, proof } as never)).toBe(false);
  });

  test('about trees of one size: their roots are equal and there is nothing to prove', () => {
    const other = treeRoot(many, 0, 5);
    expect(verifyConsistency({ from: pair.to, to: pair.to, proof: [] })).toBe(true);
    expect(verifyConsistency({ from: pair.to, to: pair.to, proof: [other] })).toBe(false);
    expect(verifyConsistency({ from: pair.to, to: { size: 6, root: other }, proof: [] })).toBe(false);
    expect(verifyConsistency({ ...pair, proof: [] })).toBe(false);
  });

  test('about a tree that shrank, whatever its root', () => {
    const claim = { from: { size: 3, root: good.root }, to: { size: 2, root: good.root }, proof: [good.root] };
    expect(verifyConsistency(claim)).toBe(false);
  });

  test('about the empty tree: it has one root, and everything continues it', () => {
    const empty = { size: 0, root: emptyRoot };
    expect(verifyConsistency({ from: empty, to: pair.to, proof: [] })).toBe(true);
    expect(verifyConsistency({ from: empty, to: pair.to, proof: [good.root] })).toBe(false);
    expect(verifyConsistency({ from: { size: 0, root: good.root }, to: pair.to, proof: [] })).toBe(false);
    const noRoot = { size: 0, root: good.root };
    expect(verifyConsistency({ from: noRoot, to: noRoot, proof: [] })).toBe(false);
    expect(verifyConsistency({ from: pair.to, to: empty, proof: [] })).toBe(false);
  });
});

test('sizes beyond 32 bits are proven, too', () => {
  const size = 2 ** 40 + 1;
  // the last entry of 2^40 + 1 has one sibling: the root of all the others
  const [others, leaf] = [many[0]!, many[1]!];
  const claim = { index: 2 ** 40, size, leaf, proof: [others], root: nodeHash(others, leaf) };
  expect(verifyInclusion(claim)).toBe(true);
  expect(verifyInclusion({ ...claim, index: 0 })).toBe(false);
  const pair = { from: { size: 2 ** 40, root: others }, to: { size, root: claim.root }, proof: [leaf] };
  expect(verifyConsistency(pair)).toBe(true);
});

test('what is no proof, node or frontier of ours is refused by its maker', () => {
  expect(() => inclusionProof(3, many.slice(0, 3))).toThrow(RangeError);
  expect(() => inclusionProof(-1, many)).toThrow(RangeError);
  expect(() => consistencyProof(4, many.slice(0, 3))).toThrow(RangeError);
  expect(() => consistencyProof(0.5, many)).toThrow(RangeError);
  expect(() => nodeHash(new Uint8Array(31), new Uint8Array(32))).toThrow(RangeError);
  expect(() => nodeHash(new Uint8Array(32), new Uint8Array(31))).toThrow(RangeError);
  expect(() => append(EMPTY_FRONTIER, new Uint8Array(31))).toThrow(RangeError);
  const frontier = frontierOf(many.slice(0, 5));
  const broken: Frontier[] = [
    { ...frontier, size: 4 },
    { ...frontier, size: -5 },
    { ...frontier, size: 5.5 },
    { ...frontier, subtrees: frontier.subtrees.slice(1) },
    { ...frontier, subtrees: frontier.subtrees.map((each) => each.toUpperCase()) },
    { ...frontier, subtrees: ['', ''] },
  ];
  for (const each of broken) {
    expect(() => rootOf(each)).toThrow(/^not a frontier/);
    expect(() => append(each, many[5]!)).toThrow(/^not a frontier/);
  }
});

test('a frontier is not changed by what is appended to it', () => {
  const frontier = frontierOf(many.slice(0, 7));
  const before = JSON.stringify(frontier);
  expect(hex(rootOf(append(frontier, many[7]!)))).toBe(hex(mth(many.slice(0, 8))));
  expect(JSON.stringify(frontier)).toBe(before);
  expect(frontier.subtrees).toEqual([treeRoot(many, 0, 4), treeRoot(many, 4, 6), many[6]!].map(hex));
});
