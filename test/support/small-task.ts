import { createHash } from 'node:crypto';
import type { Roster } from '../../aggregation/plan.ts';
import type { SecureSumName, TenantId } from '../../aggregation/secure-sum.ts';
import type { Settings } from '../../aggregation/settings.ts';
import type { Table } from '../../models/encode.ts';
import { churnSettings } from '../../simulation/telco.ts';

/** A task that five tenants of twenty customers get through in a second. */
export function smallTask(
  protocol: SecureSumName = 'plain',
  { rounds = 3, timing = {} }: { rounds?: number; timing?: Partial<Settings['timing']> } = {},
): Settings {
  return {
    name: 'small',
    use: { purpose: 'retention' },
    work: {
      kind: 'train',
      model: { kind: 'logistic' },
      rounds,
      learningRate: 1,
      averageLast: 2,
      expectedBatch: 50,
      clipNorm: 2,
    },
    features: {
      customer: 'row',
      label: { column: 'left', positive: 'yes', negative: 'no' },
      holdout: { oneIn: 5 },
      features: [
        { kind: 'number', column: 'months', minimum: 0, maximum: 80, missing: 'refuse' },
        { kind: 'number', column: 'bill', minimum: 10, maximum: 110, missing: 60 },
      ],
    },
    privacy: { ...churnSettings.privacy, epsilon: 4, samplingRate: 0.5, maxCustomers: 30, maxBatch: 31 },
    secureSum: { protocol, minCohort: 4, colluders: 1 },
    timing: { uploadEveryMs: 1, stageTimeoutMs: 5_000, graceMs: 200, patienceMs: 10_000, ...timing },
  };
}

export const FIVE: readonly TenantId[] = ['amber', 'blue', 'coral', 'dun', 'ebony'];

/** Twenty customers of each tenant; who stays longer leaves less. */
export function smallTables(names: readonly TenantId[] = FIVE): Map<TenantId, Table> {
  return new Map(names.map((name, tenant) => [name, table(name, tenant)]));
}

function table(file: string, tenant: number): Table {
  const rows = Array.from({ length: 20 }, (_, i) => {
    const months = (7 * i + 11 * tenant) % 80;
    return [String(months), String(10 + ((13 * i + tenant) % 100)), months < 30 ? 'yes' : 'no'];
  });
  return { file, columns: ['months', 'bill', 'left'], rows, line: (row) => row + 2 };
}

/** A roster whose keys nobody holds, for arithmetic on plans. */
export const rosterOf = (tenants: number): Roster =>
  Array.from({ length: tenants }, (_, i) => ({
    tenant: `tenant-${String(i).padStart(3, '0')}`,
    key: createHash('sha256').update(`nobody ${i}`).digest('hex'),
  }));

export const NOWHERE: string = '0'.repeat(64);
