/**
 * Reads a whole ledger and asks whether what happened is what was promised.
 *
 * Promise: every ε is computed again from the charges; nothing is taken from a claim. What is found is named by entry and
 * listed completely, not up to the first. An intact chain (`verifyChain`) is checked first; whether the plan's three ε
 * follow from the plan itself is checked where plans are read, by its hash.
 */
import canonicalize from 'canonicalize';
import { epsilonForCopies } from './calibrate.ts';
import type { PrivacyEvent } from './event.ts';
import { pathFor, sensitivity } from './grid.ts';
import {
  ACCOUNTED_DELTA_FRACTION,
  guarantees,
  planEvent,
  TRUNCATION_DELTA_FRACTION,
  truncationDelta,
} from './guarantee.ts';
import {
  type ClaimedEpsilon,
  EMPTY_LEDGER,
  type LedgerEntry,
  type LedgerHead,
  NO_TASK,
  type PlanEntry,
  verifyChain,
} from './ledger.ts';
import { epsilonAtMost } from './pld-accountant.ts';

export interface Audit {
  /** true when there are no findings */
  readonly clean: boolean;
  readonly findings: readonly Finding[];
  /** one for each task that has a plan, in the order of the ledger */
  readonly tasks: readonly TaskAudit[];
  /** of the intact ledger, for comparison with a checkpoint; undefined when the chain is broken */
  readonly head: LedgerHead | undefined;
}

export interface Finding {
  /** the entry's position */
  readonly seq: number;
  readonly problem: string;
}

export interface TaskAudit {
  readonly task: string;
  readonly charges: number;
  /** openings the plan is calibrated for */
  readonly openings: number;
  /** coalition's ε of the charges so far, computed again */
  readonly epsilon: number;
  readonly claimed: ClaimedEpsilon;
}

type Of<K extends LedgerEntry['kind']> = Extract<LedgerEntry, { kind: K }>;

/** Single openings by their canonical text, and how many of each. */
type Openings = Map<string, { readonly event: PrivacyEvent; readonly count: number }>;

/** What has been seen of one task. */
interface Seen {
  readonly plan: Of<'plan'> | undefined;
  readonly planned: Openings;
  readonly used: Openings;
  /** sums that were charged, by round */
  readonly charged: Map<number, string>;
  readonly released: Set<number>;
  charges: number;
  over: boolean;
}

/**
 * Audits a ledger from its first entry.
 *
 * @param entries - as for `verifyChain`
 */
export function auditLedger(entries: readonly unknown[]): Audit {
  const read: LedgerEntry[] = [];
  const chain = verifyChain(entries, EMPTY_LEDGER, (entry) => read.push(entry));
  if (!chain.intact) {
    const { seq, problem } = chain;
    return { clean: false, findings: [{ seq, problem }], tasks: [], head: undefined };
  }
  return { ...auditEntries(read), head: chain.head };
}

/** As `auditLedger`, for entries whose chain was verified. */
export function auditEntries(entries: readonly LedgerEntry[]): Omit<Audit, 'head'> {
  const seenOf = new Map<string, Seen>();
  const findings: Finding[] = [];
  for (const entry of entries) {
    const isOfNone = OF_NO_TASK.includes(entry.kind);
    if (isOfNone !== (entry.task === NO_TASK))
      findings.push({ seq: entry.seq, problem: `an entry of kind ${entry.kind} for task ${entry.task}` });
    if (isOfNone) continue;
    const seen = seenOf.get(entry.task);
    if (seen === undefined) seenOf.set(entry.task, firstSeen(entry));
    for (const problem of problemsOf(entry, seen, seenOf.get(entry.task)!)) findings.push({ seq: entry.seq, problem });
  }
  const tasks = [...seenOf.values()].flatMap((seen) => (seen.plan === undefined ? [] : [taskAudit(seen, seen.plan)]));
  return { clean: findings.length === 0, findings, tasks };
}

const OF_NO_TASK: readonly LedgerEntry['kind'][] = ['roster', 'erasure', 'budget', 'approval-rule', 'approved'];

function firstSeen(entry: LedgerEntry): Seen {
  const plan = entry.kind === 'plan' ? entry : undefined;
  const planned: Openings = plan === undefined ? new Map() : addOpenings(new Map(), plan.event, 1);
  return { plan, planned, used: new Map(), charged: new Map(), released: new Set(), charges: 0, over: false };
}

/** What is wrong with the next entry of a task, given those before (undefined: there are none); takes it in. */
function problemsOf(entry: LedgerEntry, before: Seen | undefined, seen: Seen): string[] {
  const wrong = [];
  if (entry.kind === 'plan') return before === undefined ? planProblems(entry) : ['a second plan for this task'];
  if (before === undefined) wrong.push('the task has no plan');
  if (seen.over) wrong.push('the task was over');
  if (entry.kind === 'charge') wrong.push(...chargeProblems(entry, seen));
  if (entry.kind === 'release') wrong.push(...releaseProblems(entry, seen));
  if (entry.kind === 'stop' || entry.kind === 'finish') seen.over = true;
  return wrong;
}

/** Everything a plan entry claims, computed again from its mechanism. */
function planProblems(plan: PlanEntry): string[] {
  const { mechanism, tenantsPerCustomer, trust, delta } = plan;
  const { release, coalition, floor } = plan.epsilon;
  if (plan.event.type === 'NonPrivate') {
    const isSaid = [release, coalition, floor, ...plan.epsilonByCopies].every((epsilon) => epsilon === 'infinite');
    return isSaid ? [] : ['claims an epsilon for what is not protected'];
  }
  const shape = { ...mechanism, tenantsPerCustomer };
  const eventFor = (shares: number) => planEvent({ ...shape, shares: trust.mode === 'record-local' ? 1 : shares });
  const wrong = [];
  if (trust.colluders >= trust.minCohort)
    return ['a plan that counts on nobody: as many colluders as a cohort has members'];
  const event = eventFor(trust.minCohort - trust.colluders);
  if (canonicalize(event) !== canonicalize(plan.event)) wrong.push('its event is not that of its mechanism');
  const { gridSteps, dimension, maxBatch, maxCustomers } = mechanism;
  if (mechanism.sensitivity !== sensitivity(pathFor(dimension, maxBatch), gridSteps, dimension))
    wrong.push('its sensitivity is not that of its grid');
  if (truncationDelta({ ...shape, customers: maxCustomers }) > delta * TRUNCATION_DELTA_FRACTION)
    wrong.push('its batches are too small for its customers: δ does not pay for cutting them');
  const costs = guarantees({ ...trust, eventFor, delta: delta * ACCOUNTED_DELTA_FRACTION });
  for (const against of ['release', 'coalition', 'floor'] as const) {
    const claims = value(plan.epsilon[against]);
    if (!same(claims, costs[against]))
      wrong.push(`claims ${against} epsilon ${claims}, its mechanism costs ${costs[against]}`);
  }
  const single = planEvent({ ...shape, tenantsPerCustomer: 1, shares: coalitionShares(trust) });
  const byCopies = epsilonForCopies([single], delta * ACCOUNTED_DELTA_FRACTION, [1, 2, 3]);
  for (const [i, cost] of byCopies.entries()) {
    const claims = value(plan.epsilonByCopies[i]!);
    if (!same(claims, cost))
      wrong.push(`claims epsilon ${claims} for a customer of ${i + 1} tenants, it costs ${cost}`);
  }
  return wrong;
}

const coalitionShares = ({ mode, minCohort, colluders }: PlanEntry['trust']): number =>
  mode === 'record-local' ? 1 : minCohort - colluders;

/** Charges within the plan's openings cost no more than the plan's event, whose ε was compared with the claim. */
function chargeProblems({ round, event, sumHash }: Of<'charge'>, seen: Seen): string[] {
  const wrong = [];
  if (seen.charged.has(round)) wrong.push(`a second charge for round ${round}`);
  seen.charged.set(round, sumHash);
  seen.charges++;
  addOpenings(seen.used, event, 1);
  for (const key of addOpenings(new Map(), event, 1).keys()) {
    const planned = seen.planned.get(key)?.count;
    const used = seen.used.get(key)!.count;
    if (planned === undefined) wrong.push('charges an event that is not in the plan');
    else if (used > planned) wrong.push(`opening ${used} of ${planned} that were planned`);
  }
  return wrong;
}

function releaseProblems({ round, sumHash }: Of<'release'>, seen: Seen): string[] {
  const wrong = [];
  const charged = seen.charged.get(round);
  if (charged === undefined) wrong.push(`round ${round} was not charged before`);
  else if (charged !== sumHash) wrong.push('releases another sum than was charged');
  if (seen.released.has(round)) wrong.push(`a second release of round ${round}`);
  seen.released.add(round);
  return wrong;
}

function taskAudit({ used, planned, charges }: Seen, { task, delta, epsilon: claimed }: Of<'plan'>): TaskAudit {
  const events: PrivacyEvent[] = [...used.values()].map(({ event, count }) => ({ type: 'SelfComposed', event, count }));
  const openings = [...planned.values()].reduce((sum, { count }) => sum + count, 0);
  const epsilon = epsilonAtMost(events, delta * ACCOUNTED_DELTA_FRACTION);
  return { task, charges, openings, epsilon, claimed: claimed.coalition };
}

/** Takes an event apart into single openings and counts them. */
function addOpenings(into: Openings, event: PrivacyEvent, times: number): Openings {
  if (event.type === 'SelfComposed') return addOpenings(into, event.event, times * event.count);
  if (event.type === 'Composed') return event.events.reduce((sum, part) => addOpenings(sum, part, times), into);
  const key = canonicalize(event)!;
  return into.set(key, { event, count: (into.get(key)?.count ?? 0) + times });
}

/** Two implementations of the same sums agree to this, relative. */
const TOLERANCE = 1e-6;

// ∞ agrees with itself alone
const same = (a: number, b: number): boolean =>
  a === b || (Number.isFinite(b) && Math.abs(a - b) <= TOLERANCE * Math.abs(b));

const value = (claimed: ClaimedEpsilon): number => (claimed === 'infinite' ? Infinity : claimed);
