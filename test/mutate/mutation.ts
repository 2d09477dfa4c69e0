/**
 * A mistake that must never go unnoticed: what somebody could write instead of what stands there, and who finds it.
 */
export interface Mutation {
  /** what was done wrong, in words joined by hyphens */
  readonly name: string;
  /** what it would cost, in one line */
  readonly why: string;
  /** path from the root */
  readonly file: string;
  /** stands in the file exactly once */
  readonly find: string;
  readonly replace: string;
  /** every one of them must turn red */
  readonly caughtBy: readonly [Catcher, ...Catcher[]];
  /** one of the few that `npm test` tries every time */
  readonly fast?: true;
}

/**
 * What may turn red: tests of one file, the compiler, or `parley audit` of the churn task.
 */
export type Catcher = Tests | 'types' | 'audit';

export interface Tests {
  /** path from the root */
  readonly file: string;
  /** part of the names of those meant, where all of the file would take long */
  readonly named?: string;
}

/** All tests of a file, or those of them that have this in their name. */
export const inTests = (file: string, named?: string): Tests => (named === undefined ? { file } : { file, named });

/**
 * The file's text with the mistake in it.
 *
 * @throws RangeError when what is to be replaced does not stand there exactly once: the code has changed, the list has not
 */
export function mutated({ name, file, find, replace }: Mutation, text: string): string {
  const found = text.split(find).length - 1;
  if (found !== 1)
    throw new RangeError(
      `${name}: what it replaces stands in ${file} ${found} times, not once; bring test/mutate/mistakes up to date with the code`,
    );
  return text.replace(find, () => replace);
}
