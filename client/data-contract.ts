import { encode } from '../models/encode.ts';
import { heldOutCustomers, trainingCustomers } from '../models/encoded.ts';
import type { Policy } from './policy.ts';
import { RowsUnreadable, readSnapshot, type Snapshot } from './rows.ts';

/**
 * Reads a tenant's customers and holds them to the policy's data contract, before any plan is seen: what does not fit is
 * said here, to the tenant, and nowhere else.
 *
 * @throws RowsUnreadable, RowError naming file, line and column
 */
export async function checkedSnapshot(policy: Policy): Promise<Snapshot> {
  const snapshot = await readSnapshot(policy.data);
  const encoded = encode(policy.schema, snapshot.table);
  const most = Math.max(trainingCustomers(encoded).length, heldOutCustomers(encoded).length);
  if (most > policy.maxCustomers)
    throw new RowsUnreadable(
      `${policy.data}: more customers than "maxCustomers" in the policy (${policy.maxCustomers}); raise it, it is public`,
    );
  return snapshot;
}
