import { expect, test } from 'vitest';
import { base64, TransparencyRefused } from '../../../privacy/transparency/canonical-text.ts';
import {
  ED25519,
  ED25519_COSIGNATURE,
  formatVerifierKey,
  keyId,
  parseVerifierKey,
} from '../../../privacy/transparency/verifier-key.ts';
import { signerOf, witnessOf } from './keys.ts';
import { noteVectors } from './note-vectors.ts';

const { example, peter, enoch, badKeys, moreKeys, arche2025h1 } = noteVectors;

test.each([example.vkey, peter.vkey, enoch.vkey, ...moreKeys, arche2025h1.log, ...arche2025h1.witnesses])(
  '%s is read, and written as it was',
  (vkey) => {
    const key = parseVerifierKey(vkey);
    expect(formatVerifierKey(key)).toBe(vkey);
    expect(key.name).toBe(vkey.slice(0, vkey.indexOf('+')));
    expect(keyId(key)).toBe(vkey.slice(key.name.length + 1, key.name.length + 9));
    expect(key.type).toBe(vkey.split('+').slice(2).join('+').startsWith('B') ? ED25519_COSIGNATURE : ED25519);
  },
);

// as golang.org/x/mod/sumdb/note does: every shorter piece, every character raised by one
test('no part of a key is a key, nor a key with a character changed', () => {
  const { vkey } = peter;
  for (let from = 0; from <= vkey.length; from++) {
    for (let to = from; to <= vkey.length; to++) {
      if (to - from < vkey.length) expect(() => parseVerifierKey(vkey.slice(from, to))).toThrow(TransparencyRefused);
    }
  }
  for (let at = 0; at < vkey.length; at++) {
    const changed = vkey.slice(0, at) + String.fromCharCode(vkey.charCodeAt(at) + 1) + vkey.slice(at + 1);
    expect(() => parseVerifierKey(changed)).toThrow(TransparencyRefused);
  }
});

test.each(badKeys)('%s has another length or type, and the id that fits', (vkey) => {
  expect(() => parseVerifierKey(vkey)).toThrow(TransparencyRefused);
});

test.each([
  ['upper-case id', (vkey: string) => vkey.replace('c74f20a3', 'C74F20A3')],
  ['line break behind', (vkey: string) => `${vkey}\n`],
  ['padding where none belongs', (vkey: string) => `${vkey}=`],
])('a key with %s is refused', (_, change) => {
  expect(() => parseVerifierKey(change(peter.vkey))).toThrow(TransparencyRefused);
});

test('one key has an id for every name and type', () => {
  const [a, b, c] = [signerOf('north', 1), signerOf('south', 1), witnessOf('north', 1)].map(({ key }) => keyId(key));
  expect(new Set([a, b, c]).size).toBe(3);
});

test.each(['', 'a b', 'a+b', 'a\u00a0b', 'a\u2003b', 'a\u0085b', 'a\nb', 'a\u0001b', 'a\ud800'])(
  'a name like %j is neither written into a key nor read from one',
  (name) => {
    const key = { ...signerOf('x', 1).key, name };
    expect(() => formatVerifierKey(key)).toThrow(RangeError);
    const written = `${name}+${keyId(key)}+${formatVerifierKey({ ...key, name: 'x' })
      .split('+')
      .slice(2)
      .join('+')}`;
    expect(() => parseVerifierKey(written)).toThrow('not <name>+<id>+<key>');
  },
);

test.each([31, 33])('a key of %d bytes is neither written nor read', (length) => {
  const key = { name: 'x', type: ED25519, publicKey: new Uint8Array(length) } as const;
  expect(() => formatVerifierKey(key)).toThrow(RangeError);
  const written = `x+${keyId(key)}+${base64(Uint8Array.of(ED25519, ...key.publicKey))}`;
  expect(() => parseVerifierKey(written)).toThrow(`${length} bytes, expected 32`);
});
