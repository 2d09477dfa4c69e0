import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile } from '../../aggregation/replace-file.ts';
import { newToken, tokenIn } from './new-token.ts';
import type { Tokens } from './tokens.ts';

/** Where the first operator's token lies (0600): commands find it by the coordinator's folder. */
export const operatorTokenFile = (folder: string): string => join(folder, 'operator.token');

/**
 * A coordinator that has never handed out a token makes one, for whoever can read its folder: who can do that holds its key as
 * well. So can whoever starts it: a name makes another token, where all were lost, have expired, or belong to too few people for the
 * rule of approvals. Both are tokens like any other, for a year.
 *
 * @param holder - makes a new one for this person, in place of the file's
 */
export function firstToken(folder: string, tokens: Tokens, holder?: string): void {
  if (holder === undefined && tokens.list().length > 0) return;
  const file = operatorTokenFile(folder);
  const kept = holder === undefined && existsSync(file) ? tokenIn(readFileSync(file, 'utf8').trim()) : undefined;
  const { token, id, secretHash } = kept ?? newToken();
  // the file first: a token that is in the store, and nowhere else, could never be shown
  replaceFile(file, `${token}\n`);
  tokens.add({ id, secretHash, role: 'operator', holder: holder ?? 'operator', days: 365 });
}
