/**
 * What a ledger says that each tenant's customers have paid.
 *
 *   plan ─▶ accept: set aside whole ─▶ charge… abort… ─▶ stop | finish: what was never opened comes back
 *
 * The ledger does not say which tenants a sum is over. So of a task that is over it gives three counts: openings that a
 * tenant certainly took part in, those that were charged, and those it may have paid for, a contribution that left for a
 * round without an opening included (`client/spending.ts`). The tenant's own count lies between the first and the last.
 */
import { type Budget, commit, hold, release, type Spending } from './budget.ts';
import type { PrivacyEvent } from './event.ts';
import type { LedgerEntry } from './ledger.ts';

export interface AcceptedTask {
  readonly task: string;
  readonly pool: string;
  readonly purpose: string;
  /** one opening, in the eyes of a coalition */
  readonly event: PrivacyEvent;
  /** that the plan provides for */
  readonly openings: number;
  /** position of the acceptance */
  readonly acceptedAt: number;
  /** position of the task's end; undefined while it runs */
  readonly endedAt: number | undefined;
  /** openings charged over as many contributions as tenants had accepted: this one's is among them */
  readonly certain: number;
  readonly charged: number;
  /** `charged`, the rounds that were aborted before, and the one that may have been under way when the task was stopped */
  readonly possible: number;
}

export interface LedgerSpending {
  /** entries taken in */
  readonly size: number;
  /** Takes in the next entry. */
  see(entry: LedgerEntry): void;
  /**
   * Tasks this tenant accepted, in order; what came after the first `size` entries is left out, but for acceptances.
   * @param accepting - tasks that it has accepted by its own word, or is about to: counted as accepted now, unless they are over
   */
  tasksOf(tenant: string, size?: number, accepting?: ReadonlySet<string>): readonly AcceptedTask[];
}

interface Seen {
  readonly plan: Extract<LedgerEntry, { kind: 'plan' }>;
  readonly accepted: Map<string, number>;
  readonly charges: { readonly seq: number; readonly round: number; readonly ofAll: boolean }[];
  readonly aborts: { readonly seq: number; readonly round: number }[];
  endedAt: number | undefined;
  /** ended in the middle of a round, perhaps: of that one there is no entry */
  wasStopped: boolean;
}

export function followSpending(): LedgerSpending {
  const seen = new Map<string, Seen>();
  let size = 0;
  return {
    get size() {
      return size;
    },
    see(entry) {
      size = entry.seq + 1;
      if (entry.kind === 'plan' && !seen.has(entry.task))
        seen.set(entry.task, { plan: entry, accepted: new Map(), charges: [], aborts: [], ...RUNNING });
      const task = seen.get(entry.task);
      if (task !== undefined) takeIn(task, entry);
    },
    tasksOf: (tenant, upTo = size, accepting) =>
      [...seen.values()]
        .flatMap((task) => {
          const isOver = task.endedAt !== undefined && task.endedAt < upTo;
          const accepts = accepting?.has(task.plan.task) === true && !isOver;
          const acceptedAt = task.accepted.get(tenant) ?? (accepts ? size : undefined);
          return acceptedAt === undefined ? [] : [acceptedTask(task, acceptedAt, upTo)];
        })
        .sort((a, b) => a.acceptedAt - b.acceptedAt),
  };
}

const RUNNING = { endedAt: undefined, wasStopped: false } as const;

function takeIn(task: Seen, entry: LedgerEntry): void {
  switch (entry.kind) {
    case 'accept':
      if (!task.accepted.has(entry.tenant)) task.accepted.set(entry.tenant, entry.seq);
      return;
    case 'charge':
      return void task.charges.push({
        ...{ seq: entry.seq, round: entry.round, ofAll: entry.contributions >= task.accepted.size },
      });
    case 'abort':
      return void task.aborts.push({ seq: entry.seq, round: entry.round });
    case 'stop':
    case 'finish':
      if (task.endedAt === undefined) Object.assign(task, { endedAt: entry.seq, wasStopped: entry.kind === 'stop' });
      return;
    default:
      return;
  }
}

function acceptedTask(
  { plan, charges, aborts, endedAt, wasStopped }: Seen,
  acceptedAt: number,
  upTo: number,
): AcceptedTask {
  const { openings } = plan.mechanism;
  const isIts = ({ seq }: { seq: number }): boolean => seq > acceptedAt && seq < upTo;
  const charged = charges.filter(isIts);
  const unopened = aborts.filter((abort) => isIts(abort) && !charges.some(({ round }) => round === abort.round));
  const isOver = endedAt !== undefined && endedAt < upTo;
  const underWay = isOver && wasStopped ? 1 : 0;
  return {
    ...{ task: plan.task, pool: plan.pool, purpose: plan.use.purpose, event: openingOf(plan.event), openings },
    acceptedAt,
    endedAt: isOver ? endedAt : undefined,
    certain: charged.filter(({ ofAll }) => ofAll).length,
    charged: charged.length,
    possible: Math.min(openings, charged.length + unopened.length + underWay),
  };
}

/** A plan's event is one opening, as often as the plan opens. */
const openingOf = (event: PrivacyEvent): PrivacyEvent => (event.type === 'SelfComposed' ? event.event : event);

/**
 * What a pool's budget holds after these tasks, in the order in which they were accepted and ended: one that runs is set
 * aside whole, of one that is over `paid` openings are spent. No limit refuses anything: this is a record.
 *
 * @param from - a budget with the pool, in which nothing is held of these tasks
 * @param now - Unix ms, the period that pays
 */
export function budgetAfter(
  from: Budget,
  tasks: readonly AcceptedTask[],
  paid: (task: AcceptedTask) => number,
  now: number,
): Budget {
  const steps = tasks.flatMap((task) => [
    { seq: task.acceptedAt, step: (budget: Budget) => hold(budget, spending(task, task.openings), now) },
    ...(task.endedAt === undefined
      ? []
      : [{ seq: task.endedAt, step: (budget: Budget) => ended(budget, task, paid(task)) }]),
  ]);
  return steps.sort((a, b) => a.seq - b.seq).reduce((budget, { step }) => step(budget), from);
}

function ended(budget: Budget, task: AcceptedTask, paid: number): Budget {
  const spent = paid === 0 ? budget : commit(budget, spending(task, paid));
  return paid === task.openings ? spent : release(spent, spending(task, task.openings - paid));
}

const spending = ({ pool, task, purpose, event }: AcceptedTask, count: number): Spending => ({
  ...{ pool, task, purpose, event, count },
});
