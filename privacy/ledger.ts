/**
 * The ledger: every privacy event of a federation in order, each entry holding the hash of the one before.
 *
 *   plan ─▶ accept… ─▶ charge 1 ─▶ release 1 ─▶ charge 2 ─▶ abort 2 ─▶ … ─▶ finish    hash-chained, canonical JSON (RFC 8785)
 *      └───────┴──────────┴───────────┴───────────┴──────────┴───────────────┴─▶ leaves of one Merkle tree (RFC 6962)
 *                                                                                  └ root ─▶ checkpoint: signed, cosigned
 *
 * A round is charged before any share that opens it is sent, and released after. Entries are not signed; checkpoints
 * are (`transparency/`): by the coordinator, and by every tenant that has seen the tree only grow. Whoever has the exported
 * entries and one cosigned checkpoint can verify everything offline.
 *
 * Promise: a changed, moved, dropped or added entry is found, and named. The schema is closed: an entry has no field in
 * which a batch size, a norm, a loss, a noise value or a customer could be written. A kind is never redefined; a new one
 * is added beside it, under a new `v` if old readers must not pass over it.
 */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { z } from 'zod';
import { knownEvent, type PrivacyEvent } from './event.ts';
import { append, EMPTY_FRONTIER, type Frontier, leafHash } from './transparency/merkle.ts';

/** 64 lower-case hexadecimal digits: a SHA-256. */
export type Sha256Hex = string;

export type LedgerEntry = LedgerContext & {
  readonly v: 1;
  /** position in the ledger, from 0 */
  readonly seq: number;
  /** hash of the entry before; 64 zeros in the first */
  readonly previous: Sha256Hex;
} & LedgerBody;

export interface LedgerContext {
  /** Unix ms */
  readonly time: number;
  /** up to 128 letters, digits and . _ : - */
  readonly federation: string;
  /** as `federation`; `NO_TASK` where the entry belongs to none */
  readonly task: string;
}

export type LedgerBody =
  | PlanEntry
  /** A tenant takes part: its signature is over the plan, its commitment over the data it takes part with. */
  | {
      readonly kind: 'accept';
      readonly tenant: string;
      /** SHA-256 of a salt that the tenant keeps and its data's hash: it can show later which data it was, nobody can guess it */
      readonly dataset: Sha256Hex;
      /** Ed25519 over task and commitment, lower-case hexadecimal */
      readonly signature: string;
    }
  /** The sum with this hash, of this many tenants' contributions, is about to be opened. From here on it is spent. */
  | {
      readonly kind: 'charge';
      readonly round: number;
      readonly event: PrivacyEvent;
      readonly sumHash: Sha256Hex;
      readonly contributions: number;
    }
  /** The opened sum became this model. */
  | { readonly kind: 'release'; readonly round: number; readonly modelHash: Sha256Hex; readonly sumHash: Sha256Hex }
  /** The round gave nothing. `reason` is lower-case words joined by hyphens: no digits, so that it cannot report one. */
  | { readonly kind: 'abort'; readonly round: number; readonly reason: string }
  /** The task was ended early. */
  | { readonly kind: 'stop'; readonly reason: string }
  /** The task is complete; this model is its result. */
  | { readonly kind: 'finish'; readonly rounds: number; readonly modelHash: Sha256Hex }
  /** Who may take part in tasks to come has changed. Belongs to no task. */
  | {
      readonly kind: 'roster';
      readonly tenant: string;
      readonly change: 'enrolled' | 're-keyed' | 'left' | 'revoked';
      /** Ed25519 public key, lower-case hexadecimal; of one who is gone, the last */
      readonly key: string;
      /** which was its key before */
      readonly replaces?: string;
    }
  /** A tenant no longer uses a customer it had. How many, and who, is nobody else's to know. Belongs to no task. */
  | { readonly kind: 'erasure'; readonly tenant: string }
  /** What a tenant lets its customers spend, as it told the federation. Belongs to no task. */
  | {
      readonly kind: 'budget';
      readonly tenant: string;
      readonly pool: string;
      readonly epsilon: number;
      readonly delta: number;
    }
  /** From here on, so many people must approve a sensitive act; before the first of these, one. Belongs to no task. */
  | { readonly kind: 'approval-rule'; readonly approvals: number }
  /** As many as the rule asks have approved this act (`aggregation/act.ts`). Belongs to no task. */
  | {
      readonly kind: 'approved';
      readonly act: SensitiveAct;
      /** of its canonical text: what was approved is exactly what was done */
      readonly hash: Sha256Hex;
      /** of those who approved, 16 lower-case hexadecimal digits each: what their tokens are known by, never a name */
      readonly by: readonly string[];
    };

/** What a federation may ask more than one person for. */
export const SENSITIVE_ACTS = ['task', 'invitation', 'revocation', 'budget', 'token', 'approval-rule'] as const;
export type SensitiveAct = (typeof SENSITIVE_ACTS)[number];

/** A task begins: what it may do, and the ε its plan claims. */
export interface PlanEntry {
  readonly kind: 'plan';
  readonly planHash: Sha256Hex;
  /** all it may release, in the eyes of a coalition */
  readonly event: PrivacyEvent;
  /** of the whole plan, in (0, 1) */
  readonly delta: number;
  readonly epsilon: {
    readonly release: ClaimedEpsilon;
    readonly coalition: ClaimedEpsilon;
    readonly floor: ClaimedEpsilon;
  };
  /** coalition's ε for a customer of one tenant, of two and of three */
  readonly epsilonByCopies: readonly [ClaimedEpsilon, ClaimedEpsilon, ClaimedEpsilon];
  readonly unit: 'customer' | 'row-as-customer' | 'tenant';
  readonly neighbouring: 'add-or-remove-one';
  /** tenants one customer may be a customer of; the three ε are stated for it */
  readonly tenantsPerCustomer: number;
  readonly accountant: { readonly name: 'pld'; readonly version: 1 };
  readonly mechanism: {
    readonly clipNorm: number;
    /** C/γ */
    readonly gridSteps: number;
    /** L2, in grid steps */
    readonly sensitivity: number;
    readonly noiseMultiplier: number;
    /** of each tenant's share, in grid steps */
    readonly shareStdDev: number;
    readonly dimension: number;
    /** numerator of the sampling rate over 2^32 */
    readonly rate: number;
    readonly rounds: number;
    readonly openings: number;
    /** places in a batch; always filled up */
    readonly maxBatch: number;
    /** most customers a tenant may have */
    readonly maxCustomers: number;
  };
  readonly trust: {
    readonly mode: string;
    readonly secureSum: string;
    readonly minCohort: number;
    readonly colluders: number;
    readonly threshold: number;
  };
  readonly roster: readonly { readonly tenant: string; readonly key: string }[];
  /** which customers pay */
  readonly pool: string;
  readonly use: { readonly purpose: string; readonly legalBasis?: string; readonly retentionDays?: number };
}

/** What stands for the task in an entry that belongs to none. */
export const NO_TASK = '-';

/** JSON has no ∞; a plan without protection says so in a word. */
export type ClaimedEpsilon = number | 'infinite';

/** A place in a ledger: the chain's hash there commits to every entry before it. */
export interface LedgerPosition {
  /** entries so far */
  readonly size: number;
  /** hash of the last entry; 64 zeros when there is none */
  readonly hash: Sha256Hex;
}

/** Where a ledger stands: all there is to know for appending to it, for comparing two copies, or for signing it. */
export interface LedgerHead extends LedgerPosition, Frontier {}

export const EMPTY_LEDGER: LedgerHead = { ...EMPTY_FRONTIER, hash: '0'.repeat(64) };

export const positionOf = ({ size, hash }: LedgerPosition): LedgerPosition => ({ size, hash });

function grown(head: LedgerHead, entry: LedgerEntry): LedgerHead {
  const text = Buffer.from(entryText(entry));
  return { ...append(head, leafHash(text)), hash: createHash('sha256').update(text).digest('hex') };
}

/**
 * The next entry, and the head after it.
 *
 * @throws RangeError when body or context is not exactly of the schema
 */
export function appendEntry(
  head: LedgerHead,
  body: LedgerBody,
  context: LedgerContext,
): { readonly entry: LedgerEntry; readonly head: LedgerHead } {
  const { success, data, error } = ledgerEntry.safeParse({
    ...body,
    ...context,
    v: 1,
    seq: head.size,
    previous: head.hash,
  });
  if (!success) throw new RangeError(`not a ledger entry: ${z.prettifyError(error)}`);
  return { entry: data, head: grown(head, data) };
}

/** The bytes that are hashed and exported, one line for each entry: canonical JSON, RFC 8785. */
export function entryText(entry: LedgerEntry): string {
  return canonicalize(entry)!;
}

export type ChainVerdict =
  | { readonly intact: true; readonly head: LedgerHead }
  /** `seq` is the position of the first entry that does not fit */
  | { readonly intact: false; readonly seq: number; readonly problem: string };

/**
 * Checks that `entries` continue the ledger at `from`, every one of them unchanged. That the last entry is unchanged and
 * none is missing after it shows when the head is compared with a checkpoint.
 *
 * @param entries - lines of an export, or what they parse to; trusted in nothing. A line must be canonical JSON
 * @param seen - told of each entry that fits, and of the head after it
 */
export function verifyChain(
  entries: readonly unknown[],
  from: LedgerHead = EMPTY_LEDGER,
  seen: (entry: LedgerEntry, after: LedgerHead) => void = () => {},
): ChainVerdict {
  let head = from;
  for (const candidate of entries) {
    const seq = head.size;
    const entry = readEntry(candidate);
    if (typeof entry === 'string') return { intact: false, seq, problem: entry };
    if (entry.seq !== seq) return { intact: false, seq, problem: `numbered ${entry.seq}, expected ${seq}` };
    if (entry.previous !== head.hash) {
      return { intact: false, seq, problem: `does not follow the entry before: ${entry.previous}, not ${head.hash}` };
    }
    head = grown(head, entry);
    seen(entry, head);
  }
  return { intact: true, head };
}

/** @returns the entry, or why it is none */
export function readEntry(candidate: unknown): LedgerEntry | string {
  const { success, data, error } = ledgerEntry.safeParse(typeof candidate === 'string' ? parsed(candidate) : candidate);
  if (!success) return `not a ledger entry: ${z.prettifyError(error)}`;
  // One entry has one text: otherwise copies of a ledger could differ and still have the same head.
  if (typeof candidate === 'string' && candidate !== entryText(data)) return 'not in canonical form (RFC 8785)';
  return data;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const name = z.string().regex(/^[A-Za-z0-9._:-]{1,128}$/);
const reason = z.string().regex(/^(?=.{1,48}$)[a-z]+(-[a-z]+)*$/);
const round = z.int().nonnegative();
const count = z.int().positive();
const word = z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/);
const claimed = z.union([z.number().nonnegative(), z.literal('infinite')]);

const head = {
  v: z.literal(1),
  seq: z.int().nonnegative(),
  previous: hash,
  time: z.int().nonnegative(),
  federation: name,
  task: name,
};

const kind = <K extends string>(value: K) => ({ ...head, kind: z.literal(value) });

/** Closed: a field that is not listed is an error, in every object. */
export const ledgerEntry: z.ZodType<LedgerEntry> = z.discriminatedUnion('kind', [
  z.strictObject({
    ...kind('plan'),
    planHash: hash,
    event: knownEvent,
    delta: z.number().gt(0).lt(1),
    epsilon: z.strictObject({ release: claimed, coalition: claimed, floor: claimed }),
    epsilonByCopies: z.tuple([claimed, claimed, claimed]),
    unit: z.enum(['customer', 'row-as-customer', 'tenant']),
    neighbouring: z.literal('add-or-remove-one'),
    tenantsPerCustomer: count.max(10),
    accountant: z.strictObject({ name: z.literal('pld'), version: z.literal(1) }),
    mechanism: z.strictObject({
      clipNorm: z.number().positive(),
      gridSteps: count,
      sensitivity: z.number().positive(),
      noiseMultiplier: z.number().positive(),
      shareStdDev: z.number().positive(),
      dimension: count,
      rate: count.max(2 ** 32),
      rounds: count.max(1e6),
      openings: count.max(2e6),
      maxBatch: count,
      maxCustomers: count,
    }),
    trust: z.strictObject({ mode: word, secureSum: word, minCohort: count, colluders: round, threshold: count }),
    roster: z.array(z.strictObject({ tenant: name, key: hash })).max(1000),
    pool: word,
    use: z.strictObject({
      purpose: word,
      legalBasis: z.string().max(200).exactOptional(),
      retentionDays: count.exactOptional(),
    }),
  }),
  z.strictObject({ ...kind('accept'), tenant: name, dataset: hash, signature: z.string().regex(/^[0-9a-f]{128}$/) }),
  z.strictObject({
    ...kind('charge'),
    round,
    event: knownEvent,
    sumHash: hash,
    contributions: z.int().positive(),
  }),
  z.strictObject({ ...kind('release'), round, modelHash: hash, sumHash: hash }),
  z.strictObject({ ...kind('abort'), round, reason }),
  z.strictObject({ ...kind('stop'), reason }),
  z.strictObject({ ...kind('finish'), rounds: round, modelHash: hash }),
  z.strictObject({
    ...kind('roster'),
    tenant: name,
    change: z.enum(['enrolled', 're-keyed', 'left', 'revoked']),
    key: hash,
    replaces: hash.exactOptional(),
  }),
  z.strictObject({ ...kind('erasure'), tenant: name }),
  z.strictObject({
    ...kind('budget'),
    tenant: name,
    pool: word,
    epsilon: z.number().positive(),
    delta: z.number().gt(0).lt(1),
  }),
  z.strictObject({ ...kind('approval-rule'), approvals: count.max(10) }),
  z.strictObject({
    ...kind('approved'),
    act: z.enum(SENSITIVE_ACTS),
    hash,
    by: z
      .array(z.string().regex(/^[0-9a-f]{16}$/))
      .min(1)
      .max(10),
  }),
]);
