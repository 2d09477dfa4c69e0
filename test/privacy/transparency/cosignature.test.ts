import { expect, test } from 'vitest';
import { TransparencyRefused } from '../../../privacy/transparency/canonical-text.ts';
import { type Checkpoint, signCheckpoint } from '../../../privacy/transparency/checkpoint.ts';
import { cosign, cosignedMessage, verifyCosigned } from '../../../privacy/transparency/cosignature.ts';
import { leafHash } from '../../../privacy/transparency/merkle.ts';
import {
  formatNote,
  parseNote,
  parseSignatureLine,
  signatureLine,
  signaturesBy,
  signNote,
  withSignature,
} from '../../../privacy/transparency/signed-note.ts';
import { formatVerifierKey, keyId, parseVerifierKey } from '../../../privacy/transparency/verifier-key.ts';
import { flipped, signerOf, verifyEd25519, witnessOf } from './keys.ts';
import { noteVectors } from './note-vectors.ts';

const { sofa, arche2025h1 } = noteVectors;

test('the message is that of tlog-cosignature, and the time that of its example', () => {
  const { text, signatures } = parseNote(sofa.note);
  expect(Buffer.from(cosignedMessage(text, 1679315147)).toString()).toBe(sofa.cosigned);
  const stamped = signatures[1]!.signature;
  expect(stamped).toHaveLength(72);
  expect(Number(Buffer.from(stamped).readBigUInt64BE())).toBe(1679315147);
});

test('a checkpoint of a public log verifies with the cosignatures of its four witnesses', () => {
  const witnesses = arche2025h1.witnesses.map(parseVerifierKey);
  const trusted = { logKeys: [parseVerifierKey(arche2025h1.log)], witnesses, verify: verifyEd25519 };
  const { checkpoint, cosignedBy } = verifyCosigned(arche2025h1.note, trusted);
  expect(checkpoint).toMatchObject({ origin: 'arche2025h1.staging.ct.transparency.dev', size: 1432088532 });
  expect(cosignedBy).toEqual(
    arche2025h1.witnesses.map((key) => ({ name: key.slice(0, key.indexOf('+')), key, time: arche2025h1.time })),
  );
  // its sixth signature is of a type we do not have; who is not asked about is ignored
  expect(verifyCosigned(arche2025h1.note, { ...trusted, witnesses: [witnesses[2]!] }).cosignedBy).toHaveLength(1);
  for (const [from, to] of [
    ['1432088532', '1432088533'],
    ['U7WM79', 'V7WM79'],
  ] as const) {
    expect(() => verifyCosigned(arche2025h1.note.replace(from, to), trusted)).toThrow(TransparencyRefused);
  }
});

const log = signerOf('log.example', 1);
const witnesses = [witnessOf('north', 2), witnessOf('south', 3), witnessOf('west', 4)] as const;
const checkpoint: Checkpoint = { origin: 'log.example', size: 9, root: leafHash(new Uint8Array(1)), extensions: [] };
const signed = signCheckpoint(checkpoint, log);
const trusted = { logKeys: [log.key], witnesses: witnesses.map(({ key }) => key), verify: verifyEd25519 };
const cosigned = (note: string, who: readonly number[], time = 1_700_000_000): string =>
  who.reduce((each, at) => withSignature(each, cosign(note, time + at, witnesses[at]!)), note);

test('who cosigned is told with the time, in the order asked for, and nobody else', () => {
  const note = cosigned(signed, [2, 0]);
  expect(verifyCosigned(note, trusted)).toEqual({
    checkpoint,
    cosignedBy: [
      { name: 'north', key: formatVerifierKey(witnesses[0].key), time: 1_700_000_000 },
      { name: 'west', key: formatVerifierKey(witnesses[2].key), time: 1_700_000_002 },
    ],
  });
  expect(verifyCosigned(signed, trusted).cosignedBy).toEqual([]);
});

test('a witness that signs again is told once: with the latest time, or, twice in the note, the later one', () => {
  const again = cosigned(cosigned(signed, [1], 100), [1], 200);
  expect(verifyCosigned(again, trusted).cosignedBy).toMatchObject([{ name: 'south', time: 201 }]);
  for (const times of [
    [500, 300],
    [300, 500],
  ]) {
    const { text, signatures } = parseNote(signed);
    const both = times.map((time) => parseSignatureLine(cosign(signed, time, witnesses[1])));
    const note = formatNote({ text, signatures: [...signatures, ...both] });
    expect(verifyCosigned(note, trusted).cosignedBy).toMatchObject([{ name: 'south', time: 500 }]);
  }
});

test('every bit counts: of the time and of the signature', () => {
  const note = cosigned(signed, [0]);
  const { text, signatures } = parseNote(note);
  const [own, theirs] = [signatures[0]!, signatures[1]!];
  for (let bit = 0; bit < 72 * 8; bit += 5) {
    const bad = formatNote({ text, signatures: [own, { ...theirs, signature: flipped(theirs.signature, bit) }] });
    expect(() => verifyCosigned(bad, trusted), `${bit}`).toThrow(/north\+[0-9a-f]{8} does not verify/);
  }
  for (const signature of [theirs.signature.subarray(8), new Uint8Array([...theirs.signature, 0])]) {
    const bad = formatNote({ text, signatures: [own, { ...theirs, signature }] });
    expect(() => verifyCosigned(bad, trusted)).toThrow(TransparencyRefused);
    // the length is not left to who verifies
    expect(() => verifyCosigned(bad, { ...trusted, verify: () => true })).toThrow(TransparencyRefused);
  }
});

test('a time beyond what can be counted is refused, even signed', () => {
  const { text, signatures } = parseNote(signed);
  const { key, sign } = witnesses[0];
  const time = 2n ** 60n;
  const stamped = Buffer.alloc(72);
  stamped.writeBigUInt64BE(time);
  stamped.set(sign(Buffer.from(`cosignature/v1\ntime ${time}\n${text}`)), 8);
  const line = { name: key.name, id: keyId(key), signature: stamped };
  expect(() => verifyCosigned(formatNote({ text, signatures: [...signatures, line] }), trusted)).toThrow(
    TransparencyRefused,
  );
  expect(() => cosign(signed, 2 ** 53, witnesses[0])).toThrow(RangeError);
  expect(() => cosign(signed, -1, witnesses[0])).toThrow(RangeError);
});

test('a cosignature of one checkpoint is none of another, nor of the same with other extension lines', () => {
  const line = cosign(signed, 5, witnesses[0]);
  for (const change of [{ size: 10 }, { root: leafHash(new Uint8Array(2)) }, { extensions: ['more'] }]) {
    const other = withSignature(signCheckpoint({ ...checkpoint, ...change }, log), line);
    expect(() => verifyCosigned(other, trusted)).toThrow(TransparencyRefused);
  }
});

test('a plain signature over the checkpoint by a witness’s key is no cosignature', () => {
  const { key, sign } = witnesses[0];
  const { text } = parseNote(signed);
  const line = signatureLine({ name: key.name, id: keyId(key), signature: sign(Buffer.from(text)) });
  expect(() => verifyCosigned(withSignature(signed, line), trusted)).toThrow(TransparencyRefused);
});

test('only the log speaks for its origin', () => {
  const other = signerOf('other.example', 8);
  const { text } = parseNote(signed);
  expect(() => verifyCosigned(signNote(text, other), { ...trusted, logKeys: [other.key] })).toThrow(
    'not signed by a known key named after its origin log.example',
  );
  expect(() => verifyCosigned(signNote(text, other), { ...trusted, logKeys: [log.key, other.key] })).toThrow(
    TransparencyRefused,
  );
  expect(() => verifyCosigned(signNote(text, other), trusted)).toThrow('not signed by a known key');
  // a new key beside the old one, while the log changes it
  const renewed = signerOf('log.example', 9);
  expect(verifyCosigned(signed, { ...trusted, logKeys: [renewed.key, log.key] }).checkpoint).toEqual(checkpoint);
});

test('one key under two names would count twice, so it is refused as a list of witnesses', () => {
  const twins = [witnessOf('north', 2), witnessOf('north-again', 2)].map(({ key }) => key);
  expect(() => verifyCosigned(signed, { ...trusted, witnesses: twins })).toThrow(RangeError);
  expect(() => verifyCosigned(signed, { ...trusted, witnesses: [twins[0]!, twins[0]!] })).toThrow(RangeError);
  expect(() => verifyCosigned(signed, { ...trusted, witnesses: [signerOf('north', 2).key] })).toThrow(RangeError);
});

test('a witness signs checkpoints only, with its own kind of key', () => {
  expect(() => cosign(signNote('no checkpoint\n', log), 1, witnesses[0])).toThrow(TransparencyRefused);
  expect(() => cosign('no note', 1, witnesses[0])).toThrow(TransparencyRefused);
  expect(() => cosign(signed, 1, log)).toThrow(RangeError);
  expect(() => cosign(signed, 1, { ...witnesses[0], sign: () => new Uint8Array(65) })).toThrow(RangeError);
  expect(signaturesBy(parseNote(cosigned(signed, [0])), witnesses[0].key)).toHaveLength(1);
});
