import { createHash } from 'node:crypto';
import { epsilonForCopies } from '../../privacy/calibrate.ts';
import {
  ACCOUNTED_DELTA_FRACTION,
  type Guarantees,
  guarantees,
  openingEvent,
  planEvent,
} from '../../privacy/guarantee.ts';
import {
  appendEntry,
  EMPTY_LEDGER,
  type LedgerBody,
  type LedgerContext,
  type LedgerEntry,
  type LedgerHead,
  type PlanEntry,
} from '../../privacy/ledger.ts';
import { samplingRate } from '../../privacy/poisson.ts';

export const hex = (of: string): string => createHash('sha256').update(of).digest('hex');
export const context: LedgerContext = { time: 1_700_000_000_000, federation: 'north', task: 'task-1' };

type Of<K extends LedgerBody['kind']> = Extract<LedgerBody, { kind: K }>;

const delta = 1e-5;
const opening = {
  shareStdDev: 1_500_000,
  sensitivity: 2 ** 20,
  dimension: 21,
  rate: samplingRate(0.1),
  tenantsPerCustomer: 1,
};
const cohort = { minCohort: 4, colluders: 1 };

/** A plan of `openings` openings that claims what its event costs. */
export function aPlan(openings = 5, tenantsPerCustomer = 1): PlanEntry & { readonly epsilon: Guarantees } {
  const eventFor = (shares: number) => planEvent({ ...opening, shares, openings, tenantsPerCustomer });
  const accounted = delta * ACCOUNTED_DELTA_FRACTION;
  const [one, two, three] = epsilonForCopies([planEvent({ ...opening, shares: 3, openings })], accounted, [1, 2, 3]);
  const { tenantsPerCustomer: _, ...measures } = opening;
  return {
    kind: 'plan',
    planHash: hex('plan'),
    event: eventFor(3),
    delta,
    epsilon: guarantees({ eventFor, delta: accounted, ...cohort }),
    epsilonByCopies: [one!, two!, three!],
    unit: 'customer',
    neighbouring: 'add-or-remove-one',
    tenantsPerCustomer,
    accountant: { name: 'pld', version: 1 },
    mechanism: {
      ...{ ...measures, clipNorm: 2, gridSteps: 2 ** 20, noiseMultiplier: 2.4, rounds: openings, openings },
      ...{ maxBatch: 400, maxCustomers: 2000 },
    },
    trust: { mode: 'record-distributed', secureSum: 'threshold-he', ...cohort, threshold: 4 },
    roster: [],
    pool: 'training',
    use: { purpose: 'retention' },
  };
}

export const aCharge = (round: number): Of<'charge'> => ({
  kind: 'charge',
  round,
  event: openingEvent({ ...opening, shares: 3 }),
  sumHash: hex(`sum ${round}`),
  contributions: 4,
});
export const aRelease = (round: number): Of<'release'> => ({
  kind: 'release',
  round,
  modelHash: hex(`model ${round}`),
  sumHash: hex(`sum ${round}`),
});
export const anAbort = (round: number): Of<'abort'> => ({ kind: 'abort', round, reason: 'too-few-tenants' });
export const aFinish = (rounds: number): Of<'finish'> => ({ kind: 'finish', rounds, modelHash: hex('result') });

/** A ledger with these bodies, each of the given task or of `context`'s. */
export function chainOf(bodies: readonly (LedgerBody & { task?: string })[]): {
  entries: LedgerEntry[];
  head: LedgerHead;
} {
  const entries: LedgerEntry[] = [];
  let head = EMPTY_LEDGER;
  for (const { task = context.task, ...body } of bodies) {
    const appended = appendEntry(head, body as LedgerBody, { ...context, task });
    entries.push(appended.entry);
    head = appended.head;
  }
  return { entries, head };
}
