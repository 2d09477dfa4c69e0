import { Packr } from 'msgpackr';
import { z } from 'zod';
import { doubleBytes, doublesFrom } from '../models/doubles.ts';
import { NO_TASK } from '../privacy/ledger.ts';
import type { Body } from './channel.ts';
import { digest, sha256 } from './transcript.ts';
import { checkMsgpack, WireRefused } from './wire-check.ts';

/**
 * What is said between a client and the coordinator, byte by byte.
 *
 *   client                                   coordinator
 *     │ ◀───────────────────────────── hello │  who I am, a fresh key, the protocol
 *     │ identify ─────────────────────────▶  │  who I am, a fresh key
 *     │ ◀─────────────────────────── welcome │
 *     │ standing ─────────────────────────▶  │  where each pool's budget stands
 *     │ ◀────────────────────────────── plan │  a task, signed
 *     │ standing, accept | decline ───────▶  │
 *     │ ◀─────────────────────────── witness │  the ledger, with the plan in it
 *     │ cosign ───────────────────────────▶  │  it continues what I saw before
 *     │ ◀───────────────────────── witnessed │  enough have cosigned: rounds may begin
 *     │ ◀─────────────────────────────── ask │  a stage: who is asked, what was said before
 *     │ part ─────────────────────────────▶  │  of a vector, where the statement has one
 *     │ ◀────────────────────────────── have │  so much of it is on disk
 *     │ say ──────────────────────────────▶  │  a signed statement
 *     │ ◀──────────────────────────── opened │  the sum of the round, the next model's hash
 *     │ ◀── witness, cosign ──▶, witnessed ◀ │  the ledger, with the result in it
 *     │ ◀────────────────────────────── over │
 *
 * A frame is one message in msgpack and a signature, by which it holds for one connection and one place in it (`channel.ts`).
 * What others must be able to verify later (`accept`, `decline`, `say`, plans, notes) carries a signature of its own inside.
 * A message is never redefined; a new one is added beside it.
 */
export const PROTOCOL = 2;

/** Bytes. Larger frames are refused before they are read. What clients send is short, vectors come in parts; a sum comes whole. */
export const MAX_FRAME = { fromClient: 4 * 2 ** 20, fromCoordinator: 128 * 2 ** 20 } as const;

/** Values of a sum at most: all of it goes in one message, and what is new in the ledger has 6 MB beside it. */
export const MOST_VALUES = 16_000_000;

/** Bytes of a vector that travel together; the last part has the rest. */
export const PART_BYTES = 2 ** 20;

const bytes = (length?: number): z.ZodType<Uint8Array> =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && (length === undefined || value.length === length), {
    error: length === undefined ? 'expected bytes' : `expected ${length} bytes`,
  });
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const tenant = z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/);
const stageName = z.string().regex(/^[a-z-]{1,32}$/);
const natural = z
  .int()
  .min(0)
  .max(2 ** 31);
const signature = bytes(64);

const relayed = z.strictObject({
  from: tenant,
  open: bytes(),
  /** SHA-256 of the vector that went to the coordinator */
  vectorHash: bytes(32).optional(),
  sealedHashes: z.array(z.tuple([tenant, bytes(32)])).max(200),
  sealed: bytes().optional(),
  signature,
});

/** New ledger entries since the recipient's head, as canonical JSON, and the coordinator's note over the head after them. */
const ledgerNews = z.strictObject({
  entries: z.array(z.string().max(100_000)).max(100_000),
  note: z.string().max(2000),
});
export type LedgerNews = z.infer<typeof ledgerNews>;

/** a key of this connection alone (`channel.ts`): fresh, so that it is a nonce too */
const exchange = bytes(32);

/** Where in a task's conversations. */
const place = { task: hash, epoch: natural, round: natural, stage: stageName, attempt: natural };

export const fromCoordinator = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('hello'),
    protocol: natural,
    federation: hash,
    key: bytes(32),
    exchange,
  }),
  /** `version`: what is installed there */
  z.strictObject({ type: z.literal('welcome'), tenant, version: z.string().max(32) }),
  z.strictObject({
    type: z.literal('plan'),
    plan: z.string().max(4_000_000),
    signature,
    /** of an evaluation the float64 parameters to be evaluated, little-endian; else empty: the plan says what it starts from */
    parameters: bytes(),
  }),
  z.strictObject({
    type: z.literal('ask'),
    ...place,
    model: z.string().regex(/^([0-9a-f]{64})?$/),
    /** the ledger as it stood when this conversation began */
    head: z.strictObject({ size: natural, hash }),
    members: z.array(tenant).max(200),
    openers: z.array(tenant).max(200),
    /** everything said in the stage before, as far as it concerns the recipient */
    heard: z.array(relayed).max(200),
    /** bytes of the recipient's vector for this stage that the coordinator holds already */
    have: natural,
    ledger: ledgerNews,
  }),
  /** bytes of the recipient's vector that are on disk: more may be sent */
  z.strictObject({ type: z.literal('have'), ...place, length: natural }),
  /** the keys of an epoch are made: what every member said in the last keying stage */
  z.strictObject({ type: z.literal('keyed'), task: hash, epoch: natural, heard: z.array(relayed).max(200) }),
  z.strictObject({
    type: z.literal('opened'),
    task: hash,
    round: natural,
    /** float64 little-endian integers, one per coordinate */
    sum: bytes(),
    contributions: natural,
    model: hash,
    ledger: ledgerNews,
  }),
  z.strictObject({
    type: z.literal('over'),
    task: hash,
    outcome: z.enum(['finished', 'stopped']),
    reason: z.string().max(500),
    ledger: ledgerNews,
  }),
  /** cosign the head of these news */
  z.strictObject({ type: z.literal('witness'), ledger: ledgerNews }),
  /** enough tenants of the task's roster have cosigned this note: before round 1 over the plan, in the end over the result */
  z.strictObject({ type: z.literal('witnessed'), task: hash, note: z.string().max(100_000), ledger: ledgerNews }),
  z.strictObject({ type: z.literal('refused'), about: z.string().max(64), reason: z.string().max(500) }),
]);
export type FromCoordinator = z.infer<typeof fromCoordinator>;

export const fromClient = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('identify'),
    protocol: natural,
    version: z.string().max(32),
    tenant,
    /** entries of the ledger this client has verified and keeps the head of */
    ledger: natural,
    /** tasks it has accepted and not heard the end of, the newest */
    open: z.array(hash).max(50),
    exchange,
  }),
  /** `round`: the last whose sum this client has taken in; what was opened since is sent again */
  z.strictObject({
    type: z.literal('accept'),
    task: hash,
    round: natural,
    /** commitment to the data it takes part with, as the ledger has it */
    dataset: hash,
    signature,
  }),
  /** where a pool stands under its lifetime's limit, by the tenant's own count: on connecting, and before it accepts a task */
  z.strictObject({
    type: z.literal('standing'),
    /** the task just set aside; `NO_TASK` on connecting */
    task: z.union([hash, z.literal(NO_TASK)]),
    pool: z.enum(['training', 'held-out']),
    /** ledger entries this tenant has taken in: tasks that ended later are still set aside */
    ledger: natural,
    epsilon: z.number().min(0),
    limit: z.number().positive(),
    delta: z.number().gt(0).lt(1),
    /** the filter's Rényi order */
    order: z.number().gt(1),
    signature,
  }),
  /** a witness's line under the coordinator's note over this many entries */
  z.strictObject({ type: z.literal('cosign'), size: natural, line: z.string().max(500) }),
  z.strictObject({
    type: z.literal('decline'),
    task: hash,
    cause: z.enum(['policy', 'budget', 'data', 'broken-promise']),
    reason: z.string().max(500),
    signature,
  }),
  /** asked, but it will not answer: no keys of this epoch, say after a restart */
  z.strictObject({ type: z.literal('cannot'), task: hash, epoch: natural, round: natural }),
  /** the next part of the vector that belongs to the statement to come; `at` is a multiple of `PART_BYTES` */
  z.strictObject({ type: z.literal('part'), ...place, at: natural, bytes: bytes() }),
  z.strictObject({
    type: z.literal('say'),
    ...place,
    open: bytes(),
    sealed: z.array(z.tuple([tenant, bytes()])).max(200),
    signature,
  }),
]);
export type FromClient = z.infer<typeof fromClient>;

// No records, no extensions: what is encoded here is what checkMsgpack lets in.
const packr = new Packr({ useRecords: false, moreTypes: false, encodeUndefinedAsNil: true });

export function encode(message: FromClient | FromCoordinator): Body {
  const bytes = packr.pack(message);
  return { bytes, hash: sha256(bytes) };
}

/** @throws WireRefused */
export const decodeFromCoordinator = (body: Uint8Array): FromCoordinator =>
  decode(body, fromCoordinator, MAX_FRAME.fromCoordinator);

/** @throws WireRefused */
export const decodeFromClient = (body: Uint8Array): FromClient => decode(body, fromClient, MAX_FRAME.fromClient);

function decode<T>(bytes: Uint8Array, schema: z.ZodType<T>, most: number): T {
  if (bytes.length > most) throw new WireRefused(`a message of ${bytes.length} bytes, at most ${most} are read`);
  checkMsgpack(bytes);
  let value: unknown;
  try {
    value = packr.unpack(bytes);
  } catch {
    throw new WireRefused('a message that is not msgpack');
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  // the names of fields that should not be there are the sender's text, as long as it likes: a refusal repeats none of it
  const what = issue?.code === 'unrecognized_keys' ? 'a field that is not in the protocol' : issue?.message;
  throw new WireRefused(`message: ${issue?.path.join('.') || 'type'}: ${what ?? 'unknown'}`);
}

/** What a client signs to accept or decline a task. @param answer - the message, as far as it is not the signature */
export function answerDigest(name: string, answer: Unsigned<Answer>): Uint8Array {
  // not the round: what is signed here goes to the ledger, as this tenant's word on the plan
  const said = answer.type === 'accept' ? [answer.dataset] : [answer.cause, answer.reason];
  return digest('parley/answer/v1', answer.task, name, answer.type, ...said);
}

/**
 * What a client signs to say where a pool stands. A signature of its own: that on the acceptance goes to the ledger, where it
 * must verify from the entry alone. @param exchange - of the coordinator's greeting: an older standing cannot be shown again
 */
export function standingDigest(name: string, exchange: Uint8Array, stated: Unsigned<Stated>): Uint8Array {
  const { task, pool, ledger, epsilon, limit, delta, order } = stated;
  const numbers = [ledger, epsilon, limit, delta, order].map(String); // ECMAScript writes each double in one way
  return digest('parley/standing/v1', exchange, name, task, pool, ...numbers);
}

type Unsigned<M> = M extends { signature: unknown } ? Omit<M, 'signature'> : never;
type Answer = Extract<FromClient, { type: 'accept' | 'decline' }>;
/** Where a pool stands, as its tenant says. */
export type Stated = Extract<FromClient, { type: 'standing' }>;

/** Float64 vectors travel little-endian. @returns perhaps the vector's own memory (`models/doubles.ts`) */
export const vectorBytes: (values: Float64Array) => Uint8Array = doubleBytes;

/** @throws WireRefused when the length is not that of `length` doubles */
export function vectorFrom(bytes: Uint8Array, length: number): Float64Array {
  if (bytes.length !== length * 8 || !Number.isInteger(length))
    throw new WireRefused(`expected ${Math.floor(length)} doubles, got ${bytes.length} bytes`);
  return doublesFrom(bytes);
}
