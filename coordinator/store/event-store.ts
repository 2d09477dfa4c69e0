import type { Role } from '../../aggregation/act.ts';
import type { TenantId } from '../../aggregation/secure-sum.ts';
import type { TaskFact } from '../task.ts';

/**
 * What the coordinator knows, on disk before it says so: facts, what tenants said, the ledger, the roster.
 *
 * When `commit` returns, its content survives a power cut. Facts and ledger entries are appended, never changed; bodies are erased
 * once a round is over (their hashes stay in the facts, so a replay of an old body is still recognised). In one file:
 * `sqlite.ts`; in a database that two coordinators share: `postgres.ts`.
 */
export interface EventStore {
  /**
   * Binds a new store to a federation, and asks of an old one whether it is its own.
   *
   * @param federation - its hash
   * @throws CommandError when the store is another federation's: its ledger, roster and tasks mean nothing under another key
   */
  claim(federation: string): void;
  /** Writes a word that nobody reads: whether anything can be written. Call inside `commit`. @param at - Unix milliseconds */
  probe(at: number): void;
  /** Runs `work` in one transaction: all of it is on disk, or none. Not reentrant. */
  commit<T>(work: () => T): T;
  /** The same, but a power cut may take it back, whole, until the next `commit`; a crash of the process may not. */
  commitSoon<T>(work: () => T): T;

  addTask(task: StoredTask): void;
  tasks(): StoredTask[];
  addFact(task: string, fact: TaskFact): void;
  facts(task: string): TaskFact[];

  putBody(task: string, place: BodyPlace, tenant: TenantId, body: Uint8Array): void;
  body(task: string, place: BodyPlace, tenant: TenantId): Uint8Array | undefined;
  /** By tenant, sorted, one after the other: together they may be more than memory holds. Do nothing else here meanwhile. */
  bodies(task: string, place: BodyPlace): Iterable<[TenantId, Uint8Array]>;
  /** The part that begins at byte `at` of a vector. */
  putPart(task: string, place: BodyPlace, tenant: TenantId, at: number, bytes: Uint8Array): void;
  part(task: string, place: BodyPlace, tenant: TenantId, at: number): Uint8Array | undefined;
  /** Erases all parts of one vector. */
  eraseVector(task: string, place: BodyPlace, tenant: TenantId): void;
  /** Erases some parts of rounds up to `round`: all at once would take as long as reading them. @returns whether there were any */
  eraseParts(task: string, round: number): boolean;
  /** Erases what was said in rounds up to `round`; keying (round 0) stays as long as its epoch. */
  eraseRounds(task: string, round: number): void;
  /** Erases what was said in epochs before `epoch`. */
  eraseEpochs(task: string, epoch: number): void;
  eraseTask(task: string): void;

  putSum(task: string, sum: StoredSum): void;
  /** Sums opened after `round`, in order: what a tenant that was away takes in to compute the model itself. */
  sums(task: string, round: number): Iterable<StoredSum>;

  addLedgerEntry(seq: number, text: string): void;
  /** @param count - at most so many; all of them when left out */
  ledger(from: number, count?: number): string[];
  /** Notes over the ledger, with the lines of those who cosigned, by size. One is kept for each size. */
  putNote(size: number, note: string): void;
  /** Those over more than `size` entries, the smallest first. */
  notes(size: number): { size: number; note: string }[];

  addInvitation(invitation: Invitation): void;
  invitations(): Invitation[];
  useInvitation(codeHash: string, usedAt: number): void;
  /** Ends what invitations of this name were not used yet. */
  expireInvitations(tenant: TenantId, at: number): void;
  /** @param at - Unix ms */
  enrol(tenant: TenantId, key: string, at: number): void;
  /** Another key for a tenant that is in the roster. */
  rekey(tenant: TenantId, key: string): void;
  removeTenant(tenant: TenantId): void;
  /** By name; `enrolledAt` stays when the key changes. */
  roster(): Enrolled[];

  /** A notice (`aggregation/notice.ts`) has had its effect. @param id - its digest, hexadecimal */
  addNotice(id: string, at: number): void;
  wasHeard(id: string): boolean;
  /** All that had their effect, the oldest first. */
  notices(): { id: string; at: number }[];

  /** What a tenant stated last of a pool's budget, and what was made of it; JSON. */
  putStanding(tenant: TenantId, pool: string, text: string): void;
  standings(): { tenant: TenantId; pool: string; text: string }[];

  addToken(token: StoredToken): void;
  /** All of them, the oldest first. */
  tokens(): StoredToken[];
  /** Nothing where it is revoked already. */
  revokeToken(id: string, at: number): void;

  /** An act that waits for approval; in place of what was stored under this id. @param text - JSON */
  putPendingAct(id: string, text: string): void;
  pendingActs(): { id: string; text: string }[];
  dropPendingAct(id: string): void;

  /** Parameters by their hash: what rounds start from, and what is released. */
  putParameters(hash: string, bytes: Uint8Array): void;
  parameters(hash: string): Uint8Array | undefined;

  /** Writes itself, as it is when this resolves, into a new file that `openSqliteStore` opens, while work goes on. A database has its own ways. */
  backup?(to: string): Promise<void>;

  close(): void;
}

export interface StoredTask {
  readonly id: string;
  /** canonical JSON, the bytes that were signed */
  readonly plan: string;
  readonly signature: Uint8Array;
}

export interface BodyPlace {
  readonly epoch: number;
  readonly round: number;
  readonly stage: string;
  readonly attempt: number;
}

export interface StoredSum {
  readonly round: number;
  readonly sum: Uint8Array;
  readonly contributions: number;
  /** hash of the parameters that follow */
  readonly model: string;
}

export interface Enrolled {
  readonly tenant: TenantId;
  /** hexadecimal */
  readonly key: string;
  readonly enrolledAt: number;
}

export interface Invitation {
  readonly tenant: TenantId;
  /** SHA-256 of the code: the code itself is shown once and kept nowhere */
  readonly codeHash: string;
  readonly expiresAt: number;
  readonly usedAt: number | null;
}

/** A bearer's token, as it is kept: who has read the store cannot show it. */
export interface StoredToken {
  /** 16 hexadecimal digits; no secret */
  readonly id: string;
  /** SHA-256 of its secret, hexadecimal */
  readonly secretHash: string;
  readonly role: Role;
  /** whose it is, as people say it */
  readonly holder: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly revokedAt: number | null;
}
