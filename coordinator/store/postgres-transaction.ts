import type { PostgresConnection } from './postgres-connection.ts';
import type { Statement } from './postgres-thread.ts';

/**
 * Transactions that cost one round trip: what is written waits here until the transaction ends, or until something is read.
 * Whatever is sent goes in order, so that a read sees what was written before it.
 */
export interface Transactions {
  /** All that `work` writes is kept, or nothing. @param soon - a crash of the server may take it back until the next one that is not */
  run<T>(work: () => T, soon?: boolean): T;
  /** In the transaction under way, or in one of its own. Bytes are copied now. */
  write(text: string, ...values: Value[]): void;
  read(text: string, ...values: Value[]): Readonly<Record<string, unknown>>[];
  /** A write that is told at once how many rows it changed. */
  change(text: string, ...values: Value[]): number;
}

type Value = NonNullable<Statement['values']>[number];

/** Bytes that wait before they are sent on: a commit may hold whole models. */
const MOST_WAITING = 16 * 2 ** 20;

const BEGIN: readonly Statement[] = [{ text: 'begin read write' }];
const BEGIN_SOON: readonly Statement[] = [...BEGIN, { text: 'set local synchronous_commit = off' }];
const COMMIT: Statement = { text: 'commit' };

export function transactionsOn(connection: PostgresConnection): Transactions {
  /** not sent yet; undefined outside of a transaction */
  let waiting: Statement[] | undefined;
  let waitingBytes = 0;
  let isOpen = false;

  const send = (...last: Statement[]): ReturnType<PostgresConnection['run']> => {
    const statements = [...(waiting ?? []), ...last];
    isOpen = true;
    waiting = [];
    waitingBytes = 0;
    return connection.run(statements);
  };

  const transactions: Transactions = {
    run(work, soon = false) {
      if (waiting !== undefined) throw new Error('a transaction was begun inside of another');
      waiting = [...(soon ? BEGIN_SOON : BEGIN)];
      try {
        const result = work();
        // the server ends a transaction that failed with "ROLLBACK", whatever it is told, and calls it no error
        if (send(COMMIT).command !== 'COMMIT') throw new Error('a statement of this transaction failed before');
        return result;
      } catch (error) {
        if (isOpen && !connection.isLost) connection.run([{ text: 'rollback' }]);
        throw error;
      } finally {
        waiting = undefined;
        waitingBytes = 0;
        isOpen = false;
      }
    },
    write(text, ...values) {
      if (waiting === undefined) return transactions.run(() => transactions.write(text, ...values));
      const statement = statementOf(text, values);
      waiting.push(statement);
      for (const value of values) if (value instanceof Uint8Array) waitingBytes += value.length;
      if (waitingBytes > MOST_WAITING) send();
    },
    read(text, ...values) {
      const statement = statementOf(text, values);
      return (waiting === undefined ? connection.run([statement]) : send(statement)).rows;
    },
    change(text, ...values) {
      if (waiting === undefined) return transactions.run(() => transactions.change(text, ...values));
      return send(statementOf(text, values)).changes;
    },
  };
  return transactions;
}

/** With bytes of its own, that can be handed over: they may be a view of a frame, and whoever gave them goes on using them. */
const statementOf = (text: string, values: readonly Value[]): Statement =>
  values.length === 0
    ? { text }
    : { text, values: values.map((value) => (value instanceof Uint8Array ? new Uint8Array(value) : value)) };
