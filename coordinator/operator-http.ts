import { existsSync, readFileSync } from 'node:fs';
import { answerFrom } from '../aggregation/address.ts';
import { CommandError, EXIT, exitOf } from '../aggregation/exit.ts';
import { givenToken, type TokenOptions } from '../aggregation/given-token.ts';
import { plainText } from '../aggregation/plain-text.ts';
import { operatorTokenFile } from './access/first-token.ts';

/** What a command that speaks with a coordinator is told. */
export interface OperatorOptions extends TokenOptions {
  readonly coordinator: string;
  /** the coordinator's; its operator's token is shown where no other is given */
  readonly folder?: string;
  readonly json?: boolean;
}

/** @throws CommandError with what the coordinator said, or when nobody answers */
export const get = (path: string, options: OperatorOptions): Promise<unknown> => request(path, options, {});

/** As `get`. @throws CommandError too when there is no token to show */
export const post = (path: string, body: object, options: OperatorOptions): Promise<unknown> =>
  change('POST', path, body, options);
export const put = (path: string, body: object, options: OperatorOptions): Promise<unknown> =>
  change('PUT', path, body, options);

function change(method: string, path: string, body: object, options: OperatorOptions): Promise<unknown> {
  if (tokenOf(options) === undefined)
    throw new CommandError(
      EXIT.usage,
      `${operatorTokenFile(options.folder ?? '.')} is not there; give --folder with the coordinator's folder, give --token-file, or set PARLEY_TOKEN`,
    );
  const headers = { 'content-type': 'application/json' };
  return request(path, options, { method, headers, body: JSON.stringify(body) });
}

function tokenOf(options: OperatorOptions): string | undefined {
  const given = givenToken(options);
  if (given !== undefined || options.folder === undefined) return given;
  const tokenFile = operatorTokenFile(options.folder);
  return existsSync(tokenFile) ? readFileSync(tokenFile, 'utf8').trim() : undefined;
}

async function request(path: string, options: OperatorOptions, init: RequestInit): Promise<unknown> {
  const url = `${options.coordinator}${path}`;
  const token = tokenOf(options);
  const headers = { ...init.headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
  const response = await answerFrom(url, { ...init, headers });
  const answer = readAnswer(await response.text().catch(() => '')) as { detail?: string };
  if (!response.ok)
    throw new CommandError(exitOf(response.status), answer.detail ?? `${url} answered ${response.status}`);
  return answer;
}

/** A tenant's reason, or another operator's name for something, ends on this one's terminal: in one line, and as text. */
function readAnswer(json: string): unknown {
  try {
    return JSON.parse(json, (_, value) => (typeof value === 'string' ? plainText(value).replaceAll('\n', ' ') : value));
  } catch {
    return {};
  }
}
