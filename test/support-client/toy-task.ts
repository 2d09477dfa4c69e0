import type { SecureSumName } from '../../aggregation/secure-sum.ts';
import { type Settings, settingsSchema } from '../../aggregation/settings.ts';
import type { Table } from '../../models/encode.ts';
import type { FeatureSchema } from '../../models/schema.ts';

/** A task small enough for a test to run a federation of it: one number, one label, a round in milliseconds. */
export const toyFeatures: FeatureSchema = {
  customer: 'row',
  label: { column: 'left', positive: 'yes', negative: 'no' },
  features: [{ kind: 'number', column: 'months', minimum: 0, maximum: 80, missing: 0 }],
  holdout: { oneIn: 5 },
};

export interface ToyOptions {
  readonly name?: string;
  readonly rounds?: number;
  readonly protocol?: SecureSumName;
  readonly minCohort?: number;
  readonly colluders?: number;
  readonly epsilon?: number;
  readonly features?: FeatureSchema;
  readonly timing?: Partial<Settings['timing']>;
}

export function toySettings(options: ToyOptions = {}): Settings {
  const { rounds = 2, protocol = 'threshold-he', minCohort = 3, colluders = 0 } = options;
  return settingsSchema.parse({
    name: options.name ?? 'toy',
    use: { purpose: 'retention' },
    work: {
      kind: 'train',
      model: { kind: 'logistic' },
      rounds,
      learningRate: 1,
      averageLast: 1,
      expectedBatch: 50,
      clipNorm: 1,
    },
    features: options.features ?? toyFeatures,
    privacy: {
      mode: 'record-distributed',
      neighbouring: 'add-or-remove-one',
      tenantsPerCustomer: 1,
      epsilon: options.epsilon ?? 2,
      delta: 1e-5,
      samplingRate: 1,
      maxCustomers: 100,
      maxBatch: 101,
    },
    secureSum: { protocol, minCohort, colluders },
    timing: { uploadEveryMs: 1, stageTimeoutMs: 3000, graceMs: 200, patienceMs: 5000, ...options.timing },
  });
}

/** What settles no model: an evaluation of these parameters on the toy's held-out customers. */
export function toyEvaluation(trainedBy: string, parameters: string, protocol: SecureSumName): Settings {
  const { use, features, privacy, secureSum, timing } = toySettings({ protocol });
  const work = { kind: 'evaluate', model: { kind: 'logistic' }, parameters, trainedBy, bins: 8 } as const;
  return settingsSchema.parse({ name: 'toy-evaluation', use, work, features, privacy, secureSum, timing });
}

/** @param seed - tenants have different customers */
export function toyTable(name: string, customers = 30, seed = name.length): Table {
  const rows = Array.from({ length: customers }, (_, i) => [
    String((i * 7 + seed * 3) % 80),
    (i * 7 + seed) % 3 ? 'no' : 'yes',
  ]);
  return { file: name, columns: ['months', 'left'], rows, line: (row) => row + 2 };
}
