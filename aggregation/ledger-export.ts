import { z } from 'zod';

/**
 * The ledger as a file: everything an auditor needs, and nothing that is not in the ledger anyway.
 *
 *   entries   every entry, from the first
 *   head      the coordinator's note over all of them
 *   notes     notes that tenants have cosigned, in order of size
 *   log       the coordinator's verifier key (C2SP signed-note); worth what its fingerprint is known by
 */
export const ledgerExport = z.strictObject({
  format: z.literal('parley-ledger-export-v1'),
  log: z.string().max(300),
  head: z.string().max(100_000),
  notes: z.array(z.string().max(300_000)),
  entries: z.array(z.unknown()),
});
export type LedgerExport = z.infer<typeof ledgerExport>;
