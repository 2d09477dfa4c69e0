import { auditEntries, type Finding, type TaskAudit } from '../privacy/audit.ts';
import { EMPTY_LEDGER, type LedgerEntry, type PlanEntry, verifyChain } from '../privacy/ledger.ts';
import { TransparencyRefused } from '../privacy/transparency/canonical-text.ts';
import { type CosignedCheckpoint, verifyCosigned } from '../privacy/transparency/cosignature.ts';
import { rootOf } from '../privacy/transparency/merkle.ts';
import { parseNote } from '../privacy/transparency/signed-note.ts';
import { satisfied, type TrustPolicy, thresholdPolicy } from '../privacy/transparency/trust-policy.ts';
import { parseVerifierKey, type VerifierKey } from '../privacy/transparency/verifier-key.ts';
import { fingerprint, isSignedBy } from './identity.ts';
import type { LedgerExport } from './ledger-export.ts';
import { approvalProblems } from './verify-approvals.ts';
import { answerDigest } from './wire.ts';
import { witnessKey } from './witness.ts';

/**
 * Reads an exported ledger and trusts nobody who made it.
 *
 *   chain ─▶ signed head ─▶ cosigned notes lie on this tree ─▶ each task: quorum over plan and end ─▶ acceptances ─▶
 *   ε again ─▶ approvals
 *
 * Promise: any changed bit is found. What is wrong is named by entry, or by the note's size; all of it is listed, unless the
 * chain itself is broken, after which nothing can be said about entries. Keys count as far as the reader knows them:
 * those not in `known` are taken from the file, and `unknownKeys` says whose. A key that a known one replaced, by the
 * ledger's own word, is taken from the file too.
 */
export interface Known {
  /** the coordinator's fingerprint */
  readonly coordinator?: string;
  /** tenants' fingerprints by name */
  readonly tenants?: Readonly<Record<string, string>>;
}

export interface LedgerVerdict {
  readonly verified: boolean;
  readonly findings: readonly Finding[];
  readonly entries: readonly LedgerEntry[];
  readonly tasks: readonly (TaskAudit & { readonly witnessed: 'end' | 'plan' | 'no' })[];
  readonly signedBy: string;
  /** whose keys the reader did not bring: the coordinator, or tenants by name */
  readonly unknownKeys: readonly string[];
}

export function verifyLedgerExport(file: LedgerExport, known: Known = {}): LedgerVerdict {
  const log = verifierKey(file.log);
  if (typeof log === 'string') return broken('', [{ seq: 0, problem: log }]);
  const signedBy = fingerprint(log.publicKey);
  const findings: Finding[] = [];
  const entries: LedgerEntry[] = [];
  const notes = new Map(file.notes.map((note) => [sizeIn(note), note]));
  if (notes.size < file.notes.length)
    findings.push({ seq: 0, problem: 'two notes over as many entries: one hides the other' });
  const roots = new Map<number, Uint8Array>([[0, rootOf(EMPTY_LEDGER)]]);
  const headSize = sizeIn(file.head);
  const chain = verifyChain(file.entries, EMPTY_LEDGER, (entry, after) => {
    entries.push(entry);
    if (notes.has(after.size) || after.size === headSize) roots.set(after.size, rootOf(after));
  });
  if (!chain.intact) return broken(signedBy, [{ seq: chain.seq, problem: chain.problem }]);
  if (known.coordinator !== undefined && known.coordinator !== signedBy)
    findings.push({ seq: 0, problem: `signed by ${signedBy}, not by ${known.coordinator}` });

  findings.push(...headProblems(file.head, log, entries.length, roots));
  const witnesses = everyWitness(entries);
  for (const [size, note] of notes)
    findings.push(...noteProblems(note, size, { log, witnesses, entries: entries.length, roots }));
  const plans = entries.filter((entry): entry is LedgerEntry & PlanEntry => entry.kind === 'plan');
  const replacedBy = replacements(entries);
  findings.push(...plans.flatMap((plan) => rosterProblems(plan, known, replacedBy)), ...acceptProblems(entries, plans));
  const audit = auditEntries(entries);
  const [reached, cosigned] = [milestones(entries), [...notes]];
  const planOf = new Map(plans.map((plan) => [plan.task, plan]));
  const tasks = audit.tasks.map((task) => {
    const plan = planOf.get(task.task)!;
    const { problems, witnessed } = witnessing(plan, reached.get(plan.task) ?? {}, cosigned, log);
    findings.push(...problems);
    return { ...task, witnessed };
  });
  findings.push(...audit.findings, ...taskProblems(entries, plans), ...approvalProblems(entries));
  findings.sort((a, b) => a.seq - b.seq);
  return {
    verified: findings.length === 0,
    findings,
    entries,
    tasks,
    signedBy,
    unknownKeys: unknownKeys(plans, known),
  };
}

const broken = (signedBy: string, findings: readonly Finding[]): LedgerVerdict => ({
  ...{ verified: false, findings, entries: [], tasks: [], signedBy, unknownKeys: [] },
});

function verifierKey(text: string): VerifierKey | string {
  try {
    return parseVerifierKey(text);
  } catch (error) {
    return refusal(error);
  }
}

/** What a note says its size is, before anything of it is believed; −1 when it is no note. */
function sizeIn(note: string): number {
  const size = note.split('\n')[1] ?? '';
  return /^(0|[1-9][0-9]{0,15})$/.test(size) ? Number(size) : -1;
}

function headProblems(
  head: string,
  log: VerifierKey,
  entries: number,
  roots: ReadonlyMap<number, Uint8Array>,
): Finding[] {
  const read = cosignedIn(head, log, []);
  if (typeof read === 'string') return [{ seq: entries, problem: `the signed head: ${read}` }];
  const { size, root } = read.checkpoint;
  if (size > entries)
    return [{ seq: entries, problem: `the signed head covers ${size} entries, the file holds ${entries}: cut off` }];
  if (size < entries)
    return [{ seq: size, problem: `the signed head covers ${size} entries, the file holds ${entries}: added to` }];
  if (!isSame(root, roots.get(size)))
    return [{ seq: 0, problem: 'the signed head is over other entries than these: rewritten' }];
  return [];
}

interface Tree {
  readonly log: VerifierKey;
  /** everybody whose key is in the ledger */
  readonly witnesses: readonly VerifierKey[];
  readonly entries: number;
  readonly roots: ReadonlyMap<number, Uint8Array>;
}

function noteProblems(note: string, size: number, { log, witnesses, entries, roots }: Tree): Finding[] {
  const read = cosignedIn(note, log, witnesses);
  const seq = Math.max(0, Math.min(size, entries) - 1);
  if (typeof read === 'string') return [{ seq, problem: `the note over ${size} entries: ${read}` }];
  if (size > entries)
    return [{ seq, problem: `a note was cosigned over ${size} entries, the file holds ${entries}: cut off` }];
  if (!isSame(read.checkpoint.root, roots.get(size)))
    return [{ seq, problem: `the first ${size} entries are not those that were cosigned: forked` }];
  if (parseNote(note).signatures.length !== 1 + read.cosignedBy.length)
    return [{ seq, problem: `the note over ${size} entries has a signature by nobody in this ledger` }];
  return [];
}

function everyWitness(entries: readonly LedgerEntry[]): VerifierKey[] {
  const listed = entries.flatMap((entry) =>
    entry.kind === 'plan' ? entry.roster : entry.kind === 'roster' ? [{ tenant: entry.tenant, key: entry.key }] : [],
  );
  return [...new Map(listed.map((each) => [`${each.tenant} ${each.key}`, witnessKey(each)])).values()];
}

/** Numbers of a task's first charge, and of the entry that finishes it. */
interface Milestones {
  charge?: number;
  end?: number;
}

function milestones(entries: readonly LedgerEntry[]): Map<string, Milestones> {
  const found = new Map<string, Milestones>();
  for (const { task, kind, seq } of entries) {
    if (kind !== 'charge' && kind !== 'finish') continue;
    const mine = found.get(task) ?? {};
    found.set(task, kind === 'finish' ? { ...mine, end: seq } : { charge: seq, ...mine });
  }
  return found;
}

/** The quorum that the plan names must have cosigned the plan before its first charge, and its end. */
function witnessing(
  plan: LedgerEntry & PlanEntry,
  { charge, end }: Milestones,
  notes: readonly (readonly [number, string])[],
  log: VerifierKey,
): { problems: Finding[]; witnessed: 'end' | 'plan' | 'no' } {
  const policy = quorum(plan, log);
  if (typeof policy === 'string') return { problems: [{ seq: plan.seq, problem: policy }], witnessed: 'no' };
  const isCosigned = (from: number, to: number): boolean =>
    notes.some(([size, note]) => size > from && size <= to && isEnough(note, policy, log));
  const begun = isCosigned(plan.seq, charge ?? Number.POSITIVE_INFINITY);
  const problems: Finding[] = [];
  if (charge !== undefined && !begun)
    problems.push({
      seq: charge,
      problem: `charged before ${plan.trust.threshold} of the roster cosigned the plan`,
    });
  const ended = end !== undefined && isCosigned(end, Number.POSITIVE_INFINITY);
  return { problems, witnessed: ended ? 'end' : begun ? 'plan' : 'no' };
}

function quorum({ roster, trust }: PlanEntry, log: VerifierKey): TrustPolicy | string {
  try {
    return thresholdPolicy(log, roster.map(witnessKey), trust.threshold);
  } catch (error) {
    return `its roster is no set of witnesses: ${(error as Error).message}`;
  }
}

function isEnough(note: string, policy: TrustPolicy, log: VerifierKey): boolean {
  const read = cosignedIn(
    note,
    log,
    policy.witnesses.map(({ key }) => key),
  );
  return typeof read !== 'string' && satisfied(policy, read.cosignedBy);
}

function cosignedIn(note: string, log: VerifierKey, witnesses: readonly VerifierKey[]): CosignedCheckpoint | string {
  try {
    return verifyCosigned(note, { logKeys: [log], witnesses, verify: isSignedBy });
  } catch (error) {
    return refusal(error);
  }
}

/** By tenant and key: the key that the ledger says took its place. */
function replacements(entries: readonly LedgerEntry[]): ReadonlyMap<string, string> {
  const changes = entries.flatMap((entry) =>
    entry.kind === 'roster' && entry.replaces !== undefined ? [{ ...entry, replaces: entry.replaces }] : [],
  );
  return new Map(changes.map(({ tenant, key, replaces }) => [`${tenant} ${replaces}`, key]));
}

function rosterProblems(
  { seq, roster }: LedgerEntry & PlanEntry,
  { tenants }: Known,
  replacedBy: ReadonlyMap<string, string>,
): Finding[] {
  return roster.flatMap(({ tenant, key }) => {
    const known = tenants !== undefined && Object.hasOwn(tenants, tenant) ? tenants[tenant] : undefined;
    if (known === undefined || prints(tenant, key, replacedBy).has(known)) return [];
    return [{ seq, problem: `lists ${tenant} with the key ${printOf(key)}, not ${known}` }];
  });
}

/** Fingerprints of a key and of those that came after it. */
function prints(tenant: string, key: string, replacedBy: ReadonlyMap<string, string>): ReadonlySet<string> {
  const found = new Set<string>();
  let at: string | undefined = key;
  while (at !== undefined && !found.has(printOf(at))) {
    found.add(printOf(at));
    at = replacedBy.get(`${tenant} ${at}`);
  }
  return found;
}

const printOf = (key: string): string => fingerprint(Buffer.from(key, 'hex'));

function acceptProblems(entries: readonly LedgerEntry[], plans: readonly (LedgerEntry & PlanEntry)[]): Finding[] {
  const rosterOf = new Map(
    plans.map(({ task, roster }) => [task, new Map(roster.map(({ tenant, key }) => [tenant, key]))]),
  );
  return entries.flatMap((entry) => {
    if (entry.kind !== 'accept') return [];
    const { seq, task, tenant, dataset, signature } = entry;
    const key = rosterOf.get(task)?.get(tenant);
    if (key === undefined) return [{ seq, problem: `${tenant} accepts a task whose roster does not list it` }];
    const said = answerDigest(tenant, { type: 'accept', task, round: 0, dataset });
    return isSignedBy(Buffer.from(key, 'hex'), said, Buffer.from(signature, 'hex'))
      ? []
      : [{ seq, problem: `the signature of ${tenant} does not verify` }];
  });
}

/** What must hold between a task's entries, whoever cosigned them. */
function taskProblems(entries: readonly LedgerEntry[], plans: readonly (LedgerEntry & PlanEntry)[]): Finding[] {
  const federation = entries[0]?.federation;
  const tasks = new Map(plans.map((plan) => [plan.task, { plan, accepted: new Set<string>(), model: '' }]));
  return [
    ...plans.flatMap(planProblems),
    ...entries.flatMap((entry) => {
      const problems = entry.federation === federation ? [] : ['belongs to another federation than the first entry'];
      const task = tasks.get(entry.task);
      if (task !== undefined) problems.push(...inTask(entry, task));
      return problems.map((problem) => ({ seq: entry.seq, problem }));
    }),
  ];
}

function inTask(
  entry: LedgerEntry,
  task: { readonly plan: PlanEntry; readonly accepted: Set<string>; model: string },
): string[] {
  switch (entry.kind) {
    case 'accept':
      task.accepted.add(entry.tenant);
      return [];
    case 'charge': {
      const { minCohort } = task.plan.trust;
      const { size } = task.accepted;
      return entry.contributions >= minCohort && entry.contributions <= size
        ? []
        : [
            `a sum of ${entry.contributions} contributions, where ${minCohort} are needed and ${size} tenants have accepted`,
          ];
    }
    case 'release':
      task.model = entry.modelHash;
      return [];
    case 'finish':
      return entry.modelHash === task.model ? [] : ['its result is not the model that was released last'];
    default:
      return [];
  }
}

/** Two sets of openers, and two quorums of witnesses, share a tenant that does not collude: 2t > N + c. */
function planProblems({ seq, task, planHash, roster, trust }: LedgerEntry & PlanEntry): Finding[] {
  const { threshold, colluders, minCohort } = trust;
  const problems = [];
  if (planHash !== task) problems.push('its plan is another task’s');
  if (threshold !== Math.floor((roster.length + colluders) / 2) + 1 || colluders >= threshold)
    problems.push(`${threshold} openers of ${roster.length} do not withstand ${colluders} colluders`);
  if (threshold > minCohort || minCohort > roster.length)
    problems.push(`a cohort of ${minCohort} is not between ${threshold} openers and ${roster.length} tenants`);
  return problems.map((problem) => ({ seq, problem }));
}

function unknownKeys(plans: readonly PlanEntry[], { coordinator, tenants = {} }: Known): string[] {
  const listed = plans.flatMap(({ roster }) => roster);
  const strange = listed.filter(({ tenant, key }) => tenants[tenant] !== printOf(key)).map(({ tenant }) => tenant);
  const strangers = [...new Set(strange)].sort();
  return coordinator === undefined ? ['coordinator', ...strangers] : strangers;
}

const isSame = (a: Uint8Array, b: Uint8Array | undefined): boolean => b !== undefined && Buffer.compare(a, b) === 0;

function refusal(error: unknown): string {
  if (error instanceof TransparencyRefused || error instanceof RangeError) return error.message;
  throw error;
}
