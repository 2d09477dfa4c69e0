import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { TenantId } from '../aggregation/secure-sum.ts';
import { type Settings, settingsSchema } from '../aggregation/settings.ts';
import { readSnapshot } from '../client/rows.ts';
import type { Table } from '../models/encode.ts';
import churn from './tasks/churn.json' with { type: 'json' };
import segments from './tasks/segments.json' with { type: 'json' };

/**
 * The example: 7,043 customers of a telephone company, split into five business units that differ as units do.
 * `data/PROVENANCE.md` says where they come from.
 */

/** The CSV that ships with Parley, as text. */
export function telcoCsv(): string {
  return gunzipSync(readFileSync(new URL('data/wa_churn.csv.gz', import.meta.url))).toString('utf8');
}

export const TELCO_UNITS: readonly TenantId[] = [
  'phone-only',
  'dsl-monthly',
  'dsl-contract',
  'fiber-monthly',
  'fiber-contract',
];

/** The unit of each customer: by service, and by contract. Churn rates differ by a factor of ten. */
export function unitOf(internetService: string, contract: string): TenantId {
  if (internetService === 'No') return 'phone-only';
  const service = internetService === 'DSL' ? 'dsl' : 'fiber';
  return `${service}-${contract === 'Month-to-month' ? 'monthly' : 'contract'}`;
}

/** All customers, as a client would read them. */
export async function telcoTable(): Promise<Table> {
  const folder = mkdtempSync(join(tmpdir(), 'parley-'));
  try {
    const file = join(folder, 'customers.csv');
    writeFileSync(file, telcoCsv());
    return (await readSnapshot(file)).table;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The customers of each unit. */
export function splitByUnit(table: Table): Map<TenantId, Table> {
  const service = table.columns.indexOf('internet_service');
  const contract = table.columns.indexOf('contract');
  return new Map(
    TELCO_UNITS.map((unit) => [
      unit,
      {
        ...table,
        file: unit,
        rows: table.rows.filter((row) => unitOf(row[service] ?? '', row[contract] ?? '') === unit),
      },
    ]),
  );
}

/** Churn: logistic regression by DP-SGD; every round is one secure sum of clipped gradients. */
export const churnSettings: Settings = settingsSchema.parse(churn);

/** Segments: k-means on tenure and charges; every round is one secure sum of counts and sums. */
export const segmentSettings: Settings = settingsSchema.parse(segments);

/** Evaluation of a released churn model on the customers nobody trained on: one secure sum of score histograms. */
export function evaluationSettings(trainedBy: string, parameters: string): Settings {
  const { use, work, features, privacy, secureSum, timing } = churnSettings;
  if (work.kind !== 'train') throw new Error('the churn task trains');
  return {
    name: 'churn-evaluation',
    use,
    work: { kind: 'evaluate', model: work.model, parameters, trainedBy, bins: 16 },
    features,
    privacy: { ...privacy, epsilon: 2, samplingRate: 1, maxBatch: privacy.maxCustomers + 1 },
    secureSum,
    timing,
  };
}
