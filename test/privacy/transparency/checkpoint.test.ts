import fc from 'fast-check';
import { expect, test } from 'vitest';
import { base64, TransparencyRefused } from '../../../privacy/transparency/canonical-text.ts';
import {
  type Checkpoint,
  formatCheckpoint,
  parseCheckpoint,
  signCheckpoint,
} from '../../../privacy/transparency/checkpoint.ts';
import { emptyRoot, leafHash } from '../../../privacy/transparency/merkle.ts';
import { parseNote, verifyNote } from '../../../privacy/transparency/signed-note.ts';
import { signerOf, verifyEd25519, witnessOf } from './keys.ts';
import { noteVectors } from './note-vectors.ts';

const root = leafHash(Buffer.from('an entry'));
const checkpoint: Checkpoint = { origin: 'example.com/log42', size: 1, root, extensions: [] };
const text = `example.com/log42\n1\n${base64(root)}\n`;

test('the example of tlog-checkpoint is read, and written as it was', () => {
  const { text, signatures } = parseNote(noteVectors.sofa.note);
  const read = parseCheckpoint(text);
  expect(read).toMatchObject({ origin: 'example.com/behind-the-sofa', size: 20852163, extensions: [] });
  expect(base64(read.root)).toBe('CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=');
  expect(formatCheckpoint(read)).toBe(text);
  expect(signatures.map(({ name }) => name)).toEqual(['example.com/behind-the-sofa', 'witness.example.com/w1']);
});

test('a log signs its checkpoint with the key that is named after it', () => {
  const signer = signerOf(checkpoint.origin, 1);
  const note = signCheckpoint(checkpoint, signer);
  expect(note.startsWith(`${text}\n\u2014 example.com/log42 `)).toBe(true);
  expect(verifyNote(note, [signer.key], verifyEd25519).text).toBe(text);
  expect(() => signCheckpoint(checkpoint, signerOf('example.com/log43', 1))).toThrow(RangeError);
  expect(() => signCheckpoint(checkpoint, witnessOf(checkpoint.origin, 1))).toThrow(RangeError);
});

const aLine = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter((line) => !/\p{Cc}/u.test(line));

test('every checkpoint comes back as it was written', () => {
  const any = fc.record({
    origin: aLine,
    size: fc.maxSafeNat().map((size) => size || 1),
    root: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    extensions: fc.array(aLine, { maxLength: 3 }),
  });
  fc.assert(
    fc.property(any, (each) => {
      expect(parseCheckpoint(formatCheckpoint(each))).toEqual(each);
    }),
  );
});

test('the empty log has one root', () => {
  expect(parseCheckpoint(`log\n0\n${base64(emptyRoot)}\n`).size).toBe(0);
  expect(() => parseCheckpoint(`log\n0\n${base64(root)}\n`)).toThrow('size 0');
  expect(() => formatCheckpoint({ ...checkpoint, size: 0 })).toThrow(RangeError);
});

test.each([
  ['no line break at the end', text.slice(0, -1)],
  ['two lines', 'log\n1\n'],
  ['an empty origin', text.replace('example.com/log42', '')],
  ['a leading zero', text.replace('\n1\n', '\n01\n')],
  ['a sign', text.replace('\n1\n', '\n+1\n')],
  ['a size beyond 2^53 − 1', text.replace('\n1\n', '\n9007199254740992\n')],
  ['no size', text.replace('\n1\n', '\n\n')],
  ['a root of 31 bytes', `log\n1\n${base64(root.subarray(1))}\n`],
  ['a root without padding', text.replace('=', '')],
  ['an empty line', `${text}\n`],
  ['an empty extension line', `${text}\nextension\n`],
  ['a control character', `${text}ext\tension\n`],
  ['a carriage return', text.replaceAll('\n', '\r\n')],
  ['an origin of 256 bytes', text.replace('example.com/log42', 'é'.repeat(128))],
  ['nothing', ''],
])('%s: no checkpoint', (_, bad) => {
  expect(() => parseCheckpoint(bad)).toThrow(TransparencyRefused);
});

test('an origin has up to 255 bytes and may hold anything that fits a line', () => {
  for (const origin of ['a', 'é'.repeat(127), 'example log+origin']) {
    expect(parseCheckpoint(formatCheckpoint({ ...checkpoint, origin })).origin).toBe(origin);
  }
});

test.each<[string, Partial<Checkpoint>]>([
  ['two lines in the origin', { origin: 'a\nb' }],
  ['an empty origin', { origin: '' }],
  ['half a surrogate pair', { origin: 'a\ud800' }],
  ['half an entry', { size: 0.5 }],
  ['a short root', { root: new Uint8Array(31) }],
  ['an empty extension', { extensions: [''] }],
  ['two lines in an extension', { extensions: ['a\nb'] }],
])('%s cannot be written', (_, change) => {
  expect(() => formatCheckpoint({ ...checkpoint, ...change })).toThrow(RangeError);
});

test('extension lines are kept in order', () => {
  const extended = { ...checkpoint, extensions: ['one', 'two'] };
  expect(formatCheckpoint(extended)).toBe(`${text}one\ntwo\n`);
  expect(parseCheckpoint(`${text}one\ntwo\n`)).toEqual(extended);
});
