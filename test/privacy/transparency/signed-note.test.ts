import { describe, expect, test } from 'vitest';
import { TransparencyRefused } from '../../../privacy/transparency/canonical-text.ts';
import {
  formatNote,
  MAX_NOTE_BYTES,
  MAX_SIGNATURES,
  MAX_TEXT_LINES,
  parseNote,
  parseSignatureLine,
  signatureLine,
  signNote,
  verifyNote,
  withSignature,
} from '../../../privacy/transparency/signed-note.ts';
import { formatVerifierKey, keyId, parseVerifierKey } from '../../../privacy/transparency/verifier-key.ts';
import { flipped, signerOf, verifyEd25519, witnessOf } from './keys.ts';
import { noteVectors } from './note-vectors.ts';

const { example, quasimodo, text, ...golang } = noteVectors;
const peterKey = parseVerifierKey(golang.peter.vkey);
const enochKey = parseVerifierKey(golang.enoch.vkey);
const [peter, enoch] = [`${golang.peter.line}\n`, `${golang.enoch.line}\n`];

test('the example of signed-note verifies under its key, and is written as it was', () => {
  const key = parseVerifierKey(example.vkey);
  const note = verifyNote(example.note, [key], verifyEd25519);
  expect(note.text).toBe('This is an example message.\n');
  expect(note.signedBy).toEqual([key]);
  expect(formatNote(parseNote(example.note))).toBe(example.note);
  const changed = example.note.replace('message', 'massage');
  expect(() => verifyNote(changed, [key], verifyEd25519)).toThrow(/example\.com\/foo\+530d903a does not verify/);
});

test('a text may hold empty lines: the last one separates', () => {
  const note = parseNote(quasimodo);
  expect(note.text.endsWith('sole:\n\ned è subito sera.\n')).toBe(true);
  expect(note.signatures).toMatchObject([{ name: 'quasimodo.example/salvatore', id: '367ba04b' }]);
  expect(formatNote(note)).toBe(quasimodo);
});

describe('the notes of golang.org/x/mod/sumdb/note', () => {
  test('are signed as they are there', () => {
    // <type> ‖ seed, from the PRIVATE+KEY of the test
    const signer = signerOf('PeterNeumann', Buffer.from(golang.peter.seed, 'base64').subarray(1));
    expect(formatVerifierKey(signer.key)).toBe(golang.peter.vkey);
    expect(signNote(text, signer)).toBe(`${text}\n${peter}`);
  });

  test('verify under whoever of the signers is known, others ignored', () => {
    const note = `${text}\n${peter}${enoch}`;
    expect(verifyNote(note, [peterKey], verifyEd25519)).toMatchObject({ text, signedBy: [peterKey] });
    expect(verifyNote(note, [enochKey, peterKey], verifyEd25519).signedBy).toEqual([enochKey, peterKey]);
    expect(() => verifyNote(note, [], verifyEd25519)).toThrow('not signed by a known key');
    expect(() => verifyNote(`${text}\n${enoch}`, [peterKey], verifyEd25519)).toThrow('not signed by a known key');
  });

  test('a key that is named twice in the list says nothing', () => {
    expect(() => verifyNote(`${text}\n${enoch}`, [enochKey, peterKey, enochKey], verifyEd25519)).toThrow(RangeError);
  });

  test('a bad signature by a known key spoils the note, whoever else signed well', () => {
    const spoilt = `${peter.slice(0, 60)}ABCD${peter.slice(60)}`;
    for (const lines of [spoilt, enoch + spoilt, spoilt + enoch, peter + spoilt]) {
      expect(() => verifyNote(`${text}\n${lines}`, [enochKey, peterKey], verifyEd25519)).toThrow(TransparencyRefused);
    }
    expect(verifyNote(`${text}\n${enoch}${spoilt}`, [enochKey], verifyEd25519).signedBy).toEqual([enochKey]);
  });

  test('a signature repeated counts once', () => {
    const note = `${text}\n${peter}${peter}${enoch}${enoch}`;
    expect(verifyNote(note, [peterKey], verifyEd25519).signedBy).toEqual([peterKey]);
  });

  test('a signature under another name or another id is another key’s', () => {
    const misnamed = peter.replace('PeterNeumann', 'CarmenSandiego');
    const misnumbered = peter.replace('x08g', 'xxxx');
    for (const line of [misnamed, misnumbered]) {
      expect(() => verifyNote(`${text}\n${line}`, [peterKey], verifyEd25519)).toThrow('not signed by a known key');
      expect(verifyNote(`${text}\n${line}${peter}`, [peterKey], verifyEd25519).signedBy).toEqual([peterKey]);
    }
  });

  test.each([
    ['the text alone', text],
    ['no signature', `${text}\n`],
    ['no line break at the end', `${text}\n${peter.slice(0, -1)}`],
    ['a control character in front', `\x01${text}\n${peter}`],
    ['half a surrogate pair', `\ud800${text}\n${peter}`],
    ['a space in a name', `${text}\n${peter.replace('PeterNeumann', 'Peter Neumann')}`],
    ['a no-break space in a name', `${text}\n${peter.replace('PeterNeumann', 'Peter\u00a0Neumann')}`],
    ['a plus sign in a name', `${text}\n${peter.replace('PeterNeumann', 'Peter+Neumann')}`],
    ['no name', `${text}\n${peter.replace('PeterNeumann', '')}`],
    ['a line that is no signature behind', `${text}\n${peter}Unexpected line.\n`],
    ['a line that is no signature before', `${text}\nUnexpected line.\n${peter}`],
    ['an empty line behind', `${text}\n${peter}\n`],
    ['a hyphen for the dash', `${text}\n${peter.replace('\u2014', '-')}`],
    ['carriage returns', `${text}\n${peter}`.replaceAll('\n', '\r\n')],
    ['a tab', `${text}\t\n\n${peter}`],
    ['two spaces', `${text}\n${peter.replace('PeterNeumann ', 'PeterNeumann  ')}`],
    ['padding left out', `${text}\n${peter.replace('=', '')}`],
    ['unused bits set in base64', `${text}\n${peter.replace('nAM=', 'nAN=')}`],
    ['an id without a signature', `${text}\n\u2014 PeterNeumann x08gow==\n`],
    ['something behind a signature', `${text}\n${peter.slice(0, -1)} x\n`],
    ['no line break behind the second signature', `${text}\n${peter}${enoch.slice(0, -1)}`],
    ['no empty line', `x${peter}`],
    ['nothing at all', ''],
    ['only line breaks', '\n\n\n'],
  ])('%s is no note', (_, note) => {
    expect(() => parseNote(note)).toThrow(TransparencyRefused);
    expect(() => verifyNote(note, [peterKey], verifyEd25519)).toThrow(TransparencyRefused);
  });
});

test('a note has limits, and what is within them is read', () => {
  const note = (lines: number, signatures: number): string => `${'a\n'.repeat(lines)}\n${enoch.repeat(signatures)}`;
  expect(parseNote(note(MAX_TEXT_LINES, MAX_SIGNATURES)).signatures).toHaveLength(MAX_SIGNATURES);
  expect(() => parseNote(note(MAX_TEXT_LINES + 1, 1))).toThrow(`more than ${MAX_TEXT_LINES} lines`);
  expect(() => parseNote(note(1, MAX_SIGNATURES + 1))).toThrow(`more than ${MAX_SIGNATURES} signatures`);
  const room = MAX_NOTE_BYTES - Buffer.byteLength(enoch) - 2;
  const long = `${'é'.repeat(room / 2)}${'a'.repeat(room % 2)}\n\n${enoch}`;
  expect(Buffer.byteLength(long)).toBe(MAX_NOTE_BYTES);
  expect(parseNote(long).signatures).toHaveLength(1);
  expect(() => parseNote(`a${long}`)).toThrow(`more than ${MAX_NOTE_BYTES} bytes`);
});

test('a signature is added behind the others, and takes the place of one by the same key', () => {
  const [north, south, again] = [signerOf('north', 1), signerOf('south', 2), signerOf('north', 3)];
  const line = ({ key, sign }: typeof north, signed: string): string =>
    signatureLine({ name: key.name, id: keyId(key), signature: sign(Buffer.from(signed)) });
  let note = signNote('first\n', north);
  note = withSignature(note, line(south, 'first\n'));
  note = withSignature(note, line(again, 'first\n'));
  const keys = [north.key, south.key, again.key];
  expect(verifyNote(note, keys, verifyEd25519).signedBy).toEqual(keys);
  const spoilt = withSignature(note, line(south, 'second\n'));
  expect(spoilt.split('\n').length).toBe(note.split('\n').length);
  expect(() => verifyNote(spoilt, keys, verifyEd25519)).toThrow(/south\+/);
  expect(withSignature(spoilt, line(south, 'first\n')).split('\n').sort()).toEqual(note.split('\n').sort());
  expect(() => withSignature(note, `${line(south, 'x')}\n`)).toThrow(TransparencyRefused);
});

test('every bit of a signature counts', () => {
  const signer = signerOf('north', 4);
  const [signature] = parseNote(signNote('text\n', signer)).signatures;
  for (let bit = 0; bit < 64 * 8; bit += 7) {
    const note = formatNote({
      text: 'text\n',
      signatures: [{ ...signature!, signature: flipped(signature!.signature, bit) }],
    });
    expect(() => verifyNote(note, [signer.key], verifyEd25519)).toThrow(TransparencyRefused);
  }
});

test('what would not be read is not written', () => {
  const signer = signerOf('north', 1);
  // its last line would become a signature line of a shorter text
  expect(() => signNote(`text\n\n${golang.peter.line}`, signer)).toThrow(RangeError);
  for (const bad of ['', 'no line break', 'text']) expect(() => signNote(bad, signer)).toThrow(RangeError);
  for (const bad of ['tab\t\n', '\ud800\n', '\x00\n', 'a\n'.repeat(MAX_TEXT_LINES + 1)]) {
    expect(() => signNote(bad, signer)).toThrow(TransparencyRefused);
  }
  expect(() => formatNote({ text: 'text\n', signatures: [] })).toThrow(TransparencyRefused);
  expect(() => signNote('text\n', { ...signer, sign: () => new Uint8Array(63) })).toThrow(RangeError);
  const signature = new Uint8Array(64);
  expect(() => signatureLine({ name: 'a b', id: '00000000', signature })).toThrow(RangeError);
  expect(() => signatureLine({ name: 'a', id: '0000000', signature })).toThrow(RangeError);
  expect(() => signatureLine({ name: 'a', id: '00000000', signature: new Uint8Array(0) })).toThrow(RangeError);
});

test('a signature line is read as it is written', () => {
  for (const line of [golang.peter.line, golang.enoch.line]) expect(signatureLine(parseSignatureLine(line))).toBe(line);
});

test('a key for cosignatures neither signs a note nor stands for one', () => {
  const witness = witnessOf('witness', 9);
  expect(() => signNote('text\n', witness)).toThrow(RangeError);
  expect(() => verifyNote(`${text}\n${peter}`, [peterKey, witness.key], verifyEd25519)).toThrow(RangeError);
});
