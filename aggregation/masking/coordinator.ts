import { keyAgreementOf, pairKey } from '../pair-key.ts';
import {
  type CoordinatorEpoch,
  type EpochContext,
  ProtocolBroken,
  type Received,
  type ReceivedAll,
  type RoundRecord,
  type Stage,
  type StoredVector,
  type TenantId,
} from '../secure-sum.ts';
import { vectorOf } from '../stored-vector.ts';
import type { Cover, MaskKey } from './cover.ts';
import { letterBytes, readLetter } from './letter.ts';
import {
  type Announced,
  boundTo,
  commitmentTo,
  heldBy,
  keysBytes,
  occasionOf,
  pairMaskKey,
  placeOf,
  readKeys,
  SEED_BYTES,
  selfMaskKey,
  sumHashOf,
} from './messages.ts';
import { combine, type Share } from './shamir.ts';

/**
 * The coordinator's side: it relays, adds what survived, and takes the masks off again.
 *
 *   sum = Σ y − Σ_{survivors} PRG(b) ∓ Σ_{lost, survivor} PRG(pair)
 *
 * Every secret it puts together is compared with what its owner announced, so a share that was bent, or of another
 * round, is noticed: a wrong sum is never opened.
 */
export function coordinatorEpoch(cover: Cover, unbound: Omit<EpochContext, 'me'>): CoordinatorEpoch {
  const context = { ...unbound, transcript: boundTo(cover, unbound.transcript) };
  const { shape, members, transcript } = context;
  const length = cover.vectorBytes(shape);

  return {
    async keyed() {},

    malformed: (stage, said) => malformed(stage, said, cover, context),

    openers: (present) => {
      const able = members.filter((name) => present.includes(name));
      return able.length < shape.threshold ? [] : able;
    },

    async sumHash(contributions) {
      const vectors = checkedVectors(contributions, members, length);
      return sumHashOf(transcript, new Map([...vectors].map(([name, { hash }]) => [name, hash])));
    },

    async open(contributions, shares, { transcript, prepared }) {
      const vectors = checkedVectors(contributions, members, length);
      const record = { transcript: boundTo(cover, transcript), prepared };
      const round = roundOf(contributions, record, context);
      const identity = occasionOf(round.announced, round.cohort);
      const secrets = together(shares, round, context);
      const masks = masksLeft(round, secrets, record, context);
      const sum = await cover.sum(vectors, masks, { identity, shape });
      for (const secret of secrets.values()) secret.fill(0);
      for (let i = 0; i < sum.length; i++)
        if (Math.abs(sum[i]!) > shape.maxMagnitude) throw new ProtocolBroken('the sum is larger than the plan allows');
      return sum;
    },

    forget() {},
  };
}

/** Who was where in a round. */
interface Round {
  readonly announced: Announced;
  /** who dealt, sorted */
  readonly cohort: readonly TenantId[];
  /** who contributed, sorted */
  readonly survivors: readonly TenantId[];
}

function checkedVectors(contributions: ReceivedAll, members: readonly TenantId[], length: number) {
  const vectors = new Map<TenantId, StoredVector>();
  for (const [name, received] of contributions) {
    if (!members.includes(name)) throw new ProtocolBroken('contributed and is no member', name);
    vectors.set(name, vectorOf(received, length, name));
  }
  return vectors;
}

function roundOf(contributions: ReceivedAll, record: RoundRecord, context: Omit<EpochContext, 'me'>): Round {
  const [keys, deals] = record.prepared;
  if (keys === undefined || deals === undefined) throw new RangeError('the record holds no keys and no deals');
  const announced = readKeys(keys, context, record.transcript);
  const cohort = [...deals.keys()].sort();
  const survivors = [...contributions.keys()].sort();
  for (const name of cohort) if (!announced.keys.has(name)) throw new ProtocolBroken('dealt and has no keys', name);
  for (const name of survivors) if (!deals.has(name)) throw new ProtocolBroken('contributed and never dealt', name);
  const { threshold } = context.shape;
  if (survivors.length < threshold)
    throw new ProtocolBroken(`a sum over ${survivors.length} is not opened, ${threshold} are needed`);
  return { announced, cohort, survivors };
}

/** The self-mask's seed of each survivor, the mask key's seed of each that was lost. */
function together(shares: ReceivedAll, round: Round, { shape, members }: Omit<EpochContext, 'me'>) {
  const { announced, cohort, survivors } = round;
  if (shares.size < shape.threshold)
    throw new ProtocolBroken(`${shape.threshold} shares open the sum, got ${shares.size}`);
  const dealt = new Map<TenantId, Share[]>(cohort.map((name) => [name, []]));
  for (const [from, { open }] of shares) {
    if (!survivors.includes(from)) throw new ProtocolBroken('revealed shares and is no survivor', from);
    const owners = heldBy(announced, cohort, from);
    if (open.length !== SEED_BYTES * owners.length) throw new ProtocolBroken('revealed the wrong length', from);
    const x = placeOf(members, from);
    for (const [i, owner] of owners.entries())
      dealt.get(owner)!.push({ x, bytes: open.subarray(SEED_BYTES * i, SEED_BYTES * (i + 1)) });
  }
  return new Map([...dealt].map(([name, parts]) => [name, secretOf(name, parts, announced.neighbourhood.threshold)]));
}

function secretOf(name: TenantId, parts: readonly Share[], threshold: number): Uint8Array {
  if (parts.length < threshold)
    throw new ProtocolBroken(`${threshold} shares of its secret are needed, ${parts.length} were revealed`, name);
  return combine(parts.slice(0, threshold));
}

/** What is still in the sum of the contributions besides the sum, with the sign that takes it out. */
function* masksLeft(
  { announced, cohort, survivors }: Round,
  secrets: ReadonlyMap<TenantId, Uint8Array>,
  { transcript, prepared }: RoundRecord,
  { shape }: Omit<EpochContext, 'me'>,
): Iterable<MaskKey> {
  const occasion = occasionOf(announced, cohort);
  const kind = keyAgreementOf(shape);
  const differs = (name: TenantId) => new ProtocolBroken('the revealed shares do not make up what it announced', name);
  for (const name of cohort) {
    const secret = secrets.get(name)!;
    const { commitment, mask } = announced.keys.get(name)!;
    if (survivors.includes(name)) {
      if (!same(commitmentTo(secret, transcript, name), commitment)) throw differs(name);
      yield { key: selfMaskKey(secret, occasion, name), sign: -1 };
      continue;
    }
    const lost = pairKey(secret, kind, transcript);
    if (!same(lost.publicKey, mask)) throw differs(name);
    for (const other of announced.neighbours.get(name)!) {
      if (!survivors.includes(other)) continue;
      const peer = announced.keys.get(other)!.mask;
      const letter = readLetter(prepared[1]!.get(other)!.sealed.get(name) ?? NOTHING, kind, other, name);
      const pair = name < other ? lost.offer(peer)?.secret : letter && lost.take(peer, letter.maskOffer);
      if (pair === undefined) throw new ProtocolBroken(`shares no secret with ${name}, which was lost`, other);
      // the survivor added it when its name comes first, and subtracted it otherwise
      yield { key: pairMaskKey(pair, occasion, name, other), sign: other < name ? -1 : 1 };
      pair.fill(0);
    }
  }
}

function malformed(
  stage: Stage,
  said: Received,
  cover: Cover,
  { shape, members }: Omit<EpochContext, 'me'>,
): string | undefined {
  const { open, sealed, vector } = said;
  const kind = keyAgreementOf(shape);
  const expected = {
    keys: keysBytes(kind),
    deal: 0,
    contribute: 0,
    agree: 32,
    reveal: open.length, // how many shares someone holds depends on who dealt: compared when they are put together
  }[stage.name];
  if (expected === undefined) return `there is no stage ${stage.name}`;
  if (open.length !== expected) return `${stage.name} is ${expected} bytes, got ${open.length}`;
  const length = stage.name === 'contribute' ? cover.vectorBytes(shape) : undefined;
  if (vector?.length !== length) return `expected a vector of ${length ?? 'no'} bytes, got ${vector?.length ?? 'none'}`;
  if (stage.name === 'reveal' && (open.length % SEED_BYTES !== 0 || open.length > SEED_BYTES * members.length))
    return `${open.length} bytes are not a share of each of up to ${members.length} members`;
  if (stage.name !== 'deal' && sealed.size > 0) return `${stage.name} seals nothing`;
  const lengths = [letterBytes(kind, true), letterBytes(kind, false)];
  for (const [to, bytes] of sealed) {
    if (!members.includes(to)) return `${to} is no member`;
    if (!lengths.includes(bytes.length)) return `a letter is ${lengths.join(' or ')} bytes, got ${bytes.length}`;
  }
  return vector && cover.malformed(vector, shape);
}

const NOTHING = new Uint8Array(0);
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
