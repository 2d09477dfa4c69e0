import { describe } from 'vitest';
import { openPostgresStore } from '../../coordinator/postgres-event-store.ts';
import { eventStoreContract } from '../contracts/event-store.contract.ts';
import { startPostgres } from '../support/postgres.ts';

const server = await startPostgres();
if (typeof server === 'string') console.warn(`PostgreSQL is not tested: ${server}`);

describe.skipIf(typeof server === 'string')('in PostgreSQL', () => {
  const FEDERATION = 'ab'.repeat(32);
  const newUrl = async () => (typeof server === 'string' ? '' : server.newDatabase());
  const onLost = (error: Error): void => {
    throw error;
  };

  eventStoreContract(async () => {
    const url = await newUrl();
    return { open: () => openPostgresStore({ url, federation: FEDERATION, onLost }) };
  });
});
