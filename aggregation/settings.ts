import { z } from 'zod';
import { modelSpec } from '../models/model.ts';
import { featureSchema } from '../models/schema.ts';
import { KEY_AGREEMENTS, SECURE_SUMS } from './secure-sum.ts';

/*
 * What a person writes about a task: all that may be chosen, each with its unit and its range. Whether it fits together is found
 * when a plan is made of it (`derive-plan.ts`).
 */

/** At least one. */
export const count = z.int().positive();
/** Of tasks, tenants and purposes. */
export const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'use 1 to 32 of a-z, 0-9 and -');
const sentence = z
  .string()
  .regex(/^[\p{L}\p{N}][\p{L}\p{N} .,;:()/§-]{0,199}$/u, 'use up to 200 letters, digits and . , ; : ( ) / § -');
/** SHA-256, hexadecimal. */
export const hash = z.string().regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 in hexadecimal');

const work = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('train'),
    model: modelSpec,
    rounds: count.max(10_000),
    /** plain gradient steps: θ ← θ − learningRate · (noisy sum) / expectedBatch */
    learningRate: z.number().positive(),
    /** what is released is the mean of the last iterates; post-processing, costs nothing */
    averageLast: count,
    /** the plan's divisor; public, never the realised batch */
    expectedBatch: count,
    /** L2 bound on one customer's gradient */
    clipNorm: z.number().min(1e-6).max(1e6), // far from where float32 rounds to nothing
  }),
  z.strictObject({ kind: z.literal('segment'), clusters: z.int().min(2).max(64), rounds: count.max(1000) }),
  z.strictObject({
    kind: z.literal('evaluate'),
    model: modelSpec,
    /** `parameterHash` of the parameters to be evaluated */
    parameters: hash,
    /** task that released them */
    trainedBy: hash,
    bins: z.int().min(8).max(256).multipleOf(8, 'use a multiple of 8'),
  }),
]);

export const settingsSchema = z.strictObject({
  name,
  /** what the result is for, as it is written to the ledger; tenants keep a budget for each purpose */
  use: z.strictObject({
    purpose: name,
    legalBasis: sentence.exactOptional(),
    /** how long the result may be used */
    retentionDays: count.max(36_500).exactOptional(),
  }),
  work,
  features: featureSchema,
  privacy: z.strictObject({
    /** shares of the noise that only together protect, or the whole noise at every tenant */
    mode: z.enum(['record-distributed', 'record-local']),
    neighbouring: z.literal('add-or-remove-one'),
    /** tenants one customer may be a customer of, m; every ε is stated for it */
    tenantsPerCustomer: z.int().min(1).max(10),
    /** coalition ε the noise is calibrated for */
    epsilon: z.number().positive().max(8, 'ε above 8 protects nobody'),
    delta: z.number().gt(0).max(1e-3),
    /** Poisson rate q at which customers enter a round; 1 means everybody, every round */
    samplingRate: z.number().gt(0).max(1),
    /** most customers a tenant may have in this task; one that has more declines */
    maxCustomers: count.max(100_000_000),
    /** customers per round and tenant; batches are padded to it */
    maxBatch: count.max(1_000_000),
    /** grid steps per clip norm, C/γ */
    gridSteps: z
      .int()
      .min(2 ** 12)
      .max(2 ** 24)
      .default(2 ** 20),
  }),
  secureSum: z.strictObject({
    protocol: z.enum(SECURE_SUMS),
    /** fewest tenants a sum may be opened over, n_min */
    minCohort: count,
    /** tenants that may collude with the coordinator, c */
    colluders: z.int().min(0),
    /** how tenants agree on the secrets behind their masks; X25519 when left out. With ML-KEM, `threshold-he` has smaller keys too */
    keyAgreement: z.enum(KEY_AGREEMENTS).exactOptional(),
  }),
  /** all the waiting there is; what of it is under way stands in the task's status (`coordinator/waiting.ts`). Milliseconds */
  timing: z
    .strictObject({
      /** contributions leave at whole multiples of this after the round starts, however long the work took */
      uploadEveryMs: z.int().min(1).max(60_000).default(50),
      /** a stage that was asked this long ago closes with those who answered, or is given up when they are too few */
      stageTimeoutMs: z.int().min(100).max(86_400_000).default(20_000),
      /** a stage that has its minimum closes when it was asked this long ago, whoever is still at work; `stageTimeoutMs` when left out */
      stragglerMs: z.int().min(100).max(86_400_000).exactOptional(),
      /** a tenant whose connection is gone has this long to come back before a stage closes without it */
      graceMs: z.int().min(0).max(86_400_000).default(1_000),
      /** the task waits this long for enough tenants before it stops */
      patienceMs: z
        .int()
        .min(100)
        .max(30 * 86_400_000)
        .default(120_000),
    })
    .prefault({}),
});
export type Settings = z.infer<typeof settingsSchema>;

/** One customer is all rows with its name in the customer column, or one row where there is no such column. */
export const unitOf = ({ features }: Settings): 'customer' | 'row-as-customer' =>
  features.customer === 'row' ? 'row-as-customer' : 'customer';

/** Shares of noise that stand between a coalition and one customer. */
export const coalitionShares = ({ privacy, secureSum }: Settings): number =>
  privacy.mode === 'record-local' ? 1 : secureSum.minCohort - secureSum.colluders;
