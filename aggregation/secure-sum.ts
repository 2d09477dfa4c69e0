import type { Noised } from '../privacy/steps.ts';

/**
 * Sums vectors that nobody but their owners may see.
 *
 * A secure sum is a conversation. In each stage the coordinator asks a set of tenants, every one of
 * them says one thing, and what was said is handed to the tenants asked next:
 *
 *   epoch:  keying stages            keys that last for many rounds (may be none)
 *   round:  prepare … contribute … agree … open
 *                     │            │       └─ shares that together open the sum, and nothing else
 *                     │            └─ on who contributed, where tenants may be lost while they do
 *                     └─ the one place where a tenant's vector enters
 *
 * Who is asked, when a stage closes and what happens to the silent is the coordinator's round
 * machine (`coordinator/round.ts`); signatures over everything said are `transcript.ts`; whether
 * a tenant may answer at all is its own policy (`client/gated-round.ts`). A protocol here is only
 * the mathematics between hearing and saying.
 *
 * Algebra that every protocol keeps, and the contract suite checks:
 *
 *   open(contribute(a), contribute(b), …) = a + b + …      exactly, coordinate by coordinate,
 *
 * over precisely those that contributed, or nothing is opened at all.
 */
export interface SecureSum {
  readonly name: SecureSumName;
  /** tenants it serves at most */
  readonly mostMembers: number;
  /** stages of an epoch, in order; empty when the protocol needs no lasting keys. In the last nothing is sealed */
  readonly keying: readonly Stage[];
  /** stages of a round, in order: any number of `prepare`, one `contribute`, at most one `agree`, at most one `open` */
  readonly summing: readonly Stage[];
  /** How many bits a coordinate needs and has. Refuse the task when `needed > available`. */
  budget(sum: SumShape): BitBudget;
  /** How many tenants open a sum of this shape, and of how many that could. A task that needs more than there are is refused. */
  opening(trust: SumTrust): Opening;
  /** How often tenants of one epoch may be asked to open a sum of this shape; after that they want new keys. */
  openingsPerEpoch(sum: SumShape): number;
  /** Bytes of the vector that an answer in this stage brings; 0 where there is none. */
  vectorBytes(stage: string, sum: SumShape): number;
  /** Bytes one tenant sends per round, signatures not included. */
  bytesPerRound(sum: SumShape): number;
  /** A tenant's side of one epoch. Holds its secrets until `forget`. */
  tenant(context: EpochContext): Promise<TenantEpoch>;
  /** The coordinator's side of one epoch. Holds no secret. */
  coordinator(context: Omit<EpochContext, 'me'>): Promise<CoordinatorEpoch>;
}

/** Those that keep vectors from everybody; 'plain' does not. */
export const PROTECTING_SUMS = ['threshold-he', 'masking', 'lattice-mask'] as const;
export const SECURE_SUMS = [...PROTECTING_SUMS, 'plain'] as const;
export type SecureSumName = (typeof SECURE_SUMS)[number];

/** A tenant's name in the roster; [a-z0-9-], 1 to 32 characters. */
export type TenantId = string;

export interface Stage {
  /** one word, unique within the protocol; part of what is signed */
  readonly name: string;
  /** what a client must have checked before it answers; see `client/gated-round.ts` */
  readonly gate: 'prepare' | 'contribute' | 'agree' | 'open';
  /**
   * `all`: everyone asked must answer, or the conversation is abandoned.
   * `enough`: at least the plan's minimum cohort; the silent are left out of what follows.
   * `quorum`: at least the plan's threshold; what follows goes on without the silent.
   */
  readonly answers: 'all' | 'enough' | 'quorum';
  /** how often the stage may be asked in all: more than once where others can be asked when one is lost */
  readonly attempts: number;
}

/** The size of a sum. Fixed by the plan. */
export interface SumShape {
  /** coordinates of the vector, ≥ 1 */
  readonly dimension: number;
  /** tenants in the roster, N */
  readonly tenants: number;
  /** the ledger's quorum, t: more than may be lost, unpinned or collude; fewest tenants that agree to a sum */
  readonly threshold: number;
  /** fewest tenants a sum may be opened over, n_min */
  readonly minCohort: number;
  /** tenants that may collude with the coordinator, c */
  readonly colluders: number;
  /** how tenants agree on secrets; X25519 when left out */
  readonly keyAgreement?: KeyAgreement;
  /** largest |coordinate| any opened sum may reach, noise included */
  readonly maxMagnitude: number;
}

/** What follows from who may be missing and who may collude follows from these. */
export type SumTrust = Pick<SumShape, 'tenants' | 'threshold' | 'minCohort' | 'colluders'>;

export const KEY_AGREEMENTS = ['x25519', 'x25519-ml-kem-768'] as const;
/** With ML-KEM beside it, secrets stay secret from who records today and has a quantum computer later. */
export type KeyAgreement = (typeof KEY_AGREEMENTS)[number];

/** Who opens: 0 of 0 where there is nothing to open. */
export interface Opening {
  /** tenants asked to open a sum, all of whom must answer, or a quorum of whom agree */
  readonly needed: number;
  /** tenants that can be asked: all, or a committee of them */
  readonly among: number;
}

export interface BitBudget {
  /** bits the plan needs: log2 of the range [−maxMagnitude, maxMagnitude] */
  readonly needed: number;
  /** bits a lane of the protocol offers */
  readonly available: number;
  /** one sentence for the person who reads a refusal */
  readonly explanation: string;
}

export interface EpochContext {
  readonly shape: SumShape;
  /** tenants of this epoch, sorted; positions in it are the parties' numbers */
  readonly members: readonly TenantId[];
  readonly me: TenantId;
  /** 32 bytes that bind everything to federation, roster, task and epoch (`transcript.ts`) */
  readonly transcript: Uint8Array;
}

/** What one tenant says in one stage. */
export interface Said {
  /** for everyone asked next */
  readonly open: Uint8Array;
  /** what only the named tenant may read */
  readonly sealed: ReadonlyMap<TenantId, Uint8Array>;
  /** what is as long as the model: for the coordinator alone, the others hear its hash */
  readonly vector?: Uint8Array;
}

/** A contribution: only a `Noised` vector becomes one. Granted by `TenantRound.contribute`. */
export type Sealed = Said & { readonly [sealed]: true };
declare const sealed: unique symbol;

/** What a tenant hears of one peer: what it said openly, the part sealed to it, the SHA-256 of its vector. */
export interface Heard {
  readonly open: Uint8Array;
  readonly sealed?: Uint8Array;
  readonly vectorHash?: Uint8Array;
}
export type HeardAll = ReadonlyMap<TenantId, Heard>;

/** What the coordinator has of one tenant: all it said, the vector on disk, and letters too. What is sealed, stays sealed. */
export interface Received extends Pick<Said, 'open'> {
  readonly sealed: Letters;
  readonly vector?: StoredVector;
}
export type ReceivedAll = ReadonlyMap<TenantId, Received>;

/** What one tenant sealed to each of others: a map, or what need not fit into memory and reads like one. */
export interface Letters extends Iterable<[TenantId, Uint8Array]> {
  readonly size: number;
  get(to: TenantId): Uint8Array | undefined;
}

/** Bytes that need not fit into memory. */
export interface StoredVector {
  readonly length: number;
  /** SHA-256 */
  readonly hash: Uint8Array;
  /** The bytes from `from` up to, not including, `to`. Keep none of it longer than needed. */
  read(from: number, to: number): Uint8Array;
}

export interface TenantEpoch {
  /**
   * Answers keying stage `stage`.
   * @param heard - what all members said in the stage before (empty in the first)
   * @throws ProtocolBroken when something said does not hold: the epoch is over
   */
  key(stage: number, heard: HeardAll): Promise<Said>;
  /** Takes in the last keying stage. After it, rounds can be held. @throws ProtocolBroken */
  keyed(heard: HeardAll): Promise<void>;
  /** @param transcript - 32 bytes, as in EpochContext, bound to the round and the model as well */
  round(transcript: Uint8Array): TenantRound;
  /** Drops and overwrites what can be overwritten. Copies made by the runtime may survive. */
  forget(): void;
}

export interface TenantRound {
  /** Answers a `prepare` stage. `heard` as in `TenantEpoch.key`. */
  prepare(stage: number, heard: HeardAll): Promise<Said>;
  /**
   * Seals this tenant's vector for the cohort: exactly the tenants in `heard`.
   * @throws RangeError when a coordinate is not an integer within the lane
   */
  contribute(values: Noised, heard: HeardAll): Promise<Sealed>;
  /**
   * The identity of the sum of these contributions: 32 bytes, the same for everyone. Recomputed from the
   * contributions' hashes, so a tenant that opens knows what it opens.
   */
  sumHash(contributions: HeardAll): Promise<Uint8Array>;
  /**
   * Answers the `agree` stage: these, and no others, are what this tenant will help to open. Says the sum's identity.
   * @param contributions - of those that are left of the cohort
   */
  agree(contributions: HeardAll): Promise<Said>;
  /**
   * This tenant's share of opening exactly that sum.
   * @param openers - sorted, this tenant one of them: the tenants asked to open; where there is an `agree` stage, those that agree
   */
  open(contributions: HeardAll, openers: readonly TenantId[]): Promise<Said>;
}

export interface CoordinatorEpoch {
  /** Takes in the last keying stage. @throws ProtocolBroken */
  keyed(received: ReceivedAll): Promise<void>;
  /** Is this a well-formed answer? Called before an answer counts. @returns a refusal, or undefined */
  malformed(stage: Stage, received: Received): string | undefined;
  /** Whom to ask to open, given who is there: none when those that could are too few. */
  openers(present: readonly TenantId[]): readonly TenantId[];
  sumHash(contributions: ReceivedAll): Promise<Uint8Array>;
  /**
   * The sum. Holds a stretch of the vectors at a time, never all of one.
   * @param shares - what the openers said; empty for a protocol without an `open` stage
   * @param record - the round before the contributions
   * @returns length `dimension`, integers
   * @throws ProtocolBroken when the shares do not open it
   */
  open(contributions: ReceivedAll, shares: ReceivedAll, record: RoundRecord): Promise<Float64Array>;
  forget(): void;
}

/** How a round began. Nothing in it is secret from the coordinator: what is sealed, is sealed. */
export interface RoundRecord {
  /** as in `TenantEpoch.round` */
  readonly transcript: Uint8Array;
  /** what was said in each `prepare` stage, in order */
  readonly prepared: readonly ReceivedAll[];
}

/** What was said does not hold together. Names the tenant where one can be named; never holds a secret. */
export class ProtocolBroken extends Error {
  override readonly name = 'ProtocolBroken';
  readonly tenant: TenantId | undefined;
  constructor(message: string, tenant?: TenantId) {
    super(tenant === undefined ? message : `${message} (tenant ${tenant})`);
    this.tenant = tenant;
  }
}
