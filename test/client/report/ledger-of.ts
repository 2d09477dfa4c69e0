import { createIdentity, fingerprint, type Identity } from '../../../aggregation/identity.ts';
import type { LedgerExport } from '../../../aggregation/ledger-export.ts';
import { chargedEvent, hex, makePlan, type Plan, type Roster, taskId } from '../../../aggregation/plan.ts';
import { planEntry } from '../../../aggregation/plan-entry.ts';
import type { Settings } from '../../../aggregation/settings.ts';
import { type Known, type LedgerVerdict, verifyLedgerExport } from '../../../aggregation/verify-ledger.ts';
import { answerDigest } from '../../../aggregation/wire.ts';
import { cosigned, logKey, signedHead } from '../../../aggregation/witness.ts';
import {
  appendEntry,
  EMPTY_LEDGER,
  type LedgerBody,
  type LedgerEntry,
  type LedgerHead,
  NO_TASK,
} from '../../../privacy/ledger.ts';
import { rootOf } from '../../../privacy/transparency/merkle.ts';
import { withSignature } from '../../../privacy/transparency/signed-note.ts';
import { formatVerifierKey } from '../../../privacy/transparency/verifier-key.ts';
import { hex as hashOf } from '../../privacy/ledgers.ts';
import { FIVE, NOWHERE, smallTask } from '../../support/small-task.ts';

/**
 * Ledgers as told by a test: real plans, real signatures, any dates. What happens to a task is one letter a round:
 * `r` charged and released, `c` charged in vain, `a` abandoned.
 */
export interface Happening {
  readonly at: number;
  readonly task: string;
  readonly body: LedgerBody;
}

const coordinator = createIdentity();
const tenants = new Map(FIVE.map((name) => [name, createIdentity()]));
const roster: Roster = FIVE.map((tenant) => ({ tenant, key: hex(tenants.get(tenant)!.publicKey) }));

/** Everybody's fingerprint, as a reader who compared them knows them. */
export const KNOWN: Known & { readonly coordinator: string; readonly tenants: Readonly<Record<string, string>> } = {
  coordinator: fingerprint(coordinator.publicKey),
  tenants: Object.fromEntries([...tenants].map(([name, { publicKey }]) => [name, fingerprint(publicKey)])),
};

/** A plan of the small task, under threshold encryption unless it is said otherwise. */
export const planOf = (changes: (settings: Settings) => Settings = (same) => same): Plan =>
  makePlan(changes(smallTask('threshold-he', { rounds: 4 })), roster, NOWHERE, 0);

export interface Course {
  /** ISO, of the plan and the acceptances; every round is a minute later */
  readonly from: string;
  readonly rounds: string;
  /** ISO, of its end; a reason when it stops. Runs on when left out */
  readonly end?: { readonly at: string; readonly stop?: string };
  readonly accepted?: readonly string[];
}

export function story(plan: Plan, { from, rounds, end, accepted = FIVE }: Course): Happening[] {
  const task = taskId(plan);
  const start = Date.parse(from);
  const released = hashOf(`model ${rounds.lastIndexOf('r') + 1}`);
  const bodies: LedgerBody[] = [planEntry(plan), ...accepted.map((tenant) => acceptance(task, tenant))];
  return [
    ...bodies.map((body) => ({ at: start, task, body })),
    ...[...rounds].flatMap((what, i) =>
      roundOf(plan, i + 1, what, accepted.length).map((body) => ({ at: start + 60_000 * (i + 1), task, body })),
    ),
    ...(end === undefined ? [] : [{ at: Date.parse(end.at), task, body: endOf(rounds, released, end.stop) }]),
  ];
}

export const outside = (at: string, body: LedgerBody): Happening => ({ at: Date.parse(at), task: NO_TASK, body });

export interface Kept {
  readonly file: LedgerExport;
  readonly entries: readonly LedgerEntry[];
  readonly verdict: LedgerVerdict;
  readonly root: Uint8Array;
}

/** The export of a ledger in which this happened, in order of time; plans and ends are cosigned by the quorum. */
export function ledgerOf(...stories: readonly (readonly Happening[])[]): Kept {
  const happenings = stories.flat().sort((a, b) => a.at - b.at);
  const entries: LedgerEntry[] = [];
  const notes: string[] = [];
  let head: LedgerHead = EMPTY_LEDGER;
  for (const { at, task, body } of happenings) {
    const appended = appendEntry(head, body, { time: at, federation: NOWHERE, task });
    entries.push(appended.entry);
    head = appended.head;
    if (body.kind === 'plan' || body.kind === 'finish') notes.push(cosignedBy(head, FIVE.slice(0, 4)));
  }
  const file: LedgerExport = {
    format: 'parley-ledger-export-v1',
    log: formatVerifierKey(logKey(coordinator.publicKey)),
    head: signedHead(head, coordinator),
    notes,
    entries,
  };
  return { file, entries, verdict: verifyLedgerExport(file, KNOWN), root: rootOf(head) };
}

function roundOf(plan: Plan, round: number, what: string, contributions: number): LedgerBody[] {
  const sumHash = hashOf(`sum ${round}`);
  const charge: LedgerBody = { kind: 'charge', round, event: chargedEvent(plan), sumHash, contributions };
  if (what === 'r') return [charge, { kind: 'release', round, modelHash: hashOf(`model ${round}`), sumHash }];
  const reason = what === 'c' ? 'does-not-open' : 'too-few-tenants';
  return [...(what === 'c' ? [charge] : []), { kind: 'abort', round, reason }];
}

const endOf = (rounds: string, modelHash: string, stop: string | undefined): LedgerBody =>
  stop === undefined
    ? { kind: 'finish', rounds: [...rounds].filter((what) => what === 'r').length, modelHash }
    : { kind: 'stop', reason: stop };

function acceptance(task: string, tenant: string): LedgerBody {
  const dataset = hashOf(`data of ${tenant}`);
  const digest = answerDigest(tenant, { type: 'accept', task, round: 0, dataset });
  return { kind: 'accept', tenant, dataset, signature: hex(tenants.get(tenant)!.sign(digest)) };
}

const cosignedBy = (head: LedgerHead, names: readonly string[], log: Identity = coordinator): string =>
  names.reduce(
    (note, name) => withSignature(note, cosigned(note, name, tenants.get(name)!, 1e12)),
    signedHead(head, log),
  );
