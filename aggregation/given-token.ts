import { readFileSync } from 'node:fs';
import { CommandError, EXIT } from './exit.ts';

/**
 * The token a command shows: from `--token-file`, or from the variable PARLEY_TOKEN (PARLEY_OPERATOR_TOKEN does as well). Never
 * from an argument: every process on the machine can read those.
 */
export interface TokenOptions {
  readonly tokenFile?: string;
}

/** @returns undefined when none is given @throws CommandError when it cannot be read, or is empty */
export function givenToken(
  { tokenFile }: TokenOptions,
  env: Readonly<Record<string, string | undefined>> = process.env,
): string | undefined {
  if (tokenFile !== undefined) return notEmpty(contents(tokenFile), tokenFile);
  for (const variable of ['PARLEY_TOKEN', 'PARLEY_OPERATOR_TOKEN']) {
    const text = env[variable];
    if (text !== undefined) return notEmpty(text, variable);
  }
  return undefined;
}

/** The line of a token file. @throws CommandError when it cannot be read */
function contents(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandError(
      EXIT.input,
      `${file}: no token can be read there (${(error as NodeJS.ErrnoException).code})`,
    );
  }
}

function notEmpty(text: string, where: string): string {
  const token = text.trim();
  // what is not printable ASCII is no header, and the library that refuses it would quote it
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new CommandError(EXIT.usage, `${where} holds no token: one line of printable characters is expected`);
}
