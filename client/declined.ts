import { isStorageError } from '../aggregation/exit.ts';
import type { FromClient } from '../aggregation/wire.ts';

/** Why a tenant takes no further part in a task. It says so once, signed, and does not change its mind. */
export class Declined extends Error {
  override readonly name = 'Declined';
  readonly because: DeclineCause;
  constructor(because: DeclineCause, message: string) {
    super(message);
    this.because = because;
  }
}

export type DeclineCause = Extract<FromClient, { type: 'decline' }>['cause'];

/**
 * What `work` throws is a reason to decline.
 * @throws Declined with its message; a storage error as it is: a full disk is nobody's broken promise
 */
export function declining(because: DeclineCause, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (isStorageError(error)) throw error;
    throw new Declined(because, (error as Error).message);
  }
}
