import type fc from 'fast-check';

/**
 * Something that takes in what strangers make, and what must hold whatever they make:
 *
 *   no crash, no hang, no leak; no forgery that counts; no refusal that repeats what it was sent
 *
 * One input may be a conversation of several messages, or a single file; each message counts.
 */
export interface Target<Input> {
  readonly name: string;
  readonly inputs: fc.Arbitrary<Input>;
  /** A world for it: sockets, stores, tasks in all their phases. */
  open(): Promise<Subject<Input>>;
}

export interface Subject<Input> {
  /**
   * @param saw - told what became of each message of the input, in a word or two
   * @throws Finding when something does not hold; anything else that is thrown is one too
   */
  feed(input: Input, saw: (outcome: string) => void): Promise<void>;
  /** Whatever can only be seen in the end. @throws Finding */
  close(): Promise<void>;
}

/** Something that must hold did not. The message says what, and nothing that changes from run to run. */
export class Finding extends Error {
  override readonly name = 'Finding';
}

/** @throws Finding */
export function mustHold(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Finding(what);
}

/** Characters that a refusal may have at most: it is shown, logged and sent. */
export const LONGEST_REFUSAL = 500;
