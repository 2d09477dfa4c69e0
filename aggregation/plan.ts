import canonicalize from 'canonicalize';
import { z } from 'zod';
import type { PrivacyEvent } from '../privacy/event.ts';
import { openingEvent, planEvent } from '../privacy/guarantee.ts';
import { derive } from './derive-plan.ts';
import { PlanRefused } from './plan-refused.ts';
import type { SumShape } from './secure-sum.ts';
import { coalitionShares, count, hash, name, type Settings, settingsSchema } from './settings.ts';
import { digest, sha256 } from './transcript.ts';

/**
 * A task: what is to be computed, by whom, and what it costs. Fixed and signed before any data is touched.
 *
 *   settings (a person wrote them) + roster + start parameters ──derive──▶ plan ──SHA-256──▶ task id
 *
 * Everything under `derived` follows from the rest by arithmetic that every client repeats (`derive-plan.ts`): a plan whose
 * σ, ε or thresholds are not the ones that come out is refused, whoever signed it.
 */

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

/** What one opening costs a customer, in the eyes of a coalition: what is charged, budgeted and put in the ledger. */
export const chargedEvent = ({ derived, settings }: Plan): PrivacyEvent =>
  openingEvent({ ...derived, ...settings.privacy, shares: coalitionShares(settings) });

/** The whole plan, in the same eyes. */
export const plannedEvent = ({ derived, settings }: Plan): PrivacyEvent =>
  planEvent({ ...derived, ...settings.privacy, shares: coalitionShares(settings) });

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
 * @throws PlanRefused when anything derived is not what comes out, or the noise is too little
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
