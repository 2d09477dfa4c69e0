import { EXIT, type ExitCode } from './exit.ts';

/**
 * Aborts when this process is told to end (SIGTERM, SIGINT). Whoever looks finishes what it has in hand; after `seconds`, or at
 * a second signal, the process ends as it is: what was acknowledged is on disk at any time.
 *
 * @param seconds - until it ends with the exit code for success all the same
 */
export function toldToEnd(seconds: number, log: Log): AbortSignal {
  const told = new AbortController();
  const hear = (signal: NodeJS.Signals): void => {
    for (const each of SIGNALS) process.off(each, hear); // from here on a signal does what it does to any process
    log.info({ signal, seconds }, 'told to end');
    endWithin(seconds, EXIT.ok, log);
    told.abort();
  };
  for (const each of SIGNALS) process.on(each, hear);
  return told.signal;
}

/** Ends the process with this code if it has not ended by itself. */
export function endWithin(seconds: number, code: ExitCode, log: Log): void {
  const end = (): void => {
    log.warn({ seconds }, 'not done in time, ends as it is: what was acknowledged is on disk');
    process.exit(code);
  };
  setTimeout(end, seconds * 1000).unref();
}

interface Log {
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
