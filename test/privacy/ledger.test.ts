import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  appendEntry,
  EMPTY_LEDGER,
  entryText,
  type LedgerBody,
  type LedgerEntry,
  verifyChain,
} from '../../privacy/ledger.ts';
import { leafHash, rootOf, treeRoot } from '../../privacy/transparency/merkle.ts';
import { aCharge, aFinish, anAbort, aPlan, aRelease, chainOf, context, hex } from './ledgers.ts';

const hashEntry = (entry: LedgerEntry): string => createHash('sha256').update(entryText(entry)).digest('hex');

const bodies = [aPlan(), aCharge(1), aRelease(1), aCharge(2), anAbort(2), aCharge(3), aRelease(3), aFinish(2)];

test('the first entry follows 64 zeros, every other one the hash of the one before', () => {
  const { entries } = chainOf(bodies);
  expect(entries[0]!.previous).toBe('0'.repeat(64));
  for (const [i, entry] of entries.slice(1).entries()) expect(entry.previous).toBe(hashEntry(entries[i]!));
  expect(entries.map(({ seq }) => seq)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
});

test('the hash is SHA-256 over canonical JSON, keys sorted, nothing between', () => {
  const { entry } = appendEntry(EMPTY_LEDGER, { kind: 'stop', reason: 'by-operator' }, context);
  const text = `{"federation":"north","kind":"stop","previous":"${'0'.repeat(64)}","reason":"by-operator","seq":0,"task":"task-1","time":1700000000000,"v":1}`;
  expect(entryText(entry)).toBe(text);
  expect(chainOf([{ kind: 'stop', reason: 'by-operator' }]).head.hash).toBe(
    createHash('sha256').update(text).digest('hex'),
  );
});

test('an intact ledger verifies, as objects and as lines, in one piece and in two', () => {
  const { entries, head } = chainOf(bodies);
  expect(verifyChain(entries)).toEqual({ intact: true, head });
  expect(verifyChain(entries.map(entryText))).toEqual({ intact: true, head });
  expect(verifyChain(JSON.parse(JSON.stringify(entries)))).toEqual({ intact: true, head });
  const middle = verifyChain(entries.slice(0, 5));
  expect(middle.intact && verifyChain(entries.slice(5), middle.head)).toEqual({ intact: true, head });
  expect(verifyChain([])).toEqual({ intact: true, head: EMPTY_LEDGER });
});

type Edit = (entries: LedgerEntry[]) => LedgerEntry[];
const swap =
  (i: number, changes: object): Edit =>
  (entries) =>
    entries.map((entry, at) => (at === i ? ({ ...entry, ...changes } as LedgerEntry) : entry));
const forged = appendEntry({ ...chainOf(bodies.slice(0, 3)).head, hash: hex('elsewhere') }, aCharge(9), context).entry;

test.each<[string, Edit, number]>([
  ['a changed time', swap(2, { time: 1 }), 3],
  ['a changed epsilon', swap(0, { epsilon: { release: 0.1, coalition: 0.1, floor: 0.1 } }), 1],
  ['a changed event', swap(1, { event: { type: 'NoOp' } }), 2],
  ['a changed round', swap(4, { round: 1 }), 5],
  ['a changed hash of a sum', swap(3, { sumHash: hex('another sum') }), 4],
  ['a changed hash of the entry before', swap(3, { previous: hex('nothing') }), 3],
  ['a changed federation', swap(5, { federation: 'south' }), 6],
  ['a changed task', swap(5, { task: 'task-2' }), 6],
  ['a changed reason', swap(4, { reason: 'tenant-lost' }), 5],
  ['a changed number', swap(3, { seq: 7 }), 3],
  ['an added field', swap(3, { batchSize: 93 }), 3],
  ['another version', swap(3, { v: 2 }), 3],
  ['a dropped entry', (entries) => entries.toSpliced(3, 1), 3],
  ['a dropped first entry', (entries) => entries.slice(1), 0],
  ['two entries exchanged', (entries) => entries.with(3, entries[4]!).with(4, entries[3]!), 3],
  ['an entry twice', (entries) => entries.toSpliced(3, 0, entries[2]!), 3],
  ['an entry put in', (entries) => entries.toSpliced(3, 0, forged), 3],
  ['something else than an entry', (entries) => entries.with(3, null as unknown as LedgerEntry), 3],
])('%s is found, and named', (_, edit, seq) => {
  const verdict = verifyChain(edit(chainOf(bodies).entries));
  expect(verdict).toMatchObject({ intact: false, seq, problem: expect.any(String) });
});

test('a change of the last entry, or its loss, shows in the head', () => {
  const { entries, head } = chainOf(bodies);
  for (const edit of [swap(7, { rounds: 3 }), (all: LedgerEntry[]) => all.slice(0, -1)]) {
    const verdict = verifyChain(edit(entries));
    expect(verdict.intact && verdict.head.hash).not.toBe(head.hash);
  }
});

test('no bit of an exported ledger can be flipped', () => {
  const { entries, head } = chainOf(bodies.slice(0, 4));
  const lines = entries.map(entryText);
  for (const [i, line] of lines.entries()) {
    for (let at = 0; at < line.length; at++) {
      const flipped = line.slice(0, at) + String.fromCharCode(line.charCodeAt(at) ^ 1) + line.slice(at + 1);
      const verdict = verifyChain(lines.with(i, flipped));
      expect(verdict.intact && verdict.head.hash === head.hash).toBe(false);
    }
  }
});

test('a line that says the same in other words is refused: a ledger has one text', () => {
  const { entries } = chainOf(bodies);
  const spaced = JSON.stringify(entries[0], null, 1);
  expect(verifyChain([spaced])).toMatchObject({ intact: false, seq: 0, problem: expect.stringContaining('canonical') });
});

const secrets = {
  batchSize: 93,
  batchSizes: [93, 88],
  norms: [0.3],
  gradientNorm: 0.3,
  loss: 0.61,
  losses: { north: 0.61 },
  noise: [3, -4],
  members: ['c-17'],
  sample: [1, 5, 8],
  customers: 2000,
};

test.each(Object.entries(secrets))('an entry of any kind has no room for %s', (field, value) => {
  for (const body of [...bodies, { kind: 'stop', reason: 'by-operator' } as const]) {
    expect(() => appendEntry(EMPTY_LEDGER, { ...body, [field]: value } as LedgerBody, context)).toThrow(field);
    expect(() => appendEntry(EMPTY_LEDGER, body, { ...context, [field]: value })).toThrow(field);
  }
});

test('nor has anything inside an entry', () => {
  const plan = aPlan();
  const charge = aCharge(1);
  const hidden = [
    { ...plan, epsilon: { ...plan.epsilon, batchSize: 93 } },
    { ...plan, unit: 'customer, 93 in this batch' },
    { ...plan, neighbouring: 'batch of 93' },
    { ...charge, event: { ...charge.event, batchSize: 93 } },
    { ...charge, event: { type: 'Composed', events: [{ type: 'NoOp', loss: 0.61 }] } },
    { ...charge, event: { type: 'Skellam', variance: 93 } },
    { ...charge, sumHash: 'batch of 93' },
    { ...anAbort(1), reason: 'loss-0-61' },
    { ...anAbort(1), reason: 'batch of ninety-three' },
    { ...anAbort(1), reason: '' },
    { ...anAbort(1), reason: 'a'.repeat(49) },
    { ...aFinish(2), modelHash: 'ABCDEF'.padEnd(64, '0') },
    JSON.parse(`{"kind":"stop","reason":"by-operator","__proto__":{"batchSize":93}}`),
  ];
  for (const body of hidden) expect(() => appendEntry(EMPTY_LEDGER, body as LedgerBody, context)).toThrow(RangeError);
});

test.each([
  ['a charge of no round', { ...aCharge(1), round: -1 }],
  ['a charge of half a round', { ...aCharge(1), round: 1.5 }],
  ['a charge of no contribution', { ...aCharge(1), contributions: 0 }],
  ['a plan with no delta', { ...aPlan(), delta: 0 }],
  ['a plan with a negative epsilon', { ...aPlan(), epsilon: { release: -1, coalition: 1, floor: 1 } }],
  ['a plan that claims infinity as a number', { ...aPlan(), epsilon: { release: 1, coalition: 1, floor: Infinity } }],
  ['an unknown kind', { kind: 'refund', round: 1 }],
])('%s is refused', (_, body) => {
  expect(() => appendEntry(EMPTY_LEDGER, body as LedgerBody, context)).toThrow('not a ledger entry');
});

test('a body cannot choose its place in the chain', () => {
  const body = { ...aFinish(1), seq: 40, previous: hex('mine'), v: 1 } as LedgerBody;
  const { entry } = appendEntry(EMPTY_LEDGER, body, context);
  expect(entry).toMatchObject({ seq: 0, previous: EMPTY_LEDGER.hash });
});

test('the head is also the Merkle tree over the entries’ texts', () => {
  const { entries, head } = chainOf(bodies);
  const leaves = entries.map((entry) => leafHash(Buffer.from(entryText(entry))));
  expect(rootOf(head)).toEqual(treeRoot(leaves));
  expect(head.size).toBe(8);
});
