import { describe, expect, test } from 'vitest';
import { base64, TransparencyRefused } from '../../../privacy/transparency/canonical-text.ts';
import { signCheckpoint } from '../../../privacy/transparency/checkpoint.ts';
import { cosign } from '../../../privacy/transparency/cosignature.ts';
import { inclusionProof, leafHash, treeRoot } from '../../../privacy/transparency/merkle.ts';
import { parseNote, signNote, withSignature } from '../../../privacy/transparency/signed-note.ts';
import { formatProof, parseProof, type TlogProof, verifyProof } from '../../../privacy/transparency/tlog-proof.ts';
import { thresholdPolicy } from '../../../privacy/transparency/trust-policy.ts';
import { flipped, signerOf, verifyEd25519, witnessOf } from './keys.ts';
import { noteVectors } from './note-vectors.ts';

const log = signerOf('example.com/fancylog', 1);
const witnesses = [2, 3, 4].map((seed) => witnessOf(`witness${seed}.example`, seed));
const leaves = Array.from({ length: 21 }, (_, at) => leafHash(Buffer.from(`entry ${at}`)));
const policy = thresholdPolicy(
  log.key,
  witnesses.map(({ key }) => key),
  2,
);

function cosigned(size: number, quorum = 2): string {
  const note = signCheckpoint({ origin: log.key.name, size, root: treeRoot(leaves, 0, size), extensions: [] }, log);
  return witnesses.slice(0, quorum).reduce((each, witness) => withSignature(each, cosign(note, 9, witness)), note);
}
const proofOf = (index: number, size: number): TlogProof => ({
  index,
  path: inclusionProof(index, leaves.slice(0, size)),
  checkpoint: cosigned(size),
});

// The example of tlog-proof; its signatures are elided there, so the checkpoint has ours.
const example = `c2sp.org/tlog-proof@v1
extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=
RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=
AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=

${signNote('example.com/fancylog\n109482\nsFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n', log)}`;

test('the example of tlog-proof is read, and written as it was', () => {
  const proof = parseProof(example);
  expect(proof.index).toBe(73894);
  expect(proof.path.map(base64)).toEqual(example.split('\n').slice(3, 8));
  expect(Buffer.from(proof.extra!).toString('latin1')).toMatch(/^age-v1\.2\.1-darwin-arm64\.tar\.gz/);
  expect(proof.checkpoint).toBe(example.slice(example.indexOf('example.com/fancylog')));
  expect(formatProof(proof)).toBe(example);
});

describe('a proof', () => {
  test('of every entry of a log verifies under the policy', () => {
    for (const size of [1, 2, 7, 21]) {
      for (let index = 0; index < size; index++) {
        const text = formatProof(proofOf(index, size));
        const proven = verifyProof(text, leaves[index]!, policy, verifyEd25519);
        expect(proven).toMatchObject({ index, checkpoint: { origin: 'example.com/fancylog', size } });
        expect(proven.cosignedBy.map(({ name }) => name)).toEqual(['witness2.example', 'witness3.example']);
        expect(() => verifyProof(text, flipped(leaves[index]!, 3), policy, verifyEd25519)).toThrow(
          `the entry is not entry ${index} of the ${size}`,
        );
      }
    }
  });

  test('with other numbers, hashes or signers is refused', () => {
    const good = proofOf(5, 21);
    const bad: [string, TlogProof][] = [
      ['another index', { ...good, index: 6 }],
      ['an index beyond the log', { ...good, index: 21 }],
      ['a changed hash', { ...good, path: good.path.with(1, flipped(good.path[1]!, 9)) }],
      ['a hash less', { ...good, path: good.path.slice(1) }],
      ['a hash more', { ...good, path: [...good.path, good.path[0]!] }],
      ['another checkpoint', { ...good, checkpoint: cosigned(20) }],
      ['too few cosignatures', { ...good, checkpoint: cosigned(21, 1) }],
      ['none', { ...good, checkpoint: cosigned(21, 0) }],
      ['another log', { ...good, checkpoint: signNote(parseNote(good.checkpoint).text, signerOf('other', 1)) }],
    ];
    expect(verifyProof(formatProof(good), leaves[5]!, policy, verifyEd25519).index).toBe(5);
    for (const [what, each] of bad) {
      expect(() => verifyProof(formatProof(each), leaves[5]!, policy, verifyEd25519), what).toThrow(
        TransparencyRefused,
      );
    }
  });

  test('vouches for nothing extra', () => {
    const good = proofOf(5, 21);
    for (const extra of ['one', 'two']) {
      const text = formatProof({ ...good, extra: Buffer.from(extra) });
      expect(Buffer.from(parseProof(text).extra!).toString()).toBe(extra);
      expect(verifyProof(text, leaves[5]!, policy, verifyEd25519)).not.toHaveProperty('extra');
    }
  });
});

const text = formatProof(proofOf(5, 21));
test.each([
  ['nothing', ''],
  ['no header', text.slice(text.indexOf('index'))],
  ['another version', text.replace('@v1', '@v2')],
  ['something in front', ` ${text}`],
  ['another word for index', text.replace('index 5', 'Index 5')],
  ['no index', text.replace('index 5\n', '')],
  ['an index that is no number', text.replace('index 5', 'index five')],
  ['an index below 0', text.replace('index 5', 'index -5')],
  ['an index with a leading zero', text.replace('index 5', 'index 05')],
  ['two spaces', text.replace('index 5', 'index  5')],
  ['extra that is no base64', text.replace('index', 'extra !!notbase64!!\nindex')],
  ['extra without anything', text.replace('index', 'extra \nindex')],
  ['extra twice', text.replace('index', 'extra AA==\nextra AA==\nindex')],
  ['extra behind the index', text.replace('index 5', 'index 5\nextra AA==')],
  ['a hash that is no base64', text.replace('index 5\n', 'index 5\n!!notbase64!!\n')],
  ['a hash of 64 bytes', text.replace('index 5\n', `index 5\n${base64(new Uint8Array(64))}\n`)],
  ['64 hashes', text.replace('index 5\n', `index 5\n${`${base64(new Uint8Array(32))}\n`.repeat(59)}`)],
  ['an empty line more', text.replace('\n\n', '\n\n\n')],
  ['no empty line', text.replace('\n\n', '\n')],
  ['no checkpoint', text.slice(0, text.indexOf('\n\n') + 2)],
  ['a note that is no checkpoint', `${text.slice(0, text.indexOf('\n\n') + 2)}${signNote('hello\n', log)}`],
  ['carriage returns', text.replaceAll('\n', '\r\n')],
  ['something behind', `${text}\n`],
  ['more than a megabyte', text.replace('index', `extra ${'A'.repeat(1_048_576)}\nindex`)],
])('%s: no proof', (_, bad) => {
  expect(bad).not.toBe(text);
  expect(() => parseProof(bad)).toThrow(TransparencyRefused);
  expect(() => verifyProof(bad, leaves[5]!, policy, verifyEd25519)).toThrow(TransparencyRefused);
});

test('63 hashes are read: no tree is higher', () => {
  const path = Array.from({ length: 63 }, () => new Uint8Array(32));
  expect(parseProof(formatProof({ ...proofOf(0, 1), path })).path).toEqual(path);
});

test('what would not be read is not written', () => {
  const good = proofOf(0, 1);
  expect(() => formatProof({ ...good, index: -1 })).toThrow(RangeError);
  expect(() => formatProof({ ...good, extra: new Uint8Array(0) })).toThrow(TransparencyRefused);
  expect(() => formatProof({ ...good, path: [new Uint8Array(31)] })).toThrow(TransparencyRefused);
  expect(() => formatProof({ ...good, checkpoint: noteVectors.example.note })).toThrow(TransparencyRefused);
});
