import { randomBytes, randomFillSync } from 'node:crypto';
import type { ByteSource, RingKernels } from '../kernels/kernels.ts';
import { packedBytes, type Ring } from '../kernels/rings.ts';
import { hkdf, SEAL_BYTES, sealWith, unsealWith } from '../key-agreement.ts';
import { connectedDegree, neighbours } from '../neighbours.ts';
import { keyAgreementOf, offerBytes, pairKey, publicKeyBytes } from '../pair-key.ts';
import {
  type EpochContext,
  type HeardAll,
  ProtocolBroken,
  type Said,
  type SumShape,
  type TenantId,
} from '../secure-sum.ts';
import { digest } from '../transcript.ts';
import type { Arithmetic } from './arithmetic.ts';
import { committeeFor, committeeOf } from './committee.ts';
import { type OwnKey, ownKey } from './own-key.ts';
import type { Polynomial } from './polynomial.ts';
import { deal } from './shamir.ts';

/**
 * The keys of an epoch. Every member makes a secret key of its own and deals it to the committee (`committee.ts`):
 *
 *   announce   open: public key for pair secrets          → who is in the committee, who shares masks with whom
 *   deal       sealed to each of the committee: my key's share at its x, enough of which could rebuild my key; nobody
 *              does. With ML-KEM, to these and to neighbours that come after me by name: its ciphertext before it
 *   confirm    open: hash over all that was announced    → everyone saw the same members and keys
 *
 * There is no joint public key, hence none that a member could bend by choosing its part last.
 */
export interface EpochKeys {
  /** sorted; those who announced */
  readonly members: readonly TenantId[];
  /** Shamir's x of each of the committee: its position in the context's members, plus one */
  readonly x: ReadonlyMap<TenantId, number>;
  /** those this tenant shares masks with while both contribute */
  readonly neighbours: readonly TenantId[];
  /** 32 bytes shared with each neighbour, and within the committee with each other one of it */
  readonly secrets: ReadonlyMap<TenantId, Uint8Array>;
  /** what each member's key is at my x, my own included; nothing outside of the committee */
  readonly dealt: ReadonlyMap<TenantId, Polynomial>;
  readonly own: OwnKey;
  /** 32 bytes: what everyone confirmed */
  readonly identity: Uint8Array;
}

export interface Keying {
  announce(heard: HeardAll): Said;
  deal(announced: HeardAll): Said;
  confirm(dealt: HeardAll): Said;
  finish(confirmed: HeardAll): EpochKeys;
  forget(): void;
}

/** Bytes of one sealed share of a key. */
export const dealtBytes = (ring: Ring): number => packedBytes(ring) + SEAL_BYTES;

const NOTHING: Said['sealed'] = new Map();

const OPERATING_SYSTEM: ByteSource = { fill: (bytes) => void randomFillSync(bytes) };

/** What follows from the announcements, for everyone the same but for whose neighbours they are. */
interface Met {
  /** by name, sorted */
  readonly keys: ReadonlyMap<TenantId, Uint8Array>;
  readonly identity: Uint8Array;
  readonly x: ReadonlyMap<TenantId, number>;
  readonly neighbours: readonly TenantId[];
}

/** @param seed - 32 uniform bytes, of which the pair secrets are made; overwritten once they are */
export function keying(
  context: EpochContext,
  arithmetic: Pick<Arithmetic, 'seal' | 'ring'>,
  seed: Uint8Array = new Uint8Array(randomBytes(32)),
): Keying {
  const { me, shape, transcript } = context;
  const kind = keyAgreementOf(shape);
  const agreement = pairKey(seed, kind, digest('parley/threshold-he/pair-key/v1', transcript));
  const { ring } = arithmetic;
  const shareBytes = dealtBytes(ring.ring);
  const own = ownKey(arithmetic);
  const secrets = new Map<TenantId, Uint8Array>();
  const dealt = new Map<TenantId, Polynomial>();
  let met: Met | undefined;
  const known = (): Met => {
    if (met === undefined) throw new RangeError('nothing was announced yet');
    return met;
  };

  const holdsShares = (name: TenantId): boolean => known().x.has(name);
  /** Do the two need a secret for masks, on values or among openers? */
  const isPair = (other: TenantId): boolean =>
    known().neighbours.includes(other) || (holdsShares(me) && holdsShares(other));
  /** The first of a pair by name makes their secret; a letter takes one of its sender's. */
  const offers = (from: TenantId, to: TenantId): boolean =>
    holdsShares(to) || (from < to && isPair(from === me ? to : from));

  const keep = (other: TenantId, from: TenantId, shared: Uint8Array): void => {
    if (!isPair(other) || from !== (me < other ? me : other)) return;
    // salted with the identity: it holds the epoch, both public keys and everyone else's
    const info = digest('parley/threshold-he/pair/v1', ...[me, other].sort());
    secrets.set(other, hkdf(shared, known().identity, info, 32));
  };

  return {
    announce: () => ({ open: agreement.publicKey, sealed: NOTHING }),

    deal(announced) {
      met = meet(announced, context, agreement.publicKey);
      const { keys, identity, x } = met;
      const holders = [...x.keys()];
      const dealing = { threshold: committeeFor(shape).needed, xs: [...x.values()], random: OPERATING_SYSTEM };
      const shares = new Map(deal(ring, own.secret, dealing).map((share, i) => [holders[i]!, share]));
      own.secret.fill(0); // from here on it is only encrypted with
      const sealed = new Map<TenantId, Uint8Array>();
      for (const [to, publicKey] of keys) {
        if (to === me || !offers(me, to)) continue;
        const offered = agreement.offer(publicKey);
        if (offered === undefined) throw unusable(to);
        const share = shares.get(to);
        const dealt = share && sealShare(ring, share, letter(offered.secret, identity, me, to));
        const bytes = Buffer.concat([offered.offer, dealt ?? new Uint8Array(0)]);
        if (bytes.length > 0) sealed.set(to, bytes);
        keep(to, me, offered.secret);
        offered.secret.fill(0);
      }
      const mine = shares.get(me);
      if (mine) dealt.set(me, mine);
      return { open: new Uint8Array(0), sealed };
    },

    confirm(heard) {
      const { keys, identity } = known();
      expectExactly(heard, [...keys.keys()]);
      for (const [from, { sealed = new Uint8Array(0) }] of heard) {
        if (from === me) continue;
        const offered = offers(from, me) ? offerBytes(kind) : 0;
        const expected = offered + (holdsShares(me) ? shareBytes : 0);
        if (sealed.length !== expected) {
          const nothing = sealed.length === 0;
          throw new ProtocolBroken(
            nothing ? 'no share of its key was sent' : 'the share of its key does not open',
            from,
          );
        }
        if (!offers(from, me)) continue;
        const shared = agreement.take(keys.get(from)!, sealed.subarray(0, offered));
        if (shared === undefined) throw unusable(from);
        if (holdsShares(me)) {
          const share = unsealShare(ring, sealed.subarray(offered), letter(shared, identity, from, me));
          if (share === undefined) throw new ProtocolBroken('the share of its key does not open', from);
          dealt.set(from, share);
        }
        keep(from, from, shared);
        shared.fill(0);
      }
      seed.fill(0); // every secret it makes is made
      return { open: identity, sealed: NOTHING };
    },

    finish(confirmed) {
      const { keys, identity, x, neighbours } = known();
      expectExactly(confirmed, [...keys.keys()]);
      for (const [from, { open }] of confirmed) {
        if (!same(open, identity)) throw new ProtocolBroken('confirmed other keys than the rest', from);
      }
      return { members: [...keys.keys()], x, neighbours, secrets, dealt, own, identity };
    },

    forget() {
      for (const secret of [seed, ...secrets.values(), ...dealt.values()]) secret.fill(0);
      own.forget();
    },
  };
}

function meet(announced: HeardAll, context: EpochContext, mine: Uint8Array): Met {
  const { me, shape, transcript } = context;
  const keys = readAnnouncements(announced, context, mine);
  const names = [...keys.keys()];
  // the parties' numbers follow from `members`: who was told another list confirms another epoch
  const parties = digest('parley/threshold-he/parties/v1', ...context.members);
  const identity = digest(
    'parley/threshold-he/epoch/v2',
    transcript,
    ...shapeParts(shape),
    parties,
    ...[...keys].flat(),
  );
  const committee = committeeOf(names, shape, identity);
  return {
    keys,
    identity,
    x: new Map(committee.map((name) => [name, context.members.indexOf(name) + 1])),
    neighbours: neighbours(names, connectedDegree(names.length, shape), identity).get(me)!,
  };
}

/** What committee and neighbours depend on. */
const shapeParts = (shape: SumShape): string[] => [
  keyAgreementOf(shape),
  ...[shape.tenants, shape.threshold, shape.minCohort, shape.colluders].map(String),
];

const unusable = (from: TenantId): ProtocolBroken =>
  new ProtocolBroken('the announced key, or what was sealed to it, is no usable key', from);

/** @returns name and public key of each, sorted by name */
function readAnnouncements(announced: HeardAll, context: EpochContext, mine: Uint8Array): Map<TenantId, Uint8Array> {
  if (announced.size < context.shape.threshold) {
    throw new ProtocolBroken(`${announced.size} members announced keys, ${context.shape.threshold} are needed to open`);
  }
  const seen = new Set<string>();
  const keys = new Map<TenantId, Uint8Array>();
  for (const name of [...announced.keys()].sort()) {
    const { open } = announced.get(name)!;
    if (!context.members.includes(name)) throw new ProtocolBroken('announced a key and is no member', name);
    if (open.length !== publicKeyBytes(keyAgreementOf(context.shape)))
      throw new ProtocolBroken('announced a key of the wrong length', name);
    const hex = Buffer.from(open).toString('hex');
    if (seen.has(hex)) throw new ProtocolBroken('announced a key that is already taken', name);
    seen.add(hex);
    keys.set(name, open);
  }
  const heardOfMe = keys.get(context.me);
  if (heardOfMe === undefined || !same(heardOfMe, mine)) {
    throw new ProtocolBroken('my own announcement was dropped or changed', context.me);
  }
  return keys;
}

/** What seals one share: a key for one direction of one pair, and everything the two must agree on. */
interface Letter {
  readonly key: Uint8Array;
  readonly associated: Uint8Array;
}

function letter(secret: Uint8Array, identity: Uint8Array, from: TenantId, to: TenantId): Letter {
  const associated = digest('parley/threshold-he/dealt/v1', identity, from, to);
  return { key: hkdf(secret, identity, associated, 32), associated };
}

function sealShare(ring: RingKernels, share: Polynomial, { key, associated }: Letter): Uint8Array {
  const packed = new Uint8Array(packedBytes(ring.ring));
  ring.pack(share, packed, 0);
  const sealed = sealWith(key, packed, associated);
  for (const secret of [share, packed, key]) secret.fill(0);
  return sealed;
}

function unsealShare(ring: RingKernels, sealed: Uint8Array, { key, associated }: Letter): Polynomial | undefined {
  const packed = unsealWith(key, sealed, associated);
  key.fill(0);
  const share = packed && ring.unpack(packed);
  packed?.fill(0);
  return share;
}

function expectExactly(heard: HeardAll, members: readonly TenantId[]): void {
  for (const name of members) if (!heard.has(name)) throw new ProtocolBroken('said nothing', name);
  for (const name of heard.keys()) if (!members.includes(name)) throw new ProtocolBroken('is no member', name);
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
