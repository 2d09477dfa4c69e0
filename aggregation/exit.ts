/** Exit codes of every command. Scripts rely on them: a code never changes its meaning. */
export const EXIT = {
  ok: 0,
  /** a bug, or something this list does not name */
  failed: 1,
  /** the command line itself */
  usage: 2,
  /** a file that cannot be read as what it should be; the message names file, line or field */
  input: 3,
  /** the other side, or a policy, says no: plan, code, budget, version */
  refused: 4,
  /** port in use, nobody there, connection lost for good */
  network: 5,
  /** a ledger, a model, a signature or a claim about privacy that does not hold */
  broken: 6,
  /** disk full, folder not writable, database damaged */
  storage: 7,
  /** an audit that could not have found what it looked for; says nothing about privacy, good or bad */
  inconclusive: 8,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

// SQLite: READONLY 8, IOERR 10, CORRUPT 11, FULL 13, CANTOPEN 14, NOTADB 26
const STORAGE_ERRCODES: readonly number[] = [8, 10, 11, 13, 14, 26];

/** Is the disk full, read-only or damaged? What was acknowledged before is safe; nothing more can be promised. */
export function isStorageError(error: unknown): boolean {
  if (error instanceof CommandError) return error.code === EXIT.storage;
  const { code, errcode } = (error ?? {}) as { code?: string; errcode?: number };
  return code === 'ENOSPC' || code === 'EROFS' || code === 'EDQUOT' || STORAGE_ERRCODES.includes((errcode ?? 0) & 0xff);
}

/** What an error comes to: what it says itself, or, of the world outside, what a person can do about it. */
export function exitOfError(error: unknown): ExitCode {
  if (error instanceof CommandError) return error.code;
  if (isStorageError(error)) return EXIT.storage;
  const { code } = (error ?? {}) as { code?: string };
  if (code === 'EADDRINUSE' || code === 'ECONNREFUSED' || code === 'EACCES') return EXIT.network;
  if (code === 'ENOENT') return EXIT.input;
  return EXIT.failed;
}

/** What an HTTP status of the coordinator means to a script. */
export const exitOf = (status: number): ExitCode =>
  status === 507 ? EXIT.storage : status >= 500 ? EXIT.failed : EXIT.refused;

/** An error whose message is meant for the person at the keyboard, with the way out, and a code for scripts. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly code: ExitCode;
  constructor(code: ExitCode, message: string) {
    super(message);
    this.code = code;
  }
}
