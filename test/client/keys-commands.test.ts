import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { identityFile, keysIn, protectionOf } from '../../aggregation/folder-keys.ts';
import { fingerprint } from '../../aggregation/identity.ts';
import { keyFile, writeKeyFile } from '../../aggregation/secret.ts';
import { openClientStore } from '../../client/client-store.ts';
import { storeFile } from '../../client/folder.ts';
import { openBudget } from '../../privacy/budget.ts';
import { temporaryFolder } from '../support/folder.ts';
import { type Ended, parley } from '../support-client/processes.ts';

const PASSPHRASE = 'correct horse battery staple';
const budget = openBudget({
  training: { epsilon: 3.140625, delta: 1e-5 },
  'held-out': { epsilon: 2.828125, delta: 1e-5 },
});

interface Unit {
  readonly folder: string;
  readonly print: string;
  /** the body of its plain key */
  readonly body: string;
}

/** A tenant's folder with a key, a budget and a pin; protected when a key file is given. */
function newUnit(file?: string): Unit {
  const folder = join(temporaryFolder(), 'unit');
  const { identity, storeKey } = keysIn(folder, file === undefined ? undefined : keyFile(file));
  const store = openClientStore(storeFile(folder), storeKey);
  store.setBudget(budget);
  store.pin('contract', 'one row is one customer');
  store.close();
  return { folder, print: fingerprint(identity.publicKey), body: identity.exportPem().split('\n')[1]! };
}

function newKeyFile(): string {
  const file = join(temporaryFolder(), 'key');
  writeKeyFile(file);
  return file;
}

/** The folder opens with this key file, or with none, and holds what it held. */
function expectOpens({ folder, print }: Unit, file?: string): void {
  const { identity, storeKey } = keysIn(folder, file === undefined ? undefined : keyFile(file));
  expect(fingerprint(identity.publicKey)).toBe(print);
  expect(storeKey === undefined).toBe(file === undefined);
  const store = openClientStore(storeFile(folder), storeKey);
  expect(store.budget()).toEqual(budget);
  expect(store.pinned('contract')).toBe('one row is one customer');
  store.close();
}

/** All bytes of all files in the folder. */
const bytesIn = (folder: string): string =>
  readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'latin1'))
    .join('\n');

function expectNothingPlain({ folder, body }: Unit): void {
  const bytes = bytesIn(folder);
  for (const plain of [body, body.slice(-20), '3.140625', '2.828125', 'one row is one customer'])
    expect(bytes).not.toContain(plain);
}

function json({ code, stdout, stderr }: Ended): unknown {
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
}
const fingerprintOf = (folder: string, args: readonly string[] = [], env = {}): Promise<Ended> =>
  parley(['tenant', 'fingerprint', '--folder', folder, '--json', ...args], env);

describe('parley keys', () => {
  test('protects a folder with a passphrase, changes it, and takes it away: the same tenant with the same budget', async () => {
    const unit = newUnit();
    const { folder } = unit;
    const [first, second] = [{ PARLEY_PASSPHRASE: PASSPHRASE }, { PARLEY_PASSPHRASE: 'another horse battery staple' }];
    const said: Ended[] = [];
    const run = async (command: string, env: Record<string, string>, ...args: string[]): Promise<Ended> => {
      said.push(await parley(['keys', command, '--folder', folder, '--json', ...args], env));
      return said.at(-1)!;
    };
    expect(json(await run('protect', first))).toEqual({ folder, protection: 'passphrase' });
    expectNothingPlain(unit);
    expect(json(await run('protect', first))).toEqual({ folder, protection: 'passphrase' });
    expect(json(await fingerprintOf(folder, [], first))).toEqual({ fingerprint: unit.print });
    const sealed = readFileSync(storeFile(folder));
    const change = { ...first, PARLEY_NEW_PASSPHRASE: second.PARLEY_PASSPHRASE };
    expect(json(await run('change-passphrase', change))).toEqual({ folder, protection: 'passphrase' });
    expect(readFileSync(storeFile(folder))).toEqual(sealed);
    said.push(await fingerprintOf(folder, [], first));
    expect(said.at(-1)).toMatchObject({ code: 4, stderr: expect.stringContaining('identity.pem does not open') });
    expect(json(await fingerprintOf(folder, [], second))).toEqual({ fingerprint: unit.print });
    expect(await run('unprotect', first)).toMatchObject({ code: 4 });
    expect(json(await run('unprotect', second))).toEqual({ folder, protection: 'plain' });
    expectOpens(unit);
    for (const { stdout, stderr } of said)
      for (const secret of [PASSPHRASE, 'horse', unit.body, '3.140625']) expect(stdout + stderr).not.toContain(secret);
  });

  test('goes from a passphrase to a key file and back', async () => {
    const unit = newUnit();
    const file = join(temporaryFolder(), 'key');
    expect(json(await parley(['keys', 'new-key-file', file, '--json']))).toEqual({ keyFile: file });
    expect(statSync(file)).toMatchObject({ size: 32 });
    const of = ['--folder', unit.folder, '--json'];
    await parley(['keys', 'protect', ...of], { PARLEY_PASSPHRASE: PASSPHRASE });
    const to = ['keys', 'change-passphrase', ...of, '--new-key-file', file];
    expect(json(await parley(to, { PARLEY_PASSPHRASE: PASSPHRASE }))).toMatchObject({ protection: 'key-file' });
    expectOpens(unit, file);
    const back = ['keys', 'change-passphrase', ...of, '--key-file', file];
    expect(json(await parley(back, { PARLEY_NEW_PASSPHRASE: PASSPHRASE }))).toMatchObject({ protection: 'passphrase' });
    expect(protectionOf(unit.folder)).toBe('passphrase');
  });

  test('refuses what does not fit, says the way out, and changes nothing', async () => {
    const [file, other] = [newKeyFile(), newKeyFile()];
    const [plain, locked] = [newUnit(), newUnit(file)];
    const env = { PARLEY_PASSPHRASE: PASSPHRASE };
    const keys = () => [plain, locked].map(({ folder }) => readFileSync(identityFile(folder), 'utf8'));
    const before = keys();
    const missing = join(temporaryFolder(), 'none');
    const cases: [string[], Record<string, string>, number, string][] = [
      [['keys', 'protect', '--folder', plain.folder], {}, 2, 'give a key file, set PARLEY_PASSPHRASE, or'],
      [['keys', 'protect', '--folder', plain.folder], { PARLEY_PASSPHRASE: 'short' }, 2, '15 characters or more'],
      [['keys', 'protect', '--folder', plain.folder, '--key-file', file], env, 2, 'which of them is meant?'],
      [['keys', 'protect', '--folder', plain.folder, '--key-file', missing], {}, 3, `${missing}: no such key file`],
      [['keys', 'protect', '--folder', missing, '--key-file', file], {}, 3, 'identity.pem: no such file'],
      [['keys', 'change-passphrase', '--folder', plain.folder], env, 4, '`parley keys protect --folder'],
      [['tenant', 'fingerprint', '--folder', plain.folder], env, 4, 'is not protected'],
      [['tenant', 'fingerprint', '--folder', plain.folder, '--key-file', file], {}, 4, 'is not protected'],
      [['tenant', 'fingerprint', '--folder', locked.folder], {}, 4, 'by a key file: name it with --key-file'],
      [['tenant', 'fingerprint', '--folder', locked.folder], env, 4, '(a passphrase was given)'],
      [['tenant', 'fingerprint', '--folder', locked.folder, '--key-file', other], {}, 4, 'does not open'],
      [['keys', 'protect', '--folder', locked.folder, '--key-file', other], {}, 4, 'does not open'],
      [['keys', 'unprotect', '--folder', locked.folder, '--key-file', other], {}, 4, 'does not open'],
      [['keys', 'unprotect', '--folder', locked.folder], {}, 4, 'name it with --key-file'],
      [['keys', 'new-key-file', file], {}, 2, 'exists already'],
    ];
    for (const [args, around, code, text] of cases) {
      const ended = await parley(args, around);
      expect(ended, args.join(' ')).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(text) });
      expect(ended.stderr).not.toContain('    at ');
    }
    expect(keys()).toEqual(before);
    expectOpens(plain);
    expectOpens(locked, file);
  });

  test('refuses a store whose key was replaced by a plain one, before it changes anything', async () => {
    const [unit, other, file] = [newUnit(), newUnit(), newKeyFile()];
    await parley(['keys', 'protect', '--folder', unit.folder, '--key-file', file]);
    const own = readFileSync(identityFile(unit.folder));
    copyFileSync(identityFile(other.folder), identityFile(unit.folder));
    const ended = await parley(['keys', 'protect', '--folder', unit.folder, '--key-file', file]);
    expect(ended).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('put back the identity.pem it was made with'),
    });
    expect(readFileSync(identityFile(unit.folder))).toEqual(readFileSync(identityFile(other.folder)));
    writeFileSync(identityFile(unit.folder), own);
    expectOpens(unit, file);
  });

  test('waits for nobody: a folder whose client runs stays as it is', async () => {
    const [unit, file] = [newUnit(), newKeyFile()];
    const running = openClientStore(storeFile(unit.folder));
    const ended = await parley(['keys', 'protect', '--folder', unit.folder, '--key-file', file]);
    running.close();
    expect(ended).toMatchObject({ code: 7, stderr: expect.stringContaining('another client runs on this folder') });
    expectOpens(unit);
  });

  const hasScript = spawnSync('script', ['--version']).status === 0;
  test.skipIf(!hasScript)('asks on a terminal, and shows nothing of what is typed', async () => {
    const unit = newUnit();
    /** Types a line whenever the program asks for one, until it says how it ended. @returns all that the terminal showed */
    const typing = async (args: readonly string[], end: RegExp, ...lines: string[]): Promise<string> => {
      const parleyJs = join(import.meta.dirname, '../../parley.js');
      const words = [process.execPath, parleyJs, ...args].map((word) => `'${word}'`).join(' ');
      const child = spawn('script', ['--quiet', '--return', '--command', words, '/dev/null']);
      onTestFinished(() => void child.kill('SIGKILL'));
      let shown = '';
      let asked = 0;
      return new Promise((resolve, reject) => {
        child.stdout.on('data', (data: Buffer) => {
          shown += data;
          const questions = shown.match(/(more\)|again|Passphrase): /g)?.length ?? 0;
          for (; asked < Math.min(lines.length, questions); asked++) child.stdin.write(`${lines[asked]}\r`);
          if (end.test(shown)) resolve(shown);
        });
        child.on('close', () => reject(new Error(`it ended: ${shown}`)));
      });
    };
    const [own, key] = [
      ['--folder', unit.folder],
      ['tenant', 'fingerprint', '--folder', unit.folder],
    ];
    const set = await typing(['keys', 'protect', ...own], /is protected by a passphrase/, PASSPHRASE, PASSPHRASE);
    expect(set).toContain('New passphrase (15 characters or more): ');
    const opened = await typing(key, new RegExp(unit.print), PASSPHRASE);
    const wrong = await typing(key, /does not open/, `${PASSPHRASE}!`);
    for (const shown of [set, opened, wrong]) expect(shown).not.toMatch(/horse|correct|staple/);
  });
});

describe('parley keys, killed at any moment at which it changes the disk,', () => {
  const script = join(import.meta.dirname, '../support-client/dying-keys.ts');
  // a hundred processes start: what they run is compiled once
  const compiled = mkdtempSync(join(tmpdir(), 'parley-compiled-'));
  afterAll(() => rmSync(compiled, { recursive: true }));
  const run = (point: number, ...args: string[]): { killed: boolean; stderr: string } => {
    const { signal, status, stderr } = spawnSync(process.execPath, [script, String(point), ...args], {
      encoding: 'utf8',
    });
    expect(signal === 'SIGKILL' || status === 0, stderr).toBe(true);
    return { killed: signal === 'SIGKILL', stderr };
  };
  /** Kills the command at its first moment, its second, …, each time in a new folder, until it lives. @returns how often */
  function killEverywhere(
    command: string,
    args: readonly string[],
    make: () => Unit,
    then: (unit: Unit) => void,
  ): number {
    for (let point = 1; ; point++) {
      const unit = make();
      const { killed } = run(point, command, unit.folder, ...args);
      then(unit);
      rmSync(unit.folder, { recursive: true });
      if (!killed) return point - 1;
    }
  }
  /** One of these opens the folder's key: undefined stands for none. */
  function opensWith({ folder, print }: Unit, files: readonly (string | undefined)[]): string | undefined {
    const opening = files.filter((file) => {
      try {
        return fingerprint(keysIn(folder, file === undefined ? undefined : keyFile(file)).identity.publicKey) === print;
      } catch {
        return false;
      }
    });
    expect(opening.length).toBe(1);
    return opening[0];
  }
  test('while protecting leaves a key that opens; given again it ends what it began, and nothing plain is left', () => {
    const file = newKeyFile();
    const seen = new Set<string | undefined>();
    const moments = killEverywhere(
      'protect',
      [file],
      () => newUnit(),
      (unit) => {
        seen.add(opensWith(unit, [undefined, file]));
        run(0, 'protect', unit.folder, file);
        expectOpens(unit, file);
        expectNothingPlain(unit);
        expect(readdirSync(unit.folder).sort()).toEqual(['identity.pem', 'tenant.db']);
      },
    );
    expect(moments).toBeGreaterThan(10);
    expect(seen).toEqual(new Set([undefined, file]));
  });

  test('while unprotecting leaves a key that opens; either command ends it', () => {
    const file = newKeyFile();
    const seen = new Set<string | undefined>();
    let turn = 0;
    const moments = killEverywhere(
      'unprotect',
      [file],
      () => newUnit(file),
      (unit) => {
        seen.add(opensWith(unit, [undefined, file]));
        const command = turn++ % 2 === 0 ? 'unprotect' : 'protect';
        run(0, command, unit.folder, file);
        expectOpens(unit, command === 'protect' ? file : undefined);
        if (command === 'protect') expectNothingPlain(unit);
      },
    );
    expect(moments).toBeGreaterThan(10);
    expect(seen).toEqual(new Set([undefined, file]));
  });

  test('while changing what protects it opens with the old or with the new, store and all', () => {
    const [old, next] = [newKeyFile(), newKeyFile()];
    const seen = new Set<string | undefined>();
    const moments = killEverywhere(
      'change',
      [old, next],
      () => newUnit(old),
      (unit) => {
        const opening = opensWith(unit, [old, next]);
        seen.add(opening);
        expectOpens(unit, opening);
        expectNothingPlain(unit);
      },
    );
    expect(moments).toBeGreaterThan(3);
    expect(seen).toEqual(new Set([old, next]));
  });
});
