import { CommandError, EXIT } from '../aggregation/exit.ts';
import { trustOnly } from '../aggregation/trusted-ca.ts';
import { checkedSnapshot } from './data-contract.ts';
import { policyFile } from './folder.ts';
import { type Policy, PolicyUnreadable, readPolicy } from './policy.ts';
import type { Snapshot } from './rows.ts';

/** A folder's policy, for a command; the CA that it names is trusted from then on. @throws CommandError naming file and field */
export function policyOf(folder: string): Policy {
  try {
    const policy = readPolicy(policyFile(folder));
    if (policy.coordinator.tls !== undefined) trustOnly(policy.coordinator.tls.ca);
    return policy;
  } catch (error) {
    if (error instanceof PolicyUnreadable) throw new CommandError(EXIT.input, error.message);
    throw error;
  }
}

/** The policy's customers, for a command. @throws CommandError naming file, line and column */
export async function customersOf(policy: Policy): Promise<Snapshot> {
  try {
    return await checkedSnapshot(policy);
  } catch (error) {
    const { name, message } = error as Error;
    if (['RowsUnreadable', 'RowError', 'TableRefused'].includes(name)) throw new CommandError(EXIT.input, message);
    throw error;
  }
}
