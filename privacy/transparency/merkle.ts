/**
 * The Merkle tree of a transparency log: one root stands for all entries in order, and short proofs show that an entry is
 * in it, and that a later tree continues an earlier one.
 *
 *              root of 7               inclusion of d₃:        [c, h, l]
 *             /         \              consistency 3 → 7:      [c, d, h, l]
 *            k           l             frontier of 7 entries:  k, j, g
 *          /   \        / \
 *         h     i      j   \
 *        / \   / \    / \   \
 *       a   b c   d  e   f   g         a = SHA-256(0x00 ‖ d₀), h = SHA-256(0x01 ‖ a ‖ b)
 *
 * Promise: whoever holds (size, root) from a checkpoint they trust cannot be shown another entry at an index, nor a later
 * tree in which one of these entries is changed or gone. A proof says nothing about the size itself: sizes and roots come
 * in pairs, signed together.
 *
 * @see RFC 9162 §2.1 (hashes as in RFC 6962 §2.1); C2SP merkle-tree
 */
import { createHash, hash } from 'node:crypto';

const LEAF = Uint8Array.of(0);

/** Root of the tree without entries: SHA-256 of nothing. */
export const emptyRoot: Uint8Array = bytesOf(hash('sha256', new Uint8Array(0), 'buffer'));

/** RFC 9162 §2.1.1: the leading 0x00 keeps an entry from passing for two hashes. */
export function leafHash(entry: Uint8Array): Uint8Array {
  return bytesOf(createHash('sha256').update(LEAF).update(entry).digest());
}

const node = new Uint8Array(65).fill(1, 0, 1);

/**
 * RFC 9162 §2.1.1: 0x01, left, right.
 *
 * @throws RangeError unless both have 32 bytes
 */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  if (left.length !== 32 || right.length !== 32) {
    throw new RangeError(`a node is made of two hashes of 32 bytes, got ${left.length} and ${right.length}`);
  }
  node.set(left, 1);
  node.set(right, 33);
  return bytesOf(hash('sha256', node, 'buffer'));
}

/** Not a Buffer, which compares and prints as something else. */
function bytesOf(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

/** Root over leaf hashes `from` to `to` − 1, all of them by default: MTH of RFC 9162 §2.1.1. */
export function treeRoot(leaves: readonly Uint8Array[], from = 0, to = leaves.length): Uint8Array {
  if (to === from) return emptyRoot;
  if (to - from === 1) return leaves[from]!;
  const split = from + splitOf(to - from);
  return nodeHash(treeRoot(leaves, from, split), treeRoot(leaves, split, to));
}

/** The largest power of two below `count`, which is at least 2. */
const splitOf = (count: number): number => 2 ** (31 - Math.clz32(count - 1));

/** All a log must keep to go on: the roots of the perfect subtrees that `size` entries fill. JSON as it is. */
export interface Frontier {
  /** entries so far */
  readonly size: number;
  /** one for each bit set in `size`, the largest first; 64 lower-case hexadecimal digits */
  readonly subtrees: readonly string[];
}

export const EMPTY_FRONTIER: Frontier = { size: 0, subtrees: [] };

/**
 * The frontier after one more entry.
 *
 * @throws RangeError when `frontier` is none, or `leaf` has not 32 bytes
 */
export function append(frontier: Frontier, leaf: Uint8Array): Frontier {
  const subtrees = subtreesOf(frontier);
  let grown = leaf;
  // adding one carries through the low bits that are set, and each carry joins two subtrees of the same size
  for (let carry = frontier.size; carry % 2 === 1; carry = half(carry)) grown = nodeHash(subtrees.pop()!, grown);
  return { size: frontier.size + 1, subtrees: [...frontier.subtrees.slice(0, subtrees.length), hexOf(grown)] };
}

/** @throws RangeError when `frontier` is none */
export function rootOf(frontier: Frontier): Uint8Array {
  const subtrees = subtreesOf(frontier);
  return subtrees.length === 0 ? emptyRoot : subtrees.reduceRight((right, left) => nodeHash(left, right));
}

function subtreesOf({ size, subtrees }: Frontier): Uint8Array[] {
  const sound = isSize(size) && subtrees.length === bitsIn(size) && subtrees.every((hex) => /^[0-9a-f]{64}$/.test(hex));
  if (!sound) throw new RangeError(`not a frontier: ${subtrees.length} subtrees for ${size} entries, or not hashes`);
  return subtrees.map((hex) => bytesOf(Buffer.from(hex, 'hex')));
}

function hexOf(bytes: Uint8Array): string {
  if (bytes.length !== 32) throw new RangeError(`a leaf hash has 32 bytes, got ${bytes.length}`);
  return Buffer.from(bytes).toString('hex');
}

const bitsIn = (size: number): number => (size === 0 ? 0 : (size % 2) + bitsIn(half(size)));
// not >> : sizes go beyond 32 bits
const half = (value: number): number => Math.floor(value / 2);
const isOdd = (value: number): boolean => value % 2 === 1;
const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/**
 * The siblings of the path from leaf `index` to the root, the leaf's own first: PATH of RFC 9162 §2.1.3.1. Costs one hash
 * for each leaf.
 *
 * @param leaves - leaf hashes of the whole tree
 * @throws RangeError when the tree has no such leaf
 */
export function inclusionProof(index: number, leaves: readonly Uint8Array[]): Uint8Array[] {
  if (!isSize(index) || index >= leaves.length) throw new RangeError(`no leaf ${index} in a tree of ${leaves.length}`);
  const path = (from: number, to: number): Uint8Array[] => {
    if (to - from === 1) return [];
    const split = from + splitOf(to - from);
    return index < split
      ? [...path(from, split), treeRoot(leaves, split, to)]
      : [...path(split, to), treeRoot(leaves, from, split)];
  };
  return path(0, leaves.length);
}

/**
 * That the tree over all `leaves` continues the tree over the first `from`: PROOF of RFC 9162 §2.1.4.1, and nothing where
 * there is nothing to prove (`from` is 0 or all).
 *
 * @throws RangeError when `from` is not within 0 … leaves.length
 */
export function consistencyProof(from: number, leaves: readonly Uint8Array[]): Uint8Array[] {
  if (!isSize(from) || from > leaves.length) throw new RangeError(`no tree of ${from} in one of ${leaves.length}`);
  // SUBPROOF: `known` while the old tree is the whole of the left part, whose root the verifier has
  const subproof = (start: number, end: number, known: boolean): Uint8Array[] => {
    if (end === from) return known ? [] : [treeRoot(leaves, start, end)];
    const split = start + splitOf(end - start);
    return from <= split
      ? [...subproof(start, split, known), treeRoot(leaves, split, end)]
      : [...subproof(split, end, false), treeRoot(leaves, start, split)];
  };
  return from === 0 ? [] : subproof(0, leaves.length, true);
}

export interface Inclusion {
  /** of the leaf, from 0 */
  readonly index: number;
  /** of the tree, from the same checkpoint as `root` */
  readonly size: number;
  /** the leaf's hash */
  readonly leaf: Uint8Array;
  readonly proof: readonly Uint8Array[];
  readonly root: Uint8Array;
}

/** RFC 9162 §2.1.3.2. False for anything malformed; throws for nothing. */
export function verifyInclusion({ index, size, leaf, proof, root }: Inclusion): boolean {
  if (!isSize(index) || !isSize(size) || index >= size) return false;
  if (!isHash(leaf) || !isHash(root) || !areHashes(proof)) return false;
  const sides = sidesUp(index, size - 1);
  if (proof.length !== sides.length) return false;
  return same(
    proof.reduce((below, sibling, at) => joined(sides[at]!, sibling, below), leaf),
    root,
  );
}

/** A tree as a checkpoint has it. */
export interface TreeHead {
  readonly size: number;
  readonly root: Uint8Array;
}

export interface Consistency {
  readonly from: TreeHead;
  readonly to: TreeHead;
  readonly proof: readonly Uint8Array[];
}

/**
 * RFC 9162 §2.1.4.2, and for what it leaves out C2SP merkle-tree: a tree continues itself and the empty one, and the proof
 * is empty. False for anything malformed; throws for nothing.
 */
export function verifyConsistency({ from, to, proof }: Consistency): boolean {
  if (!isHead(from) || !isHead(to) || !areHashes(proof) || from.size > to.size) return false;
  if (from.size === to.size) return proof.length === 0 && same(from.root, to.root);
  if (from.size === 0) return proof.length === 0;
  // an old tree of 2^k entries is itself a node of the new one: its root is not sent (step 2)
  const nodes = bitsIn(from.size) === 1 ? [from.root, ...proof] : proof;
  // the first node is the last perfect subtree of the old tree: go up to it (step 4)
  let [at, last] = [from.size - 1, to.size - 1];
  while (isOdd(at)) [at, last] = [half(at), half(last)];
  const sides = sidesUp(at, last);
  if (nodes.length !== sides.length + 1) return false;
  let [older, newer] = [nodes[0]!, nodes[0]!];
  for (const [step, side] of sides.entries()) {
    const sibling = nodes[step + 1]!;
    // what stands to the right came after the old tree
    if (side === 'left') older = joined(side, sibling, older);
    newer = joined(side, sibling, newer);
  }
  return same(older, from.root) && same(newer, to.root);
}

type Side = 'left' | 'right';

/** On which side the siblings stand from position `at` of a level that ends at `last` up to the root (fn, sn in the RFC). */
function sidesUp(at: number, last: number): Side[] {
  const sides: Side[] = [];
  for (; last > 0; [at, last] = [half(at), half(last)]) {
    if (isOdd(at)) sides.push('left');
    // an even position at the end has no sibling: it is its own parent
    else if (at < last) sides.push('right');
  }
  return sides;
}

const joined = (side: Side, sibling: Uint8Array, below: Uint8Array): Uint8Array =>
  side === 'left' ? nodeHash(sibling, below) : nodeHash(below, sibling);

const isHash = (value: unknown): value is Uint8Array => value instanceof Uint8Array && value.length === 32;
const areHashes = (value: unknown): boolean => Array.isArray(value) && value.every(isHash);
const isHead = (head: TreeHead): boolean =>
  isSize(head?.size) && isHash(head.root) && (head.size > 0 || same(head.root, emptyRoot));
const same = (a: Uint8Array, b: Uint8Array): boolean => a.every((byte, at) => byte === b[at]);
