import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { firstToken, operatorTokenFile } from '../../../coordinator/access/first-token.ts';
import { newToken, tokenIn } from '../../../coordinator/access/new-token.ts';
import { openTokens } from '../../../coordinator/access/tokens.ts';
import { openSqliteStore } from '../../../coordinator/store/sqlite.ts';
import { temporaryFolder } from '../../support/folder.ts';

const DAY = 86_400_000;

function begin(folder = temporaryFolder()) {
  let now = 1_000_000;
  const store = openSqliteStore(join(folder, 'events.db'));
  const tokens = openTokens(store, store.commit, () => now);
  const give = (holder = 'Anna', role: 'operator' | 'auditor' | 'consumer' = 'auditor', days = 90) => {
    const made = newToken();
    tokens.add({ ...made, role, holder, days });
    return made;
  };
  return {
    folder,
    store,
    tokens,
    give,
    pass(ms: number) {
      now += ms;
    },
  };
}

describe('a token', () => {
  test('has 256 random bits, and is no other one', () => {
    const made = Array.from({ length: 50 }, newToken);
    for (const { token } of made) expect(token).toMatch(/^plt_[0-9a-f]{16}_[\w-]{43}$/);
    expect(new Set(made.map(({ token }) => token.slice(-43))).size).toBe(50);
    expect(new Set(made.map(({ id }) => id)).size).toBe(50);
  });

  test('opens what it was made for until it expires', () => {
    const { tokens, give, pass } = begin();
    const { token, id } = give('Anna', 'auditor', 2);
    expect(tokens.bearerOf(token)).toEqual({ role: 'auditor', holder: 'Anna', id });
    pass(2 * DAY - 1);
    expect(tokens.bearerOf(token)).toBeDefined();
    pass(1);
    expect(tokens.bearerOf(token)).toBeUndefined();
  });

  test('opens nothing once it is revoked, after a restart too; others go on', () => {
    const { folder, store, tokens, give } = begin();
    const [anna, ben] = [give('Anna'), give('Ben')];
    tokens.revoke(anna.id);
    expect(tokens.bearerOf(anna.token)).toBeUndefined();
    store.close();
    const again = begin(folder);
    expect(again.tokens.bearerOf(anna.token)).toBeUndefined();
    expect(again.tokens.bearerOf(ben.token)).toMatchObject({ holder: 'Ben' });
    expect(again.tokens.list().map(({ revokedAt }) => revokedAt)).toContain(1_000_000);
    again.store.close();
  });

  test('with anything changed opens nothing', () => {
    const { tokens, give } = begin();
    const [{ token }, other] = [give(), give('Ben')];
    const swapped = `plt_${other.id}_${token.slice(-43)}`;
    expect(tokens.bearerOf(swapped)).toBeUndefined();
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.constantFrom(...'0aZ_- .'), (at, text) => {
        const changed = token.slice(0, at) + text + token.slice(at + 1);
        // the last character of 32 bytes in base64url has two bits that say nothing; the hash is of the text
        if (changed !== token) expect(tokens.bearerOf(changed)).toBeUndefined();
      }),
    );
  });

  test('stands until it expires or is revoked; what never was a token does not', () => {
    const { tokens, give, pass } = begin();
    const [first, second] = [give('Anna', 'operator', 2), give('Ben', 'operator', 1)];
    expect([first, second].map(({ id }) => tokens.stands(id))).toEqual([true, true]);
    expect(tokens.stands('0'.repeat(16))).toBe(false);
    pass(DAY);
    tokens.revoke(first.id);
    expect([first, second].map(({ id }) => tokens.stands(id))).toEqual([false, false]);
  });

  test('lies in no file: its hash does', () => {
    const { folder, store, give } = begin();
    const { token, secretHash } = give();
    store.close();
    const bytes = readFileSync(join(folder, 'events.db')).toString('latin1');
    expect(bytes).toContain(secretHash);
    expect(bytes).not.toContain(token.slice(-43));
  });

  test('is not made twice, and none that is unknown is revoked', () => {
    const { tokens, give } = begin();
    const made = give();
    expect(() => tokens.add({ ...made, role: 'operator', holder: 'Eve', days: 1 })).toThrow('there is a token');
    expect(tokens.bearerOf(made.token)).toMatchObject({ role: 'auditor' });
    expect(() => tokens.revoke('0'.repeat(16))).toThrow('there is no token');
  });

  test('counts for its person once, however the name is written', () => {
    const { tokens, give, pass } = begin();
    give('Anna Alt', 'operator');
    give(' anna  alt'.replace('  ', ' '), 'operator');
    give('Ben', 'operator', 1);
    give('Cleo', 'auditor');
    expect(tokens.operators().size).toBe(2);
    pass(DAY);
    expect(tokens.operators().size).toBe(1);
  });
});

describe('the first operator’s token', () => {
  const shown = (folder: string): string => readFileSync(operatorTokenFile(folder), 'utf8').trim();

  test('lies in the folder, for its owner alone, and is made once', () => {
    const { folder, tokens } = begin();
    firstToken(folder, tokens);
    expect(statSync(operatorTokenFile(folder)).mode & 0o777).toBe(0o600);
    expect(tokens.bearerOf(shown(folder))).toMatchObject({ role: 'operator' });
    const before = shown(folder);
    firstToken(folder, tokens);
    expect(shown(folder)).toBe(before);
    expect(tokens.list()).toHaveLength(1);
  });

  test('is taken from the file where a start was cut short, and replaces what an earlier version wrote', () => {
    const { folder, tokens } = begin();
    const { token } = newToken();
    writeFileSync(operatorTokenFile(folder), `${token}\n`);
    firstToken(folder, tokens);
    expect(tokens.bearerOf(token)).toMatchObject({ role: 'operator' });

    const older = begin();
    writeFileSync(operatorTokenFile(older.folder), `${'x'.repeat(43)}\n`);
    firstToken(older.folder, older.tokens);
    expect(older.tokens.bearerOf(shown(older.folder))).toMatchObject({ role: 'operator' });
  });

  test('can be revoked like any other; whoever starts the coordinator makes another one, by name', () => {
    const { folder, tokens } = begin();
    firstToken(folder, tokens);
    const lost = shown(folder);
    tokens.revoke(tokenIn(lost)!.id);
    firstToken(folder, tokens);
    expect(tokens.operators().size).toBe(0);
    firstToken(folder, tokens, 'Ben');
    expect(tokens.bearerOf(shown(folder))).toMatchObject({ role: 'operator', holder: 'Ben' });
    expect(tokens.bearerOf(lost)).toBeUndefined();
  });
});
