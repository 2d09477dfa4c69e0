import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { EXIT } from '../../aggregation/exit.ts';
import { createStoreKey, identityFile, keysIn, protectionOf, replaceKeys } from '../../aggregation/folder-keys.ts';
import { isSignedBy } from '../../aggregation/identity.ts';
import { replaceFile } from '../../aggregation/replace-file.ts';
import { keyFile, passphrase, writeKeyFile } from '../../aggregation/secret.ts';
import { temporaryFolder } from '../support/folder.ts';

const secretIn = (folder: string) => {
  const file = join(folder, 'secret');
  if (!existsSync(file)) writeKeyFile(file);
  return keyFile(file);
};
const modeOf = (file: string): number => statSync(file).mode & 0o777;

describe('keys in a folder that is not protected', () => {
  test('are made once, for their owner alone, and are PKCS #8 PEM as ever', () => {
    const folder = join(temporaryFolder(), 'unit');
    expect(protectionOf(folder)).toBe('absent');
    const { identity, storeKey } = keysIn(folder);
    expect(storeKey).toBeUndefined();
    expect(protectionOf(folder)).toBe('plain');
    expect(readFileSync(identityFile(folder), 'utf8')).toBe(identity.exportPem());
    expect(keysIn(folder).identity.publicKey).toEqual(identity.publicKey);
    expect([modeOf(folder), modeOf(identityFile(folder))]).toEqual([0o700, 0o600]);
  });

  test('are not opened as if they were protected', () => {
    const folder = temporaryFolder();
    keysIn(folder);
    expect(() => keysIn(folder, secretIn(folder))).toThrow(
      expect.objectContaining({
        code: EXIT.refused,
        message: expect.stringContaining('is not protected, and a passphrase'),
      }),
    );
  });

  test('that were cut or changed are named, and nothing of them is said', () => {
    const folder = temporaryFolder();
    const pem = keysIn(folder).identity.exportPem();
    for (const text of ['', pem.slice(0, 40), pem.slice(0, -30), `${pem.slice(0, 60)}!!!${pem.slice(63)}`, `x${pem}`]) {
      writeFileSync(identityFile(folder), text);
      let message = '';
      try {
        keysIn(folder);
      } catch (error) {
        expect(error).toMatchObject({ code: EXIT.input });
        message = (error as Error).message;
      }
      expect(message).toContain(`${identityFile(folder)}: not `);
      expect(message).not.toContain(pem.split('\n')[1]!.slice(20));
    }
  });
});

describe('keys in a folder that is protected', () => {
  test('are protected from the start, store key and all, and open with the secret alone', () => {
    const folder = join(temporaryFolder(), 'unit');
    const other = temporaryFolder();
    const secret = secretIn(other);
    const { identity, storeKey } = keysIn(folder, secret);
    expect(protectionOf(folder)).toBe('key-file');
    expect(modeOf(identityFile(folder))).toBe(0o600);
    const text = readFileSync(identityFile(folder), 'utf8');
    const body = identity.exportPem().split('\n')[1]!;
    for (const plain of [body, Buffer.from(body).toString('hex'), storeKey!.export().toString('hex')])
      expect(text).not.toContain(plain);
    const again = keysIn(folder, secret);
    expect(isSignedBy(identity.publicKey, Buffer.from('x'), again.identity.sign(Buffer.from('x')))).toBe(true);
    expect(again.storeKey!.equals(storeKey!)).toBe(true);
    expect(() => keysIn(folder)).toThrow(/identity\.pem is protected by a key file: name it with --key-file$/);
    expect(() => keysIn(folder, secretIn(temporaryFolder()))).toThrow(/does not open/);
    expect(() => keysIn(folder, passphrase('correct horse battery'))).toThrow(/\(a passphrase was given\)$/);
  });

  test('show nothing when they are printed', () => {
    const keys = keysIn(join(temporaryFolder(), 'unit'), secretIn(temporaryFolder()));
    const shown = inspect(keys, { depth: 9 }) + JSON.stringify(keys);
    expect(shown).not.toContain(keys.storeKey!.export().toString('hex'));
    expect(shown).not.toContain(inspect(keys.storeKey!.export()).slice(8, 40));
    expect(shown).not.toContain('PRIVATE');
  });

  test('are those of another store key in every folder', () => {
    const secret = secretIn(temporaryFolder());
    const [one, two] = [0, 1].map(() => keysIn(join(temporaryFolder(), 'unit'), secret).storeKey!);
    expect(one!.equals(two!)).toBe(false);
    expect(one!.symmetricKeySize).toBe(32);
  });

  test('are replaced as a whole: protected, plain, protected otherwise, always the same identity', () => {
    const folder = temporaryFolder();
    const { identity } = keysIn(folder);
    const storeKey = createStoreKey();
    const first = secretIn(temporaryFolder());
    const second = secretIn(temporaryFolder());
    for (const secret of [first, second]) {
      replaceKeys(folder, identity, { secret, storeKey });
      const keys = keysIn(folder, secret);
      expect(keys.identity.publicKey).toEqual(identity.publicKey);
      expect(keys.storeKey!.equals(storeKey)).toBe(true);
    }
    expect(() => keysIn(folder, first)).toThrow(/does not open/);
    replaceKeys(folder, identity);
    expect(keysIn(folder).identity.publicKey).toEqual(identity.publicKey);
    expect(readdirSync(folder)).toEqual(['identity.pem']);
    expect(modeOf(identityFile(folder))).toBe(0o600);
  });
});

describe('a file that is replaced', () => {
  test('is for its owner alone, whatever it was, and nothing is left beside it', () => {
    const folder = temporaryFolder();
    const file = join(folder, 'key.pem');
    writeFileSync(file, 'old');
    chmodSync(file, 0o644);
    const mine = ['key.pem.0123456789abcdef.new', 'key.pem.fedcba9876543210.new'];
    const others = ['key.pem.new', 'key.pem.backup', 'other.pem.0123456789abcdef.new'];
    for (const name of [...mine, ...others]) writeFileSync(join(folder, name), 'left');
    replaceFile(file, 'new');
    expect(readFileSync(file, 'utf8')).toBe('new');
    expect(modeOf(file)).toBe(0o600);
    expect(readdirSync(folder).sort()).toEqual(['key.pem', ...others].sort());
  });

  test.skipIf(process.getuid?.() !== 0)('stays its owner’s when root replaces it', async () => {
    const { chownSync } = await import('node:fs');
    const file = join(temporaryFolder(), 'key.pem');
    writeFileSync(file, 'old');
    chownSync(file, 12_345, 12_346);
    replaceFile(file, 'new');
    expect(statSync(file)).toMatchObject({ uid: 12_345, gid: 12_346 });
  });
});
