import type { Command } from 'commander';
import { CommandError, EXIT } from './exit.ts';

/*
 * Options that commands of several rooms take, and how their values are read. What a command line says wrongly throws a CommandError
 * with the code for it.
 */

/** Where a coordinator listens when nobody says otherwise. */
export const DEFAULT_URL = 'http://127.0.0.1:7400';
/** What `--coordinator` is, in a command's help. */
export const COORDINATOR = 'where the coordinator listens; several with commas: the one that leads is asked';

/** Options of commands that open a folder's keys. A passphrase is no option: every process could read it. */
export const opensKeys = (command: Command): Command =>
  command.option(
    '--key-file <file>',
    'what the keys are protected by; a passphrase is in PARLEY_PASSPHRASE, or asked for',
  );

/** Of commands that may be the first in their folder. */
export const makesKeys = (command: Command): Command =>
  opensKeys(command).option('--protect', 'a new key is protected: asks for a passphrase when none is given');

/** Of commands that run until they are told to end. */
export const runs = (command: Command): Command =>
  command
    .option(
      '--shutdown-seconds <number>',
      'time to finish what is in hand when told to end (SIGTERM)',
      positiveNumber,
      10,
    )
    .option('--log-level <level>', 'trace, debug, info, warn or error', 'info')
    .option('--json', 'log lines as JSON (they are when stdout is no terminal)');

/** 0 or more. */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new CommandError(EXIT.usage, `"${text}" is not a whole number`);
  return value;
}

/** Above 0. */
export function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < Infinity)) throw new CommandError(EXIT.usage, `"${text}" is not a positive number`);
  return value;
}
