import { createSecretKey, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import type { Secret } from './at-rest.ts';
import { CommandError, EXIT } from './exit.ts';
import type { Protection } from './folder-keys.ts';

/**
 * Where a passphrase or key file comes from: `--key-file`, the variable PARLEY_PASSPHRASE, or a terminal, without echo.
 * Never from an argument: every process on the machine can read those. The variable can be read by root and by processes of
 * the same user, who could read the memory too.
 */
export interface SecretOptions {
  readonly keyFile?: string;
  /** a new key is protected: ask for a passphrase when none is given otherwise */
  readonly protect?: boolean;
}

/** What surrounds a command. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** undefined where nobody can be asked */
  readonly ask: ((question: string) => Promise<string>) | undefined;
}

/** Fewest bytes of a key file, and fewest characters of a new passphrase (NIST SP 800-63B-4 §3.1.1.2, as the only factor). */
export const MIN_KEY_FILE_BYTES = 32;
export const MIN_PASSPHRASE_LENGTH = 15;

/**
 * What opens a folder's keys, or will protect them when there are none yet.
 * @returns undefined when nothing was given and nobody could be asked: `keysIn` says what is missing
 */
export async function secretFor(
  protection: Protection,
  options: SecretOptions,
  around: Surroundings = surroundings(),
): Promise<Secret | undefined> {
  if (protection === 'absent' && options.protect) return newSecret(options, around);
  // whoever asks for protection must not be left with a plain key
  if (protection === 'plain' && options.protect)
    throw new CommandError(EXIT.refused, 'the key is there already, and plain: `parley keys protect` protects it');
  const given = givenSecret(options.keyFile, around.env['PARLEY_PASSPHRASE'], 'PARLEY_PASSPHRASE');
  if (given !== undefined) return protection === 'absent' ? strong(given) : given;
  if (protection === 'passphrase' && around.ask !== undefined) return passphrase(await around.ask('Passphrase: '));
  return undefined;
}

/** A secret to protect with: given, or typed twice. @throws CommandError when it is none, or too short */
export async function newSecret(
  { keyFile }: SecretOptions,
  { env, ask }: Surroundings = surroundings(),
  variable = 'PARLEY_PASSPHRASE',
): Promise<Secret> {
  const given = givenSecret(keyFile, env[variable], variable);
  if (given !== undefined) return strong(given);
  if (ask === undefined)
    throw new CommandError(EXIT.usage, `give a key file, set ${variable}, or start this from a terminal to be asked`);
  const chosen = strong(passphrase(await ask(`New passphrase (${MIN_PASSPHRASE_LENGTH} characters or more): `)));
  if (!chosen.key.equals(passphrase(await ask('The same again: ')).key))
    throw new CommandError(EXIT.usage, 'the two are not the same; nothing was changed');
  return chosen;
}

/** 32 random bytes in a new file, mode 0600. @throws CommandError when there is a file of that name */
export function writeKeyFile(file: string): void {
  try {
    writeFileSync(file, randomBytes(MIN_KEY_FILE_BYTES), { mode: 0o600, flag: 'wx', flush: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new CommandError(
      EXIT.usage,
      `${file} exists already, and may be what a folder opens with; choose another name`,
    );
  }
}

/** NFC, as RFC 8265 §4.2.2: the same passphrase from every keyboard. */
export const passphrase = (text: string): Secret => ({
  kind: 'passphrase',
  key: createSecretKey(Buffer.from(text.normalize('NFC'))),
});

export function keyFile(file: string): Secret {
  const bytes = contents(file);
  if (bytes.length < MIN_KEY_FILE_BYTES)
    throw new CommandError(
      EXIT.input,
      `${file}: a key file has ${MIN_KEY_FILE_BYTES} random bytes or more; \`parley keys new-key-file\` makes one`,
    );
  return { kind: 'key-file', key: createSecretKey(bytes) };
}

function contents(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CommandError(EXIT.input, `${file}: ${code === 'ENOENT' ? 'no such key file' : `not readable (${code})`}`);
  }
}

function givenSecret(file: string | undefined, text: string | undefined, variable: string): Secret | undefined {
  if (file !== undefined && text !== undefined)
    throw new CommandError(EXIT.usage, `a key file and ${variable} are given: which of them is meant? Leave one out`);
  // set by mistake to nothing, it would look protected and not be
  if (text === '') throw new CommandError(EXIT.usage, `${variable} is empty; set it to the passphrase, or unset it`);
  return file !== undefined ? keyFile(file) : text === undefined ? undefined : passphrase(text);
}

function strong(secret: Secret): Secret {
  if (secret.kind === 'passphrase' && [...secret.key.export().toString()].length < MIN_PASSPHRASE_LENGTH)
    throw new CommandError(
      EXIT.usage,
      `a new passphrase has ${MIN_PASSPHRASE_LENGTH} characters or more: who has the file can try guesses for years`,
    );
  return secret;
}

const surroundings = (): Surroundings => ({
  env: process.env,
  ask: process.stdin.isTTY && process.stderr.isTTY ? askWithoutEcho : undefined,
});

/** Asks on stderr, so that stdout stays for results; what is typed is shown nowhere. */
function askWithoutEcho(question: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const line = createInterface({ input: process.stdin, output: nowhere, terminal: true, historySize: 0 });
  process.stderr.write(question);
  return new Promise((resolve, reject) => {
    line.once('line', resolve);
    // after a line it is settled: then this changes nothing
    line.once('close', () => reject(new CommandError(EXIT.usage, 'nothing was typed; nothing was changed')));
    line.once('line', () => line.close());
    line.once('SIGINT', () => line.close());
  }).finally(() => process.stderr.write('\n')) as Promise<string>;
}
