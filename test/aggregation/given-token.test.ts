import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { givenToken } from '../../aggregation/given-token.ts';
import { temporaryFolder } from '../support/folder.ts';

test('a token comes from the file that is named, else from PARLEY_TOKEN, else from PARLEY_OPERATOR_TOKEN', () => {
  const tokenFile = join(temporaryFolder(), 'token');
  writeFileSync(tokenFile, 'in-file\n');
  const env = { PARLEY_TOKEN: 'general', PARLEY_OPERATOR_TOKEN: 'old' };
  expect(givenToken({ tokenFile }, env)).toBe('in-file');
  expect(givenToken({}, env)).toBe('general');
  expect(givenToken({}, { PARLEY_OPERATOR_TOKEN: 'old' })).toBe('old');
  expect(givenToken({}, {})).toBeUndefined();
});

test('a file or variable without one is named, and what it holds is not', () => {
  const tokenFile = join(temporaryFolder(), 'token');
  expect(() => givenToken({ tokenFile }, {})).toThrow(`${tokenFile}: no token can be read there (ENOENT)`);
  writeFileSync(tokenFile, 'half of it\nsecret');
  expect(() => givenToken({ tokenFile }, {})).toThrow(/^\S+token holds no token: one line of printable characters/);
  expect(() => givenToken({}, { PARLEY_TOKEN: '' })).toThrow('PARLEY_TOKEN holds no token');
});
