import { fingerprint } from '../../aggregation/identity.ts';
import type { LedgerVerdict } from '../../aggregation/verify-ledger.ts';
import { type LedgerEntry, NO_TASK, type Sha256Hex } from '../../privacy/ledger.ts';
import { type Deviation, deviationsIn } from './deviations.ts';
import { type Exposure, exposureOf } from './exposure.ts';
import { behindPeriod, isCharge, type PlannedTask, spentBy, wholePlan } from './openings.ts';
import { isIn, type Period } from './period.ts';
import { orderOf, type PoolFigures, poolsOf } from './pools.ts';

/**
 * A verified ledger and a period, turned into everything a report says. Pure.
 *
 *   entries ─▶ charges of each task ─▶ each task: planned, charged
 *                                  └─▶ each pool of customers, over all its tasks: in the period, over the whole ledger, planned
 *
 * A model that was released in a period rests on every opening before it. So of a task that opened, released or ended
 * anything in the period, all openings up to that count, and two periods may count the same opening; the whole
 * ledger counts it once.
 *
 * Promise: ε comes from the charges, never from a claim, and a period is never shown without the whole ledger beside it.
 */
export interface ReportFigures {
  readonly period: Period;
  readonly ledger: LedgerFigures;
  /** those that the period has an entry of, in the order of their plans */
  readonly tasks: readonly TaskFigures[];
  /** of the whole ledger, in the order of their first plans */
  readonly pools: readonly PoolFigures[];
  /** in the period */
  readonly deviations: readonly Deviation[];
}

export interface LedgerFigures {
  readonly entries: number;
  /** of the Merkle tree over all entries, base64: what checkpoints have */
  readonly root: string;
  /** of the first and the last entry, Unix ms by the coordinator's clock; of an empty ledger neither */
  readonly span?: { readonly first: number; readonly last: number };
  /** the coordinator's fingerprint */
  readonly signedBy: string;
  /** everyone who was ever on a roster, with every key */
  readonly tenants: readonly { readonly tenant: string; readonly fingerprint: string }[];
  /** whose keys the reader had not brought: the coordinator, or tenants by name */
  readonly unknownKeys: readonly string[];
}

export interface TaskFigures {
  readonly task: string;
  readonly plan: PlannedTask;
  readonly end: TaskEnd | undefined;
  /** how far the quorum of its roster has cosigned it */
  readonly witnessed: 'end' | 'plan' | 'no';
  /** tenants that took part, by name */
  readonly accepted: readonly string[];
  /** openings charged in the period */
  readonly chargesInPeriod: number;
  /** openings that what it gave in the period rests on: all of them up to its end, or none when the period saw nothing of it */
  readonly behindPeriod: number;
  /** charged openings that became a model */
  readonly releases: number;
  /** if every planned opening is used */
  readonly planned: Exposure;
  /** by the openings that were charged, up to the end of the ledger */
  readonly charged: Exposure;
}

export type TaskEnd =
  | { readonly kind: 'finish'; readonly at: number; readonly modelHash: Sha256Hex }
  | { readonly kind: 'stop'; readonly at: number; readonly reason: string };

/**
 * @param verdict - of an export that verifies
 * @param root - of the Merkle tree over all entries
 * @throws RangeError when the export does not verify: there is nothing to report on
 */
export function figuresOf(verdict: LedgerVerdict, root: Uint8Array, period: Period): ReportFigures {
  if (!verdict.verified) throw new RangeError('a ledger that does not verify has no figures');
  const { entries } = verdict;
  const plans = entries.filter((entry): entry is PlannedTask => entry.kind === 'plan');
  const ofTask = Map.groupBy(entries, ({ task }) => task);
  return {
    period,
    ledger: ledgerFigures(verdict, root, plans),
    tasks: plans
      .filter(({ task }) => ofTask.get(task)!.some(({ time }) => isIn(period, time)))
      .map((plan) => taskFigures(plan, ofTask.get(plan.task)!, verdict, period)),
    pools: poolsOf(plans, entries, period),
    deviations: deviationsIn(verdict, period),
  };
}

function ledgerFigures(verdict: LedgerVerdict, root: Uint8Array, plans: readonly PlannedTask[]): LedgerFigures {
  const { entries, signedBy, unknownKeys } = verdict;
  const keys = new Map(plans.flatMap(({ roster }) => roster.map((one) => [`${one.tenant} ${one.key}`, one])));
  const [first, last] = [entries[0], entries.at(-1)];
  return {
    entries: entries.length,
    root: Buffer.from(root).toString('base64'),
    ...(first === undefined || last === undefined ? {} : { span: { first: first.time, last: last.time } }),
    signedBy,
    tenants: [...keys.values()]
      .map(({ tenant, key }) => ({ tenant, fingerprint: fingerprint(Buffer.from(key, 'hex')) }))
      .sort((a, b) => (a.tenant < b.tenant ? -1 : 1)),
    unknownKeys,
  };
}

function taskFigures(
  plan: PlannedTask,
  own: readonly LedgerEntry[],
  { tasks }: LedgerVerdict,
  period: Period,
): TaskFigures {
  const charges = own.filter(isCharge);
  const terms = { delta: plan.delta, order: orderOf(plan) };
  return {
    task: plan.task,
    plan,
    end: endOf(own),
    witnessed: tasks.find(({ task }) => task === plan.task)!.witnessed,
    accepted: own.flatMap((entry) => (entry.kind === 'accept' ? [entry.tenant] : [])),
    chargesInPeriod: charges.filter(({ time }) => isIn(period, time)).length,
    behindPeriod: behindPeriod(own, period).length,
    releases: own.filter(({ kind }) => kind === 'release').length,
    planned: exposureOf([wholePlan(plan)], terms),
    charged: exposureOf(spentBy([plan], charges), terms),
  };
}

function endOf(own: readonly LedgerEntry[]): TaskEnd | undefined {
  const end = own.find((entry) => entry.kind === 'finish' || entry.kind === 'stop');
  if (end?.kind === 'finish') return { kind: 'finish', at: end.time, modelHash: end.modelHash };
  if (end?.kind === 'stop') return { kind: 'stop', at: end.time, reason: end.reason };
  return undefined;
}

/** The part of a task's id that people say. */
export const shortTask = (task: string): string => (task === NO_TASK ? 'no task' : task.slice(0, 8));
