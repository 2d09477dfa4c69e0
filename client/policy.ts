import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import canonicalize from 'canonicalize';
import { z } from 'zod';
import { fingerprint } from '../aggregation/identity.ts';
import { type Plan, poolOf } from '../aggregation/plan.ts';
import { KEY_AGREEMENTS, SECURE_SUMS, type TenantId } from '../aggregation/secure-sum.ts';
import { coalitionShares } from '../aggregation/settings.ts';
import { type FeatureSchema, featureSchema } from '../models/schema.ts';
import { limits } from '../privacy/budget.ts';

/**
 * What a tenant lets happen to its customers. A file of its own, kept and changed by the tenant alone;
 * the coordinator never sees it and cannot override it. What it does not allow is declined.
 */
const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'use 1 to 32 of a-z, 0-9 and -');
const print = z
  .string()
  .regex(
    /^([0-9a-f]{4}-){9}[0-9a-f]{4}$/,
    'expected a fingerprint: ten groups of four hex digits, from `parley tenant fingerprint`',
  );

const address = z.url({ protocol: /^https?$/ });
const addresses = z.union([address, z.array(address).min(1).max(16)], {
  error: 'expected an address such as https://parley.example:7400, or a list of them',
});

export const policySchema = z.strictObject({
  tenant: name,
  /** where it listens: one address, or those of several coordinators with this one key, of which one leads */
  coordinator: z
    .strictObject({
      url: addresses,
      fingerprint: print,
      /** `ca`: PEM file with the CA of its certificate, where that is a private one; relative to the policy file */
      tls: z.strictObject({ ca: z.string().min(1) }).exactOptional(),
    })
    .refine(({ url, tls }) => tls === undefined || [url].flat().every((one) => one.startsWith('https:')), {
      path: ['url'],
      error: '"tls" is there: expected https:// and no other address',
    }),
  /** CSV or Parquet file with this tenant's customers; relative to the policy file */
  data: z.string().min(1),
  /**
   * The data contract, a JSON file: who a customer is, who is held out, and every column that tasks may use, with its bounds or
   * categories. The data is checked against it before the client connects; a plan may use part of it and nothing else, so
   * no plan can ask a question by what it makes this tenant decline.
   */
  schema: z.string().min(1),
  /** an upper bound on this tenant's customers that may be known */
  maxCustomers: z.int().positive(),
  /** tenants counted as honest, with the fingerprints their people read out: nobody else counts towards a cohort */
  peers: z.record(name, print),
  accept: z.strictObject({
    work: z.array(z.enum(['train', 'segment', 'evaluate'])).min(1),
    secureSum: z.array(z.enum(SECURE_SUMS)).min(1),
    /** how secrets behind masks may be agreed on; all ways when left out */
    keyAgreement: z.array(z.enum(KEY_AGREEMENTS)).min(1).exactOptional(),
    mode: z.array(z.enum(['record-distributed', 'record-local'])).min(1),
    /** largest coalition ε of one task */
    maxEpsilon: z.number().positive(),
    maxDelta: z.number().gt(0).lt(1),
    /** tenants a customer of this one may be a customer of, this one included: plans must count on as many */
    minTenantsPerCustomer: z.int().min(1).exactOptional(),
    /** fewest pinned tenants, this one included, a sum may be opened over */
    minCohort: z.int().min(1),
    /** fewest colluding tenants the plan must withstand */
    minColluders: z.int().min(0),
    /** contributions must leave at multiples of at least this, so that their time tells little */
    minUploadEveryMs: z.int().min(1),
  }),
  /**
   * What may ever be spent, over all tasks: on customers trained on, and on customers held out. Within that, `perPeriod`
   * (every month, quarter or year) and `purposes` may each set a limit of their own.
   */
  budget: z.strictObject({ training: limits, 'held-out': limits }),
});
/** As in the file, with the contract read in. */
export type Policy = Omit<z.infer<typeof policySchema>, 'schema'> & { readonly schema: FeatureSchema };

export class PolicyUnreadable extends Error {
  override readonly name = 'PolicyUnreadable';
}

/** @throws PolicyUnreadable naming file and field; paths come back absolute */
export function readPolicy(file: string): Policy {
  if (!existsSync(file))
    throw new PolicyUnreadable(`${file}: no such file; \`parley client init\` writes one to start from`);
  const value = parsedJson(file);
  const parsed = policySchema.safeParse(value);
  if (!parsed.success) throw unreadable(file, parsed.error);
  const schema = readContract(resolve(dirname(file), parsed.data.schema));
  const { coordinator } = parsed.data;
  const tls = coordinator.tls && { tls: { ca: resolve(dirname(file), coordinator.tls.ca) } };
  const data = resolve(dirname(file), parsed.data.data);
  return { ...parsed.data, schema, data, coordinator: { ...coordinator, ...tls } };
}

/** @throws PolicyUnreadable naming file and field */
export function readContract(file: string): FeatureSchema {
  if (!existsSync(file))
    throw new PolicyUnreadable(`${file}: no such file; "schema" in the policy names the data contract`);
  const parsed = featureSchema.safeParse(parsedJson(file));
  if (!parsed.success) throw unreadable(file, parsed.error);
  return parsed.data;
}

function unreadable(file: string, error: z.ZodError): PolicyUnreadable {
  const lines = error.issues.map((issue) => `${file}: ${issue.path.join('.') || '(top)'}: ${issue.message}`);
  return new PolicyUnreadable(lines.join('\n'));
}

function parsedJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new PolicyUnreadable(`${file}: not JSON: ${(error as Error).message}`);
  }
}

/** What makes a customer the same customer in every task. */
export const contractOf = ({ schema: { customer, holdout } }: Policy): string => canonicalize({ customer, holdout })!;

/** The first thing about a plan that the policy does not allow, as a sentence; undefined when it allows all of it. */
export function objection(policy: Policy, plan: Plan): string | undefined {
  const { accept } = policy;
  const { work, secureSum, privacy } = plan.settings;
  if (!accept.work.includes(work.kind)) return `tasks of kind "${work.kind}" are not accepted`;
  if (!accept.secureSum.includes(secureSum.protocol)) return `the secure sum "${secureSum.protocol}" is not accepted`;
  const { keyAgreement = 'x25519' } = secureSum;
  if (secureSum.protocol !== 'plain' && accept.keyAgreement?.includes(keyAgreement) === false)
    return `keys agreed by "${keyAgreement}" are not accepted`;
  if (!accept.mode.includes(privacy.mode)) return `the mode "${privacy.mode}" is not accepted`;
  if (plan.derived.epsilon.coalition > accept.maxEpsilon)
    return `coalition ε ${plan.derived.epsilon.coalition.toFixed(3)} is above ${accept.maxEpsilon}`;
  const { minTenantsPerCustomer = 1 } = accept;
  if (privacy.tenantsPerCustomer < minTenantsPerCustomer)
    return `the plan takes a customer to be one of ${privacy.tenantsPerCustomer} tenants, the policy of ${minTenantsPerCustomer}`;
  if (privacy.delta > accept.maxDelta) return `δ ${privacy.delta} is above ${accept.maxDelta}`;
  if (secureSum.minCohort < accept.minCohort) return `a cohort of ${secureSum.minCohort} is below ${accept.minCohort}`;
  if (secureSum.colluders < accept.minColluders)
    return `the plan withstands ${secureSum.colluders} colluders, fewer than ${accept.minColluders}`;
  if (plan.settings.timing.uploadEveryMs < accept.minUploadEveryMs)
    return `contributions would leave every ${plan.settings.timing.uploadEveryMs} ms, the policy asks for ${accept.minUploadEveryMs} or more`;
  const beyond = beyondContract(plan.settings.features, policy.schema);
  if (beyond !== undefined) return beyond;
  if (privacy.maxCustomers < policy.maxCustomers)
    return `the plan provides for ${privacy.maxCustomers} customers, this tenant for up to ${policy.maxCustomers}`;
  if (coalitionShares(plan.settings) < 1) return 'nobody outside the coalition adds noise';
  const pinned = pinnedTenants(policy, plan);
  if (pinned.size < secureSum.minCohort)
    return `${pinned.size} of the roster's tenants are pinned in "peers", the plan needs ${secureSum.minCohort}: compare fingerprints`;
  const { delta, perPeriod, purposes } = policy.budget[poolOf(plan)];
  const smallest = Math.min(delta, perPeriod?.delta ?? 1, purposes?.[plan.settings.use.purpose]?.delta ?? 1);
  if (privacy.delta > smallest) return `δ ${privacy.delta} is above the budget's ${smallest}`;
  return undefined;
}

/** What a plan asks that the contract does not offer. Depends on two public documents alone, never on a row. */
function beyondContract(asked: FeatureSchema, contract: FeatureSchema): string | undefined {
  const same = (a: unknown, b: unknown): boolean => canonicalize(a) === canonicalize(b);
  if (!same(asked.customer, contract.customer))
    return 'the plan tells customers apart by another rule than the data contract';
  if (!same(asked.holdout, contract.holdout))
    return 'the plan holds customers out by another rule than the data contract';
  if (asked.label !== undefined && !same(asked.label, contract.label))
    return 'the label is not that of the data contract';
  const extra = asked.features.find((feature) => !contract.features.some((offered) => same(feature, offered)));
  return extra && `column "${extra.column}" is not in the data contract as the plan describes it`;
}

/**
 * The tenants of the roster that count: this one, and those whose key has the fingerprint that was compared out of
 * band. A roster of ghosts invented by the coordinator counts for nothing.
 */
export function pinnedTenants(policy: Policy, plan: Plan): ReadonlySet<TenantId> {
  const pinned = plan.roster.filter(
    ({ tenant, key }) => tenant === policy.tenant || policy.peers[tenant] === fingerprint(Buffer.from(key, 'hex')),
  );
  return new Set(pinned.map(({ tenant }) => tenant));
}
