import type { GridPath } from '../privacy/grid.ts';
import { TRUNCATION_DELTA_FRACTION, truncationDelta } from '../privacy/guarantee.ts';
import type { Roster } from './plan.ts';
import { protocolNamed } from './protocols.ts';
import type { SecureSumName, SumShape } from './secure-sum.ts';
import type { Settings } from './settings.ts';

/** A plan that cannot be. `field` is the path of the setting to change. */
export class PlanRefused extends Error {
  override readonly name = 'PlanRefused';
  readonly field: string;
  constructor(field: string, message: string) {
    super(`${field}: ${message}`);
    this.field = field;
  }
}

/*
 * What settings are refused for, before anything is signed. Each names the setting, and by how much it does not fit: @throws PlanRefused
 */

/** No name and no key twice. */
export function checkRoster(roster: Roster): void {
  if (new Set(roster.map((one) => one.tenant)).size < roster.length)
    throw new PlanRefused('roster', 'a tenant is listed twice');
  if (new Set(roster.map((one) => one.key)).size < roster.length)
    throw new PlanRefused('roster', 'two tenants share one key');
}

/** What is computed can be, from these features, of whom is sampled. */
export function checkWork({ work, features, privacy }: Settings): void {
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

/** What the protocol would refuse when its first keys are made, refused before anything is signed. */
export function checkProtocol(settings: Settings['secureSum'], tenants: number, threshold: number): void {
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

/** Large models are clipped in chunks, one row for each customer. */
export function checkPath({ features: { customer }, privacy }: Settings, path: GridPath): void {
  if (path === 'ghost' && customer !== 'row' && customer.maxRows > 1)
    throw new PlanRefused(
      'features.customer.maxRows',
      `a model of this size with batches of ${privacy.maxBatch} takes one row for each customer`,
    );
}

/** The chance that a batch must be cut is paid from δ; see privacy/guarantee.ts. */
export function checkTruncation(privacy: Settings['privacy'], rate: number, openings: number): void {
  const { maxCustomers, maxBatch, delta } = privacy;
  const cost = truncationDelta({ ...privacy, customers: maxCustomers, rate, openings });
  const most = delta * TRUNCATION_DELTA_FRACTION;
  if (cost > most)
    throw new PlanRefused(
      'privacy.maxBatch',
      `${maxBatch} is too small for ${maxCustomers} customers at this sampling rate: batches would be cut too often, with a probability of up to ${cost.toPrecision(2)} in all openings, and δ pays for ${most.toPrecision(2)}`,
    );
}

/** The largest sum there may be fits into what the protocol adds in. */
export function checkBits(protocol: SecureSumName, shape: SumShape): void {
  const budget = protocolNamed(protocol).budget(shape);
  if (budget.needed > budget.available)
    throw new PlanRefused(
      'privacy.maxBatch',
      `a sum needs ${budget.needed.toFixed(2)} bits, ${protocol} has ${budget.available.toFixed(2)}: ${budget.explanation}`,
    );
}
