import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Secret } from '../../aggregation/at-rest.ts';
import { EXIT } from '../../aggregation/exit.ts';
import {
  keyFile,
  MIN_KEY_FILE_BYTES,
  newSecret,
  passphrase,
  type Surroundings,
  secretFor,
  writeKeyFile,
} from '../../aggregation/secret.ts';
import { temporaryFolder } from '../support/folder.ts';

const LONG = 'correct horse battery';
const PARLEY_PASSPHRASE = LONG;
const nobody: Surroundings = { env: {}, ask: undefined };

/** A person who types these, one after the other, and what was asked. */
function person(...typed: string[]): Surroundings & { asked: string[] } {
  const asked: string[] = [];
  const ask = async (question: string): Promise<string> => typed[asked.push(question) - 1]!;
  return { env: {}, asked, ask };
}
const text = (secret: Secret | undefined): string => secret!.key.export().toString();

function newKeyFile(): string {
  const file = join(temporaryFolder(), 'key');
  writeKeyFile(file);
  return file;
}

describe('a key file', () => {
  test('is 32 random bytes for its owner alone, never written over another', () => {
    const [one, two] = [newKeyFile(), newKeyFile()];
    expect(readFileSync(one).length).toBe(32);
    expect(statSync(one).mode & 0o777).toBe(0o600);
    expect(readFileSync(one)).not.toEqual(readFileSync(two));
    const before = readFileSync(one);
    expect(() => writeKeyFile(one)).toThrow(expect.objectContaining({ code: EXIT.usage }));
    expect(readFileSync(one)).toEqual(before);
  });

  test('of any content is taken as it is, down to the last line break, when it is long enough', () => {
    const file = join(temporaryFolder(), 'key');
    for (const content of ['a'.repeat(MIN_KEY_FILE_BYTES), `${'b'.repeat(40)}\n`]) {
      writeFileSync(file, content);
      expect(keyFile(file)).toMatchObject({ kind: 'key-file' });
      expect(text(keyFile(file))).toBe(content);
    }
    for (const content of ['', 'a'.repeat(MIN_KEY_FILE_BYTES - 1)]) {
      writeFileSync(file, content);
      expect(() => keyFile(file)).toThrow(
        expect.objectContaining({ code: EXIT.input, message: expect.stringContaining(file) }),
      );
    }
  });

  test('that is missing or no file is named', () => {
    const folder = temporaryFolder();
    const missing = join(folder, 'none');
    expect(() => keyFile(missing)).toThrow(
      expect.objectContaining({ code: EXIT.input, message: `${missing}: no such key file` }),
    );
    expect(() => keyFile(folder)).toThrow(
      expect.objectContaining({ code: EXIT.input, message: `${folder}: not readable (EISDIR)` }),
    );
  });
});

describe('what opens a folder', () => {
  test('is the key file, or the variable, or what a person types: asked only where a passphrase is needed', async () => {
    const file = newKeyFile();
    expect(await secretFor('key-file', { keyFile: file }, nobody)).toMatchObject({ kind: 'key-file' });
    expect(text(await secretFor('passphrase', {}, { env: { PARLEY_PASSPHRASE }, ask: undefined }))).toBe(LONG);
    const typing = person('short');
    expect(text(await secretFor('passphrase', {}, typing))).toBe('short'); // whatever it was set to once
    expect(typing.asked).toEqual(['Passphrase: ']);
    const silent = person();
    for (const protection of ['plain', 'key-file', 'absent'] as const)
      expect(await secretFor(protection, {}, silent)).toBeUndefined();
    expect(silent.asked).toEqual([]);
    expect(await secretFor('passphrase', {}, nobody)).toBeUndefined();
  });

  test('is never guessed: two secrets, and an empty one, are refused', async () => {
    const both = { env: { PARLEY_PASSPHRASE }, ask: undefined };
    await expect(secretFor('passphrase', { keyFile: newKeyFile() }, both)).rejects.toMatchObject({ code: EXIT.usage });
    for (const protection of ['absent', 'plain', 'passphrase'] as const)
      await expect(secretFor(protection, {}, { env: { PARLEY_PASSPHRASE: '' }, ask: undefined })).rejects.toMatchObject(
        {
          code: EXIT.usage,
          message: expect.stringContaining('PARLEY_PASSPHRASE is empty'),
        },
      );
  });

  test('reaches a plain folder, so that it is refused there and not left out', async () => {
    expect(await secretFor('plain', {}, { env: { PARLEY_PASSPHRASE }, ask: undefined })).toBeDefined();
    await expect(secretFor('plain', { protect: true }, person())).rejects.toMatchObject({
      code: EXIT.refused,
      message: expect.stringContaining('`parley keys protect`'),
    });
  });

  test('protects a key that is not there yet: when given, or when protection was asked for', async () => {
    expect(text(await secretFor('absent', {}, { env: { PARLEY_PASSPHRASE }, ask: undefined }))).toBe(LONG);
    expect(text(await secretFor('absent', { protect: true }, person(LONG, LONG)))).toBe(LONG);
    expect(await secretFor('absent', { keyFile: newKeyFile() }, nobody)).toMatchObject({ kind: 'key-file' });
    await expect(secretFor('absent', { protect: true }, nobody)).rejects.toMatchObject({ code: EXIT.usage });
    await expect(
      secretFor('absent', {}, { env: { PARLEY_PASSPHRASE: 'short' }, ask: undefined }),
    ).rejects.toMatchObject({ code: EXIT.usage, message: expect.stringContaining('15 characters') });
  });
});

describe('a new passphrase', () => {
  test('is typed twice, the same', async () => {
    const typing = person(LONG, LONG);
    expect(text(await newSecret({}, typing))).toBe(LONG);
    expect(typing.asked).toEqual(['New passphrase (15 characters or more): ', 'The same again: ']);
    await expect(newSecret({}, person(LONG, `${LONG}!`))).rejects.toMatchObject({ code: EXIT.usage });
  });

  test('has 15 characters or more, and what was typed is not said', async () => {
    for (const short of ['', '12345678901234', '😀'.repeat(14), 'é'.normalize('NFD').repeat(14)]) {
      const refused = await newSecret({}, person(short, short)).catch((error: Error) => error);
      expect(refused).toMatchObject({ code: EXIT.usage, message: expect.stringContaining('15 characters') });
      if (short !== '') expect((refused as Error).message).not.toContain(short);
    }
    expect(text(await newSecret({}, person('😀'.repeat(15), '😀'.repeat(15))))).toBe('😀'.repeat(15));
  });

  test('comes from its own variable when the old one has the other', async () => {
    const env = { PARLEY_PASSPHRASE, PARLEY_NEW_PASSPHRASE: 'another horse battery' };
    expect(text(await newSecret({}, { env, ask: undefined }, 'PARLEY_NEW_PASSPHRASE'))).toBe('another horse battery');
  });

  test('is the same from every keyboard: Unicode’s composed form', () => {
    expect(text(passphrase('Zürich'.normalize('NFD')))).toBe('Zürich'.normalize('NFC'));
    expect(passphrase('\u212b').key.equals(passphrase('\u00c5').key)).toBe(true);
  });
});
