import { CommandError, EXIT } from '../../aggregation/exit.ts';

/** What is stored does not hold together. Nothing is built on it: the process ends with the code for storage. */
export class StoreDamaged extends CommandError {
  /** @param what - with the row */
  constructor(what: string) {
    super(EXIT.storage, what.startsWith(DAMAGED) ? what : `${DAMAGED}${what}`);
  }
}

const DAMAGED = 'the store is damaged: ';
