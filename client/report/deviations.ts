import { fingerprint } from '../../aggregation/identity.ts';
import type { LedgerVerdict } from '../../aggregation/verify-ledger.ts';
import { type LedgerEntry, NO_TASK } from '../../privacy/ledger.ts';
import { actInWords, approvals } from '../approvals-in-words.ts';
import { isIn, type Period } from './period.ts';

/** What did not go as planned, or changed: everything in a ledger that is neither plan nor success. */
export interface Deviation {
  readonly kind:
    | 'round abandoned'
    | 'spent in vain'
    | 'task stopped'
    | 'disagreement'
    | 'erasure'
    | 'roster'
    | 'limit'
    | 'approvals';
  /** `NO_TASK` where it belongs to none */
  readonly task: string;
  /** of the first entry that shows it */
  readonly seq: number;
  readonly at: number;
  readonly what: string;
}

/** Those of the period, in the order of the ledger. */
export function deviationsIn({ entries, tasks }: LedgerVerdict, period: Period): readonly Deviation[] {
  const inPeriod = entries.filter(({ time }) => isIn(period, time));
  const byReason = Map.groupBy(inPeriod.filter(isAbort), ({ task, reason }) => `${task} ${reason}`);
  return [
    ...[...byReason.values()].map(abandoned),
    ...[...Map.groupBy(inPeriod.filter(isCharge), ({ task }) => task).values()].flatMap((own) => inVain(own, entries)),
    ...inPeriod.flatMap(ofOneEntry),
    ...tasks.flatMap((task) => unwitnessed(task, inPeriod)),
  ].sort((a, b) => a.seq - b.seq);
}

/** What a coordinator's reasons mean. Others, of later versions, are shown as they are. */
const REASONS: Readonly<Record<string, string>> = {
  'too-few-tenants': 'fewer units than the plan asks for were there',
  'tenant-lost': 'a unit was lost before its contribution came',
  'openers-lost': 'too few of the units that open a sum were left',
  'does-not-open': 'the shares did not open the charged sum',
  'protocol-broken': 'what the units said did not fit together',
  'openings-exhausted': 'every planned opening was used',
  'coordinator-restarted': 'the coordinator was restarted',
  'tenants-declined': 'too many units declined the plan',
  'budget-exhausted': 'budgets did not allow it',
  'too-few-accepted': 'too few units accepted the plan',
  'not-witnessed': 'too few units cosigned the ledger',
  'too-few-connected': 'too few units were connected for too long',
  'too-many-failures': 'too many rounds failed in a row',
  'coordinator-error': 'the coordinator broke',
  'stopped-by-operator': 'the operator stopped it',
};

/** Reasons by which somebody's word stood against another's. */
const DISAGREEMENTS: readonly string[] = ['does-not-open', 'protocol-broken', 'not-witnessed'];

const inWords = (reason: string): string => REASONS[reason] ?? reason.replaceAll('-', ' ');

const printOf = (key: string): string => fingerprint(Buffer.from(key, 'hex'));

type Of<K extends LedgerEntry['kind']> = Extract<LedgerEntry, { kind: K }>;

const isAbort = (entry: LedgerEntry): entry is Of<'abort'> => entry.kind === 'abort';
const isCharge = (entry: LedgerEntry): entry is Of<'charge'> => entry.kind === 'charge';

function abandoned(own: readonly Of<'abort'>[]): Deviation {
  const [{ task, seq, time, reason }] = own as [Of<'abort'>];
  const kind = DISAGREEMENTS.includes(reason) ? 'disagreement' : 'round abandoned';
  return { kind, task, seq, at: time, what: `${roundsOf(own)} abandoned: ${inWords(reason)}` };
}

/** Openings of one task that were charged, and never became a model: spent all the same. */
function inVain(charges: readonly Of<'charge'>[], entries: readonly LedgerEntry[]): Deviation[] {
  const released = new Set(
    entries.flatMap((entry) => (entry.kind === 'release' && entry.task === charges[0]?.task ? [entry.round] : [])),
  );
  const lost = charges.filter(({ round }) => !released.has(round));
  const [first] = lost;
  if (first === undefined) return [];
  const { task, seq, time } = first;
  return [{ kind: 'spent in vain', task, seq, at: time, what: `${roundsOf(lost)} charged, with no result so far` }];
}

function ofOneEntry(entry: LedgerEntry): Deviation[] {
  const { task, seq, time: at } = entry;
  switch (entry.kind) {
    case 'stop': {
      const kind = DISAGREEMENTS.includes(entry.reason) ? 'disagreement' : 'task stopped';
      return [{ kind, task, seq, at, what: `task stopped: ${inWords(entry.reason)}` }];
    }
    case 'erasure': {
      const what = `${entry.tenant} no longer uses a customer it had; what was released before stays released`;
      return [{ kind: 'erasure', task, seq, at, what }];
    }
    case 'roster': {
      return [
        {
          kind: 'roster',
          task,
          seq,
          at,
          what: `${entry.tenant} ${entry.change}, fingerprint ${printOf(entry.key)}${entry.replaces === undefined ? '' : `, instead of ${printOf(entry.replaces)}`}`,
        },
      ];
    }
    case 'budget': {
      const what = `${entry.tenant} limits ${entry.pool} customers to ε ${entry.epsilon} at δ ${entry.delta}`;
      return [{ kind: 'limit', task, seq, at, what }];
    }
    case 'approval-rule': {
      const what = `tasks, roster and tokens need ${approvals(entry.approvals)} from here on`;
      return [{ kind: 'approvals', task, seq, at, what }];
    }
    case 'approved': {
      const what = `${actInWords(entry.act)} was approved by ${entry.by.join(' and ')}`;
      return [{ kind: 'approvals', task, seq, at, what }];
    }
    default:
      return [];
  }
}

/** A task of the period whose roster has not cosigned the ledger as far as it should have. */
function unwitnessed(
  { task, witnessed }: LedgerVerdict['tasks'][number],
  inPeriod: readonly LedgerEntry[],
): Deviation[] {
  const own = inPeriod.filter((entry) => entry.task === task && task !== NO_TASK);
  const plan = own.find(({ kind }) => kind === 'plan');
  const end = own.find(({ kind }) => kind === 'finish');
  const lacking = witnessed === 'no' ? (plan ?? end) : witnessed === 'plan' ? end : undefined;
  if (lacking === undefined) return [];
  const what =
    lacking.kind === 'plan'
      ? 'the quorum of the roster has not cosigned the plan: nothing of it counts'
      : 'the quorum of the roster has not cosigned the end (yet): its result does not count';
  return [{ kind: 'disagreement', task, seq: lacking.seq, at: lacking.time, what }];
}

function roundsOf(entries: readonly { readonly round: number }[]): string {
  const rounds = entries.map(({ round }) => round).sort((a, b) => a - b);
  return rounds.length === 1 ? `round ${rounds[0]}` : `${rounds.length} rounds (${rounds.join(', ')})`;
}
