import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerFrom, readyAt } from '../aggregation/address.ts';
import { CommandError, EXIT, exitOf } from '../aggregation/exit.ts';
import { givenToken, type TokenOptions } from '../aggregation/given-token.ts';
import { plainText } from '../aggregation/plain-text.ts';
import { operatorTokenFile } from './access/first-token.ts';

/** What a command that speaks with a coordinator is told. */
export interface OperatorOptions extends TokenOptions {
  readonly coordinator: string;
  /** all addresses, where one of several leads: another one may in a while */
  readonly coordinators?: readonly string[];
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

/**
 * A `get` that waits for a minute where nobody answers: a coordinator starts again, or another takes over, and is asked from
 * then on.
 */
export function patiently(options: OperatorOptions): (path: string) => Promise<unknown> {
  const { coordinators = [options.coordinator] } = options;
  let coordinator = options.coordinator;
  return async (path) => {
    for (const begun = performance.now(); ; await sleep(250)) {
      try {
        return await request(path, { ...options, coordinator }, { signal: AbortSignal.timeout(STANDS_STILL_MS) });
      } catch (error) {
        if (!isAway(error) || performance.now() - begun > AWAY_MS) throw error;
        coordinator = await readyAt(coordinators).catch(() => coordinator);
      }
    }
  };
}

const AWAY_MS = 60_000;
/** A process or a machine that has stopped takes the question, and never answers. */
const STANDS_STILL_MS = 10_000;

/** Nobody is there, or one that does not lead: it answers 503. */
const isAway = (error: unknown): boolean =>
  error instanceof CommandError && (error.code === EXIT.network || error.code === EXIT.failed);

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
  const text = await response.text().catch(() => undefined);
  const answer = readAnswer(text ?? '') as { detail?: string };
  if (!response.ok)
    throw new CommandError(exitOf(response.status), answer.detail ?? `${url} answered ${response.status}`);
  if (text === undefined)
    throw new CommandError(EXIT.network, `${url} broke off its answer; is the coordinator running?`);
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
