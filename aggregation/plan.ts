import canonicalize from 'canonicalize';
import { z } from 'zod';
import { customerNorm } from '../models/k-means.ts';
import { modelSpec, sumDimension } from '../models/model.ts';
import { featureSchema } from '../models/schema.ts';
import { calibrateNoiseMultiplier, epsilonForCopies } from '../privacy/calibrate.ts';
import { MAX_STD_DEV } from '../privacy/discrete-gaussian.ts';
import type { PrivacyEvent } from '../privacy/event.ts';
import { type GridPath, pathFor, sensitivity } from '../privacy/grid.ts';
import {
  ACCOUNTED_DELTA_FRACTION,
  type Guarantees,
  guarantees,
  noiseShare,
  openingEvent,
  openingsFor,
  type PlanShape,
  planEvent,
  TRUNCATION_DELTA_FRACTION,
  truncationDelta,
} from '../privacy/guarantee.ts';
import { samplingRate } from '../privacy/poisson.ts';
import { protocolNamed } from './protocols.ts';
import { KEY_AGREEMENTS, SECURE_SUMS, type SecureSumName, type SumShape } from './secure-sum.ts';
import { digest, sha256 } from './transcript.ts';
import { MOST_VALUES } from './wire.ts';

/**
 * A task: what is to be computed, by whom, and what it costs. Fixed and signed before any data is touched.
 *
 *   settings (a person wrote them) + roster + start parameters ──derive──▶ plan ──SHA-256──▶ task id
 *
 * Everything under `derived` follows from the rest by arithmetic that every client repeats: a plan whose
 * σ, ε or thresholds are not the ones this file computes is refused, whoever signed it.
 */

const count = z.int().positive();
const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'use 1 to 32 of a-z, 0-9 and -');
const sentence = z
  .string()
  .regex(/^[\p{L}\p{N}][\p{L}\p{N} .,;:()/§-]{0,199}$/u, 'use up to 200 letters, digits and . , ; : ( ) / § -');
const hash = z.string().regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 in hexadecimal');

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

const rosterSchema = z
  .array(z.strictObject({ tenant: name, key: z.string().regex(/^[0-9a-f]{64}$/) }))
  .min(1)
  .max(200);
/** Who may take part: sorted by name; no name and no key twice. */
export type Roster = z.infer<typeof rosterSchema>;

export const planSchema = z.strictObject({
  v: z.literal(1),
  federation: hash,
  createdAt: z.int(),
  settings: settingsSchema,
  roster: rosterSchema,
  derived: z.strictObject({
    /** coordinates of the vector that is summed */
    dimension: count,
    path: z.enum(['strict', 'ghost']),
    clipNorm: z.number(),
    /** L2 change of the integer sum when one customer is added or removed */
    sensitivity: z.number(),
    /** numerator of q over 2^32 */
    rate: count,
    noiseMultiplier: z.number(),
    /** each tenant's share, in grid steps */
    shareStdDev: count,
    /** how many openings the noise is calibrated for */
    openings: count,
    threshold: count,
    maxMagnitude: z.number(),
    epsilon: z.strictObject({ release: z.number(), coalition: z.number(), floor: z.number() }),
    /** the coalition's ε for a customer of one tenant, of two and of three */
    epsilonByCopies: z.tuple([z.number(), z.number(), z.number()]),
  }),
});
export type Plan = z.infer<typeof planSchema>;

/** A plan that cannot be. `field` is the path of the setting to change. */
export class PlanRefused extends Error {
  override readonly name = 'PlanRefused';
  readonly field: string;
  constructor(field: string, message: string) {
    super(`${field}: ${message}`);
    this.field = field;
  }
}

export const taskId = (plan: Plan): string => hex(sha256(planText(plan)));
/** The bytes that are signed and hashed: RFC 8785. */
export const planText = (plan: Plan): string => canonicalize(plan)!;
/** What the coordinator signs when it proposes a task. */
export const planDigest = (text: string): Uint8Array => digest('parley/plan/v1', text);
export const rosterHash = (roster: Roster): string => hex(sha256(canonicalize(roster)!));
export const roundsOf = (plan: Plan): number =>
  plan.settings.work.kind === 'evaluate' ? 1 : plan.settings.work.rounds;
/** Customers who pay: those never trained on pay for evaluation, the others for everything else. */
export const poolOf = (plan: Plan): 'training' | 'held-out' =>
  plan.settings.work.kind === 'evaluate' ? 'held-out' : 'training';
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export function shapeOf(plan: Plan): SumShape {
  const { dimension, threshold, maxMagnitude } = plan.derived;
  const { protocol: _, ...trust } = plan.settings.secureSum;
  return { dimension, tenants: plan.roster.length, threshold, ...trust, maxMagnitude };
}

/** One customer is all rows with its name in the customer column, or one row where there is no such column. */
export const unitOf = ({ features }: Settings): 'customer' | 'row-as-customer' =>
  features.customer === 'row' ? 'row-as-customer' : 'customer';

/** What one opening costs a customer, in the eyes of a coalition: what is charged, budgeted and put in the ledger. */
export const chargedEvent = ({ derived, settings }: Plan): PrivacyEvent =>
  openingEvent({ ...derived, ...settings.privacy, shares: coalitionShares(settings) });

/** The whole plan, in the same eyes. */
export const plannedEvent = ({ derived, settings }: Plan): PrivacyEvent =>
  planEvent({ ...derived, ...settings.privacy, shares: coalitionShares(settings) });

/** Shares of noise that stand between a coalition and one customer. */
export const coalitionShares = ({ privacy, secureSum }: Settings): number =>
  privacy.mode === 'record-local' ? 1 : secureSum.minCohort - secureSum.colluders;

/**
 * @throws PlanRefused naming the setting that does not fit, and by how much
 */
export function makePlan(settings: Settings, roster: Roster, federation: string, createdAt: number): Plan {
  const sorted = [...roster].sort((a, b) => (a.tenant < b.tenant ? -1 : 1));
  const plan: Plan = { v: 1, federation, createdAt, settings, roster: sorted, derived: derive(settings, sorted) };
  return planSchema.parse(plan);
}

/**
 * Derives everything again. The noise multiplier alone is the plan's to choose: whether it is enough is what is checked.
 *
 * @throws PlanRefused when anything derived is not what this file derives, or the noise is too little
 */
export function checkPlan(plan: Plan): void {
  const { settings, roster, derived } = plan;
  const expected = derive(settings, roster, derived.noiseMultiplier);
  for (const [field, value] of Object.entries(expected)) {
    const stated = derived[field as keyof Plan['derived']];
    if (!agree(stated, value))
      throw new PlanRefused(
        `derived.${field}`,
        `the plan says ${inWords(stated)}, its settings give ${inWords(value)}`,
      );
  }
  if (!(derived.epsilon.coalition <= settings.privacy.epsilon))
    throw new PlanRefused(
      'derived.noiseMultiplier',
      `with this noise ε is ${derived.epsilon.coalition}, the settings promise ${settings.privacy.epsilon}`,
    );
}

const inWords = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => (part === Number.POSITIVE_INFINITY ? '∞' : part));

/** ε agree to nine digits: processors may differ in the last. Everything else agrees exactly. */
function agree(stated: unknown, value: unknown): boolean {
  // ∞ agrees with itself alone
  if (typeof value === 'number' && typeof stated === 'number' && Number.isFinite(value) && !Number.isInteger(value))
    return Math.abs(stated - value) <= 1e-9 * value;
  if (typeof value !== 'object') return stated === value;
  return Object.entries(value as object).every(([key, part]) => agree((stated as Record<string, unknown>)[key], part));
}

/** @param chosen - noise multiplier; the least that keeps the settings' ε when left out */
function derive(settings: Settings, roster: Roster, chosen?: number): Plan['derived'] {
  const { privacy, secureSum, work } = settings;
  checkRoster(roster);
  checkWork(settings);
  const threshold = thresholdFor(roster.length, secureSum);
  checkProtocol(secureSum, roster.length, threshold);
  const { dimension, clipNorm } = vectorOf(settings);
  // or it would be opened and paid for, and nobody could be told
  if (dimension > MOST_VALUES)
    throw new PlanRefused(
      'work.model',
      `has ${dimension} parameters, a sum has ${MOST_VALUES} at most: make it smaller`,
    );
  const path = pathFor(dimension, privacy.maxBatch);
  checkPath(settings, path);
  const bound = sensitivity(path, privacy.gridSteps, dimension);
  const rate = samplingRate(privacy.samplingRate);
  const openings = openingsFor(work.kind === 'evaluate' ? 1 : work.rounds);
  checkTruncation(privacy, rate, openings);

  const noiseMultiplier = chosen ?? calibrated(privacy, rate, openings);
  const shares = coalitionShares(settings);
  const shareStdDev = noiseShare({ noiseMultiplier, sensitivity: bound, minCohort: shares, colluders: 0 });
  if (shareStdDev > MAX_STD_DEV)
    throw new PlanRefused(
      'privacy.gridSteps',
      `a noise share of ${shareStdDev} grid steps is beyond the sampler's ${MAX_STD_DEV}; use a coarser grid`,
    );
  const shape = { shareStdDev, sensitivity: bound, dimension, rate, openings };
  const maxMagnitude = largestSum(roster.length, privacy.maxBatch * bound, shareStdDev);
  const { protocol, ...trust } = secureSum;
  checkBits(protocol, { dimension, tenants: roster.length, threshold, ...trust, maxMagnitude });
  return {
    ...{ dimension, path, clipNorm, sensitivity: bound, rate, noiseMultiplier, shareStdDev, openings },
    ...{ threshold, maxMagnitude },
    epsilon: epsilonOf(settings, shape),
    epsilonByCopies: epsilonByCopies(settings, shape),
  };
}

type NoisedOpenings = Omit<PlanShape, 'shares' | 'tenantsPerCustomer'>;

function epsilonOf({ privacy, secureSum }: Settings, shape: NoisedOpenings): Guarantees {
  const { mode, tenantsPerCustomer } = privacy;
  return guarantees({
    ...secureSum,
    eventFor: (held) => planEvent({ ...shape, tenantsPerCustomer, shares: mode === 'record-local' ? 1 : held }),
    delta: privacy.delta * ACCOUNTED_DELTA_FRACTION,
  });
}

function epsilonByCopies(settings: Settings, shape: NoisedOpenings): [number, number, number] {
  const event = planEvent({ ...shape, tenantsPerCustomer: 1, shares: coalitionShares(settings) });
  const found = epsilonForCopies([event], settings.privacy.delta * ACCOUNTED_DELTA_FRACTION, [1, 2, 3]);
  return [found[0]!, found[1]!, found[2]!];
}

function checkRoster(roster: Roster): void {
  if (new Set(roster.map((one) => one.tenant)).size < roster.length)
    throw new PlanRefused('roster', 'a tenant is listed twice');
  if (new Set(roster.map((one) => one.key)).size < roster.length)
    throw new PlanRefused('roster', 'two tenants share one key');
}

function checkWork({ work, features, privacy }: Settings): void {
  if (work.kind === 'train' && work.averageLast > work.rounds)
    throw new PlanRefused(
      'work.averageLast',
      `${work.averageLast} iterates cannot be averaged in ${work.rounds} rounds`,
    );
  if (work.kind !== 'segment' && features.label === undefined)
    throw new PlanRefused('features.label', `${work.kind} needs a label`);
  if (work.kind !== 'segment' && work.model.kind === 'k-means')
    throw new PlanRefused('work.model', 'k-means is trained, and described, by a task of kind segment');
  if (work.kind === 'segment' && features.features.some((feature) => feature.kind !== 'number'))
    throw new PlanRefused('features.features', 'segments are formed on numeric features only');
  if (work.kind === 'evaluate' && features.holdout === null)
    throw new PlanRefused('features.holdout', 'without held-out customers there is nothing to evaluate on');
  if (work.kind !== 'train' && privacy.samplingRate !== 1)
    throw new PlanRefused('privacy.samplingRate', `${work.kind} uses every customer; set it to 1`);
}

/**
 * t = ledger quorum = ⌊(N + c)/2⌋ + 1: two sets of openers always share a tenant that does not collude
 * (2t > N + c), so one round cannot be opened over two sets.
 */
function thresholdFor(tenants: number, { minCohort, colluders }: Settings['secureSum']): number {
  const threshold = Math.floor((tenants + colluders) / 2) + 1;
  if (minCohort > tenants)
    throw new PlanRefused('secureSum.minCohort', `is ${minCohort}, but only ${tenants} tenants are enrolled`);
  if (colluders >= threshold || threshold > minCohort)
    throw new PlanRefused(
      'secureSum',
      `${tenants} tenants with ${colluders} colluders need ${threshold} openers, more than ${colluders} and at most minCohort = ${minCohort}`,
    );
  return threshold;
}

/** What the protocol would refuse when its first keys are made, refused before anything is signed. */
function checkProtocol(settings: Settings['secureSum'], tenants: number, threshold: number): void {
  const { protocol, keyAgreement, minCohort, colluders } = settings;
  const { summing, mostMembers, opening } = protocolNamed(protocol);
  if (summing.some(({ gate }) => gate === 'open') && threshold < 2)
    throw new PlanRefused('secureSum.protocol', `one opener alone would see everything; ${protocol} needs two tenants`);
  if (tenants > mostMembers)
    throw new PlanRefused('secureSum.protocol', `${protocol} serves ${mostMembers} tenants, ${tenants} are enrolled`);
  const { needed, among } = opening({ tenants, threshold, minCohort, colluders });
  if (needed > among)
    throw new PlanRefused(
      'secureSum.minCohort',
      `${tenants - minCohort} tenants may be missing and ${colluders} collude: only ${needed} openers outnumber them, and ${protocol} has ${among}; raise it`,
    );
  // settings that promise what the protocol does not do would be believed
  if (keyAgreement !== undefined && protocol === 'plain')
    throw new PlanRefused(
      'secureSum.keyAgreement',
      `is ${keyAgreement}, and ${protocol} does not take it; leave it out`,
    );
}

function vectorOf({ work, features }: Settings): { dimension: number; clipNorm: number } {
  switch (work.kind) {
    case 'train':
      return { dimension: sumDimension(work.model, features), clipNorm: work.clipNorm };
    case 'segment':
      return {
        dimension: sumDimension({ kind: 'k-means', clusters: work.clusters }, features),
        clipNorm: customerNorm(features.features.length, features.label !== undefined),
      };
    case 'evaluate':
      return { dimension: 2 * work.bins, clipNorm: 1 };
  }
}

/** Large models are clipped in chunks, one row for each customer. */
function checkPath({ features: { customer }, privacy }: Settings, path: GridPath): void {
  if (path === 'ghost' && customer !== 'row' && customer.maxRows > 1)
    throw new PlanRefused(
      'features.customer.maxRows',
      `a model of this size with batches of ${privacy.maxBatch} takes one row for each customer`,
    );
}

/** The chance that a batch must be cut is paid from δ; see privacy/guarantee.ts. */
function checkTruncation(privacy: Settings['privacy'], rate: number, openings: number): void {
  const { maxCustomers, maxBatch, delta } = privacy;
  const cost = truncationDelta({ ...privacy, customers: maxCustomers, rate, openings });
  const most = delta * TRUNCATION_DELTA_FRACTION;
  if (cost > most)
    throw new PlanRefused(
      'privacy.maxBatch',
      `${maxBatch} is too small for ${maxCustomers} customers at this sampling rate: batches would be cut too often, with a probability of up to ${cost.toPrecision(2)} in all openings, and δ pays for ${most.toPrecision(2)}`,
    );
}

function calibrated(privacy: Settings['privacy'], rate: number, openings: number): number {
  const unit = 2 ** 20;
  const { tenantsPerCustomer } = privacy;
  const fixed = { shares: 1, sensitivity: unit, dimension: 1, rate, openings, tenantsPerCustomer };
  return calibrateNoiseMultiplier({
    epsilon: privacy.epsilon,
    delta: privacy.delta * ACCOUNTED_DELTA_FRACTION,
    // any grid this fine gives the same z to ten digits; dimension does not enter
    eventFor: (z) => planEvent({ ...fixed, shareStdDev: z * unit }),
  });
}

/** Every customer of every tenant at the bound in one coordinate, and 12 standard deviations of all shares. */
const largestSum = (tenants: number, perTenant: number, shareStdDev: number): number =>
  Math.ceil(tenants * perTenant + 12 * shareStdDev * Math.sqrt(tenants));

function checkBits(protocol: SecureSumName, shape: SumShape): void {
  const budget = protocolNamed(protocol).budget(shape);
  if (budget.needed > budget.available)
    throw new PlanRefused(
      'privacy.maxBatch',
      `a sum needs ${budget.needed.toFixed(2)} bits, ${protocol} has ${budget.available.toFixed(2)}: ${budget.explanation}`,
    );
}
