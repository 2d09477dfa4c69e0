/**
 * One cell, row or column that cannot be read. Says where it is and the way out, never what it holds:
 * a message may end in a log that others read.
 */
export class RowError extends Error {
  override readonly name = 'RowError';
  readonly file: string;
  /** line in the file, 1 is the first; undefined when the whole column is meant */
  readonly line: number | undefined;
  readonly column: string;
  constructor(at: { file: string; line?: number; column: string }, problem: string) {
    super(`${at.file}${at.line === undefined ? '' : `:${at.line}`}: column "${at.column}" ${problem}`);
    this.file = at.file;
    this.line = at.line;
    this.column = at.column;
  }
}

/** A table that does not fit its schema: up to `maxProblems` reasons, in the order of the rows. */
export class TableRefused extends Error {
  override readonly name = 'TableRefused';
  readonly problems: readonly RowError[];
  constructor(problems: readonly RowError[]) {
    const more = problems.length >= maxProblems ? `\n(stopped after ${maxProblems})` : '';
    super(`${problems.map((problem) => problem.message).join('\n')}${more}`);
    this.problems = problems;
  }
}

/** Problems reported at once: enough to see a pattern, not enough to fill a screen. */
export const maxProblems = 20;

/** Collects problems and throws them together, at the latest when there are `maxProblems`. */
export class Problems {
  readonly #found: RowError[] = [];
  add(problem: RowError): void {
    this.#found.push(problem);
    if (this.#found.length >= maxProblems) this.throwIfAny();
  }
  /** @throws TableRefused */
  throwIfAny(): void {
    if (this.#found.length > 0) throw new TableRefused(this.#found);
  }
}
