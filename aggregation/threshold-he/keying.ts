import { randomFillSync } from 'node:crypto';
import type { ByteSource, RingKernels } from '../kernels/kernels.ts';
import { ephemeralKey, hkdf, SEAL_BYTES, sealWith, unsealWith } from '../key-agreement.ts';
import { type EpochContext, type HeardAll, ProtocolBroken, type Said, type TenantId } from '../secure-sum.ts';
import { digest } from '../transcript.ts';
import type { Arithmetic } from './arithmetic.ts';
import { type OwnKey, ownKey } from './own-key.ts';
import { PACKED_BYTES } from './parameters.ts';
import type { Polynomial } from './polynomial.ts';
import { deal } from './shamir.ts';

/**
 * The keys of an epoch. Every member makes a secret key of its own and deals it to all others:
 *
 *   announce   open: X25519 public key                  → pair secrets
 *   deal       sealed to each: my key's share at its x   → threshold of them could rebuild my key; nobody does
 *   confirm    open: hash over all that was announced    → everyone saw the same members and keys
 *
 * There is no joint public key, hence none that a member could bend by choosing its part last.
 */
export interface EpochKeys {
  /** sorted; those who announced */
  readonly members: readonly TenantId[];
  /** Shamir's x of each: its position in the context's members, plus one */
  readonly x: ReadonlyMap<TenantId, number>;
  /** 32 bytes shared with each other member */
  readonly secrets: ReadonlyMap<TenantId, Uint8Array>;
  /** what each member's key is at my x, my own included */
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
export const DEALT_BYTES: number = PACKED_BYTES + SEAL_BYTES;

const NOTHING: Said['sealed'] = new Map();

const OPERATING_SYSTEM: ByteSource = { fill: (bytes) => void randomFillSync(bytes) };

export function keying(context: EpochContext, arithmetic: Pick<Arithmetic, 'seal' | 'ring'>): Keying {
  const { me, shape, transcript } = context;
  const agreement = ephemeralKey();
  const { ring } = arithmetic;
  const own = ownKey(arithmetic);
  const x = new Map<TenantId, number>();
  const secrets = new Map<TenantId, Uint8Array>();
  const dealt = new Map<TenantId, Polynomial>();
  let identity: Uint8Array = new Uint8Array(0);

  const meet = (announced: HeardAll): void => {
    const keys = readAnnouncements(announced, context, agreement.publicKey);
    // the parties' numbers follow from `members`: who was told another list confirms another epoch
    const parties = digest('parley/threshold-he/parties/v1', ...context.members);
    identity = digest(
      'parley/threshold-he/epoch/v1',
      transcript,
      String(shape.threshold),
      parties,
      ...[...keys].flat(),
    );
    for (const [name, publicKey] of keys) {
      x.set(name, context.members.indexOf(name) + 1);
      if (name === me) continue;
      const shared = agreement.agree(publicKey);
      if (shared === undefined) throw new ProtocolBroken('the announced key is no usable X25519 point', name);
      // salted with the identity: it holds the epoch, both public keys and everyone else's
      secrets.set(name, hkdf(shared, identity, digest('parley/threshold-he/pair/v1', ...[me, name].sort()), 32));
      shared.fill(0);
    }
  };

  return {
    announce: () => ({ open: agreement.publicKey, sealed: NOTHING }),

    deal(announced) {
      meet(announced);
      const names = [...x.keys()];
      const dealing = { threshold: shape.threshold, xs: [...x.values()], random: OPERATING_SYSTEM };
      const shares = deal(ring, own.secret, dealing);
      own.secret.fill(0); // from here on it is only encrypted with
      const sealed = new Map<TenantId, Uint8Array>();
      names.forEach((to, i) => {
        if (to === me) dealt.set(me, shares[i]!);
        else sealed.set(to, sealShare(ring, shares[i]!, letter(secrets.get(to)!, identity, me, to)));
      });
      return { open: new Uint8Array(0), sealed };
    },

    confirm(heard) {
      expectExactly(heard, [...x.keys()]);
      for (const [from, { sealed }] of heard) {
        if (from === me) continue;
        if (sealed === undefined) throw new ProtocolBroken('no share of its key was sent', from);
        const share = unsealShare(ring, sealed, letter(secrets.get(from)!, identity, from, me));
        if (share === undefined) throw new ProtocolBroken('the share of its key does not open', from);
        dealt.set(from, share);
      }
      return { open: identity, sealed: NOTHING };
    },

    finish(confirmed) {
      expectExactly(confirmed, [...x.keys()]);
      for (const [from, { open }] of confirmed) {
        if (!same(open, identity)) throw new ProtocolBroken('confirmed other keys than the rest', from);
      }
      return { members: [...x.keys()], x, secrets, dealt, own, identity };
    },

    forget() {
      for (const secret of [...secrets.values(), ...dealt.values()]) secret.fill(0);
      own.forget();
    },
  };
}

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
    if (open.length !== 32) throw new ProtocolBroken('announced a key of the wrong length', name);
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
  const packed = new Uint8Array(PACKED_BYTES);
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
