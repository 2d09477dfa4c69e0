import type { SecureSumName, TenantId } from '../../aggregation/secure-sum.ts';
import { type Settings, settingsSchema } from '../../aggregation/settings.ts';
import type { Table } from '../../models/encode.ts';
import type { FeatureSchema } from '../../models/schema.ts';
import type { RandomSource } from '../../privacy/random.ts';
import type { Subject } from './subject.ts';

/**
 * A task made to be attacked: the subject's privacy settings around customers whose only purpose is to be found.
 *
 * Each canary is there by the toss of a coin, and is the only customer of its category. It has two rows:
 *
 *   category  label      gradient at a model that says ½
 *   its own   positive   −½ · (its coordinate, bias)          mean: −¼ in its own coordinate, 0 everywhere else
 *   none      negative   +½ · (             , bias)
 *
 * so the production path gives each canary a direction of its own. The clip norm is far below ¼: every canary is clipped, and
 * moves the sum by exactly the sensitivity, the most that anybody can. Noise scales with the clip norm, so ε does not change.
 * The learning rate is so small that the model goes on saying ½.
 */
export interface CanaryTask {
  readonly settings: Settings;
  readonly tables: ReadonlyMap<TenantId, Table>;
  /** the coins: which canaries the tables hold; canary i's coordinate is i */
  readonly present: readonly boolean[];
}

/** As many as one feature may have categories, and enough for a noise check. */
export const [FEWEST_CANARIES, MOST_CANARIES] = [100, 4096];

/** 1/16 of a canary's gradient. */
const CLIP_NORM = 2 ** -6;

/**
 * The canaries of a subject, dealt out among the `minCohort` tenants of a federation: as few as a sum may be opened over, so its
 * noise is the least that the release is claimed for. Each is at as many tenants as one customer may be a customer of.
 *
 * @param canaries - from 100 to 4096
 * @throws RangeError when canaries lies outside
 */
export function canaryTask(
  subject: Subject,
  canaries: number,
  protocol: SecureSumName,
  random: RandomSource,
): CanaryTask {
  if (!(Number.isInteger(canaries) && canaries >= FEWEST_CANARIES && canaries <= MOST_CANARIES))
    throw new RangeError(`canaries must number ${FEWEST_CANARIES} to ${MOST_CANARIES}, got ${canaries}`);
  const { minCohort } = subject.cohort;
  const copies = Math.min(subject.privacy.tenantsPerCustomer, minCohort);
  const coins = new Uint32Array(canaries);
  random.fill(coins);
  const present = Array.from(coins, (coin) => coin % 2 === 1);
  const tenants = Array.from({ length: minCohort }, (_, i) => `tenant-${String(i + 1).padStart(3, '0')}`);
  const isAt = (canary: number, tenant: number) => (tenant + canary * (minCohort - 1)) % minCohort < copies;
  const tables = new Map(
    tenants.map((name, tenant) => [
      name,
      table(
        name,
        present.flatMap((there, canary) => (there && isAt(canary, tenant) ? [canary] : [])),
      ),
    ]),
  );
  return { settings: settingsOf(subject, canaries, protocol), tables, present };
}

function settingsOf(subject: Subject, canaries: number, protocol: SecureSumName): Settings {
  const { privacy, cohort, rounds } = subject;
  const most = privacy.tenantsPerCustomer * Math.ceil(canaries / cohort.minCohort);
  return settingsSchema.parse({
    name: 'audit',
    use: { purpose: 'audit' },
    work: {
      ...{ kind: 'train', model: { kind: 'logistic' }, rounds, averageLast: 1 },
      ...{ learningRate: 1e-9, expectedBatch: canaries, clipNorm: CLIP_NORM },
    },
    features: schemaFor(canaries),
    privacy: {
      ...{ mode: privacy.mode, neighbouring: 'add-or-remove-one', tenantsPerCustomer: privacy.tenantsPerCustomer },
      ...{ epsilon: privacy.epsilon, delta: privacy.delta, samplingRate: privacy.samplingRate },
      ...{ gridSteps: privacy.gridSteps, maxCustomers: most, maxBatch: most + 1 }, // no batch is ever cut
    },
    secureSum: { protocol, minCohort: cohort.minCohort, colluders: cohort.colluders },
    timing: { uploadEveryMs: 1, stageTimeoutMs: 60_000, graceMs: 1_000, patienceMs: 120_000 },
  });
}

const categoryOf = (canary: number): string => `canary ${canary}`;

const schemaFor = (canaries: number): FeatureSchema => ({
  customer: { column: 'customer', maxRows: 2 },
  label: { column: 'there', positive: 'yes', negative: 'no' },
  features: [
    {
      ...{ kind: 'category', column: 'canary', missing: 'zero', unknown: 'refuse' },
      categories: Array.from({ length: canaries }, (_, canary) => categoryOf(canary)),
    },
  ],
  holdout: null,
});

const table = (file: TenantId, canaries: readonly number[]): Table => ({
  file,
  columns: ['customer', 'there', 'canary'],
  rows: canaries.flatMap((canary) => [
    [String(canary), 'yes', categoryOf(canary)],
    [String(canary), 'no', null],
  ]),
  line: (row) => row + 2,
});
