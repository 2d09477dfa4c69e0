import { createSecretKey, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { hkdf } from '@noble/hashes/hkdf.js';
import { scrypt } from '@noble/hashes/scrypt.js';
import { sha256 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decryptAtRest,
  encryptAtRest,
  hkdfBytes,
  protectedBy,
  protectionIn,
  SCRYPT,
  type Secret,
  scryptBytes,
} from '../../aggregation/at-rest.ts';
import { EXIT } from '../../aggregation/exit.ts';
import { passphrase } from '../../aggregation/secret.ts';

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const utf8 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const keyFile = (content: Uint8Array = randomBytes(32)): Secret => ({
  kind: 'key-file',
  key: createSecretKey(content),
});

describe('a key', () => {
  // RFC 7914 §12; the fourth vector there needs 1 GiB
  test.each([
    [
      ['', '', { N: 16, r: 1, p: 1 }],
      '77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906',
    ],
    [
      ['password', 'NaCl', { N: 1024, r: 8, p: 16 }],
      'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640',
    ],
    [
      ['pleaseletmein', 'SodiumChloride', { N: 16384, r: 8, p: 1 }],
      '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887',
    ],
  ] as const)('of the passphrase %j is that of RFC 7914', ([text, salt, cost], expected) => {
    expect(scryptBytes(utf8(text), utf8(salt), cost, 64).toString('hex')).toBe(expected);
  });

  test('of a passphrase costs what OWASP asks for, and is the one that another implementation finds', () => {
    expect(SCRYPT).toEqual({ N: 131_072, r: 8, p: 1 });
    const salt = randomBytes(16);
    const theirs = scrypt('correct horse battery', salt, { ...SCRYPT, dkLen: 32 });
    expect(scryptBytes(utf8('correct horse battery'), salt)).toEqual(Buffer.from(theirs));
  });

  test('of a key file is that of RFC 5869 A.1, and the one that another implementation finds', () => {
    const secret = createSecretKey(bytes('0b'.repeat(22)));
    const [salt, info] = [bytes('000102030405060708090a0b0c'), bytes('f0f1f2f3f4f5f6f7f8f9')];
    expect(hkdfBytes(secret, salt, info, 42).toString('hex')).toBe(
      '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
    );
    const [content, random] = [randomBytes(40), randomBytes(16)];
    const theirs = hkdf(sha256, content, random, utf8('parley/at-rest/v1'), 32);
    expect(hkdfBytes(createSecretKey(content), random)).toEqual(Buffer.from(theirs));
  });
});

// Written by a Python program from the format's description: hashlib.scrypt, and HKDF and AESGCM of cryptography 48.
const SALT = '000102030405060708090a0b0c0d0e0f';
const WRITTEN = {
  passphrase: `{"encrypted":"b5bb73cdf7c2506bc5780c878fa6eaeda19c9512b447d64d4539475a211bc06966","format":"parley-protected","kdf":{"N":131072,"name":"scrypt","p":1,"r":8,"salt":"${SALT}"},"nonce":"6465666768696a6b6c6d6e6f","purpose":"a test","version":1}\n`,
  keyFile: `{"encrypted":"3bebf9ebbe8e79695bb8342c5745b68b2c0979bd8417c2ed69688c2e62a1e0ccd4","format":"parley-protected","kdf":{"name":"hkdf-sha256","salt":"${SALT}"},"nonce":"6465666768696a6b6c6d6e6f","purpose":"a test","version":1}\n`,
};

describe('a file that another program wrote', () => {
  test('opens with its passphrase, from a keyboard that composes letters and from one that does not', () => {
    const text = 'Zürich, wörd 東京 1234';
    for (const form of ['NFC', 'NFD'])
      expect(decryptAtRest(WRITTEN.passphrase, passphrase(text.normalize(form)), 'a test', 'f')).toBe(
        'what was written\n',
      );
  });
  test('opens with its key file', () => {
    const secret = keyFile(Uint8Array.from({ length: 32 }, (_, i) => i));
    expect(decryptAtRest(WRITTEN.keyFile, secret, 'a test', 'f')).toBe('what was written\n');
  });
});

describe('a protected file', () => {
  const secret = keyFile();
  const file = encryptAtRest('the key', secret, 'a purpose');
  /** What opening says, and its exit code. */
  const said = (text: string, by = secret, purpose = 'a purpose'): { code: number; message: string } => {
    try {
      decryptAtRest(text, by, purpose, 'hub/identity.pem');
    } catch (error) {
      const { code, message } = error as { code: number; message: string };
      return { code, message };
    }
    throw new Error('it opened');
  };
  const DOES_NOT_OPEN =
    /^hub\/identity\.pem does not open: it is protected by another (key file|passphrase), or was changed/;

  test('opens to what was written, whatever it was', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }),
        fc.string(),
        fc.uint8Array({ minLength: 32 }),
        (text, purpose, content) => {
          const by = keyFile(content);
          const written = encryptAtRest(text, by, purpose.slice(0, 100));
          expect(decryptAtRest(written, by, purpose.slice(0, 100), 'f')).toBe(Buffer.from(text).toString());
        },
      ),
    );
  });

  test('opens with its passphrase, and says by what it is protected', () => {
    const by = passphrase('correct horse battery');
    const written = encryptAtRest('the key', by, 'a purpose');
    expect(decryptAtRest(written, by, 'a purpose', 'f')).toBe('the key');
    expect(protectionIn(written, 'f')).toBe('passphrase');
    expect(protectionIn(file, 'f')).toBe('key-file');
    const wrong = said(written, passphrase('correct horse batterz'));
    expect(wrong).toEqual({ code: EXIT.refused, message: expect.stringMatching(DOES_NOT_OPEN) });
    expect(said(written)).toEqual({
      code: EXIT.refused,
      message: `hub/identity.pem ${protectedBy('passphrase')} (a key file was given)`,
    });
  });

  test('is another each time: no salt and no nonce is used again', () => {
    const many = Array.from({ length: 50 }, () => JSON.parse(encryptAtRest('the key', secret, 'a purpose')));
    for (const part of ['nonce', 'encrypted'] as const) expect(new Set(many.map((one) => one[part])).size).toBe(50);
    expect(new Set(many.map((one) => one.kdf.salt)).size).toBe(50);
  });

  test('does not open with another key file', () => {
    expect(said(file, keyFile())).toEqual({ code: EXIT.refused, message: expect.stringMatching(DOES_NOT_OPEN) });
  });

  test('does not open for another purpose, nor when its purpose is rewritten', () => {
    expect(said(file, secret, 'another')).toEqual({
      code: EXIT.refused,
      message: 'hub/identity.pem was protected for another purpose; put the right file in its place',
    });
    expect(said(file.replace('a purpose', 'another'), secret, 'another').message).toMatch(DOES_NOT_OPEN);
  });

  test('is refused when any one character of it is another', () => {
    const other = fc.constantFrom(...'0123456789abcdefABCDEF{}":, \n');
    fc.assert(
      fc.property(fc.nat(file.length - 1), other, (at, character) => {
        fc.pre(file[at] !== character);
        const { code } = said(file.slice(0, at) + character + file.slice(at + 1));
        expect([EXIT.input, EXIT.refused]).toContain(code);
      }),
      { numRuns: 1000 },
    );
  });

  test('is refused when it was cut, or something was added', () => {
    const whole = {
      code: EXIT.input,
      message: expect.stringContaining('hub/identity.pem: not a whole protected file'),
    };
    for (let length = 0; length < file.length; length++) expect(said(file.slice(0, length))).toEqual(whole);
    for (const more of [`${file}\n`, ` ${file}`, file + file, file.replace('{', '{"more":1,'), file.replace(',', ', ')])
      expect(said(more)).toEqual(whole);
  });

  test('does not open when parts of two files are put together, though both are of one secret and purpose', () => {
    const other = JSON.parse(encryptAtRest('another key', secret, 'a purpose'));
    const mine = JSON.parse(file);
    for (const part of ['kdf', 'nonce', 'encrypted'])
      expect(said(file.replace(JSON.stringify(mine[part]), JSON.stringify(other[part]))).message).toMatch(
        DOES_NOT_OPEN,
      );
  });

  test('that asks for more memory than it may, or less work than it must, is not derived at all', () => {
    const by = passphrase('correct horse battery');
    for (const [from, to] of [
      ['"N":131072', '"N":1073741824'],
      ['"N":131072', '"N":2'],
      ['"r":8', '"r":1'],
      ['"p":1', '"p":9999'],
    ] as const)
      expect(said(WRITTEN.passphrase.replace(from, to), by, 'a test').code).toBe(EXIT.input);
  });

  test('of a newer version is not called damaged', () => {
    expect(said(file.replace('"version":1', '"version":2'))).toEqual({
      code: EXIT.input,
      message: 'hub/identity.pem was protected by a newer Parley (version 2): install that one',
    });
  });

  test('and its secret are not in what is said or shown', () => {
    const by = passphrase('correct horse battery');
    const shown = [
      inspect(by, { depth: 9 }),
      JSON.stringify(by),
      said(file, by).message,
      said(file, keyFile()).message,
    ];
    for (const text of shown) {
      expect(text).not.toContain('correct');
      expect(text).not.toContain(Buffer.from('correct').toString('hex'));
      expect(text).not.toContain('the key');
    }
  });
});
