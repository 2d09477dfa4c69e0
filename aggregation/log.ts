import { type Logger, pino } from 'pino';

/**
 * The log of a long-running command, on stderr so that stdout stays for results. JSON lines for machines, short lines for a
 * terminal. What must never be in it (rows, keys, norms, batch sizes, noise, vectors) is never handed to it.
 */
export function openLog(level: string, asJson: boolean): Logger {
  if (asJson || !process.stderr.isTTY)
    return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, process.stderr);
  return pino({ level, base: null }, { write: (line) => process.stderr.write(shortLine(line)) });
}

function shortLine(line: string): string {
  const { level, time, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown> & {
    time: number;
    level: number;
  };
  const details = Object.entries(fields).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const word = level >= 50 ? 'ERROR ' : level >= 40 ? 'warn ' : '';
  const stack = err === undefined ? [] : [`\n  ${(err as { message?: string }).message ?? ''}`];
  return `${new Date(time).toTimeString().slice(0, 8)} ${word}${[msg, ...details, ...stack].join(' ')}\n`;
}
