import { setImmediate } from 'node:timers/promises';
import type { RandomSource } from '../../privacy/random.ts';
import {
  type EpochContext,
  type HeardAll,
  ProtocolBroken,
  type Said,
  type Sealed,
  type TenantId,
  type TenantRound,
} from '../secure-sum.ts';
import { sha256 } from '../transcript.ts';
import { type PairKey, pairKey } from './agreement.ts';
import { readLetter, seal, unseal } from './letter.ts';
import {
  type Announced,
  commitmentTo,
  heldBy,
  keyAgreementOf,
  occasionOf,
  pairMaskKey,
  placeOf,
  readKeys,
  SEED_BYTES,
  selfMaskKey,
  sumHashOf,
} from './messages.ts';
import { laneOf, type RingBits, type RingVector, ringFor, ringVector } from './ring.ts';
import { deal } from './shamir.ts';

/**
 * A tenant's side of one round (Bonawitz et al. 2017, figure 4; the names of its rounds in brackets).
 *
 *   keys        two fresh public keys                          (AdvertiseKeys)
 *   deal        to each neighbour: a share of b, and of the mask key's seed          (ShareKeys)
 *   contribute  x + PRG(b) + Σ ± PRG(pair)  modulo 2^bits      (MaskedInputCollection)
 *   agree       the survivors I was shown                      (ConsistencyCheck)
 *   reveal      of each that dealt to me: its share of b if it survived, else of its mask seed   (Unmasking)
 *
 * Never both shares of one tenant: which one follows from the survivors this tenant agreed to, it agrees once, and the
 * other share is overwritten before the first leaves.
 */
export interface RoundParts {
  readonly context: EpochContext;
  readonly transcript: Uint8Array;
  readonly random: Pick<RandomSource, 'fill'>;
}

/** What a neighbour dealt to me, or I to myself. */
interface Held {
  readonly ofSelfMask: Uint8Array;
  readonly ofMaskSeed: Uint8Array;
}

type Due = 'keys' | 'deal' | 'contribute' | 'agree' | 'nothing';

export function tenantRound(parts: RoundParts): TenantRound & { forget(): void } {
  const { context, transcript } = parts;
  const { me, members, shape } = context;
  const kind = keyAgreementOf(shape);
  const seeds = Array.from({ length: 3 }, () => seedFrom(parts.random));
  const [selfSeed, maskSeed, shareSeed] = seeds as [Uint8Array, Uint8Array, Uint8Array];
  const maskKey = pairKey(maskSeed, kind, transcript);
  const shareKey = pairKey(shareSeed, kind, transcript);
  const keys = Buffer.concat([commitmentTo(selfSeed, transcript, me), maskKey.publicKey, shareKey.publicKey]);
  const held = new Map<TenantId, Held>();
  /** secrets of pairs in which I am the first */
  const pairSecrets = new Map<TenantId, Uint8Array>();
  let due: Due = 'keys';
  let announced: Announced | undefined;
  let cohort: readonly TenantId[] = [];
  let contributed: Uint8Array | undefined;
  let agreed: Uint8Array | undefined;
  let revealed: Said | undefined;

  /** What broke once is not tried again: nothing is due until the stage is done. */
  const begin = (stage: Due): void => {
    if (due !== stage) throw new RangeError(`${stage} is not due`);
    due = 'nothing';
  };

  const survivorsIn = (contributions: HeardAll): Map<TenantId, Uint8Array> => {
    const hashes = new Map<TenantId, Uint8Array>();
    for (const [name, { open }] of contributions) {
      if (!cohort.includes(name)) throw new ProtocolBroken('contributed and was not in the cohort', name);
      if (open.length !== 32) throw new ProtocolBroken('its contribution was not shown as a hash', name);
      hashes.set(name, open);
    }
    if (hashes.size < shape.threshold)
      throw new ProtocolBroken(`a sum over ${hashes.size} is not opened, ${shape.threshold} are needed`);
    if (contributed === undefined || !same(hashes.get(me), contributed))
      throw new ProtocolBroken('my own contribution was dropped, changed or made up', me);
    return hashes;
  };

  const sumHash = (contributions: HeardAll): Uint8Array => sumHashOf(context.transcript, survivorsIn(contributions));

  return {
    async prepare(stage, heard) {
      if (stage === 0) {
        begin('keys');
        due = 'deal';
        return { open: keys.slice(), sealed: new Map() };
      }
      if (stage !== 1) throw new RangeError(`prepare stage ${stage} does not exist`);
      begin('deal');
      announced = readKeys(heard, context, transcript);
      if (!same(heard.get(me)?.open, keys)) throw new ProtocolBroken('my own keys were dropped or changed', me);
      const sealed = letters(announced);
      due = 'contribute';
      return { open: NOTHING, sealed };
    },

    async contribute(values, heard) {
      const bits = ringFor(shape.maxMagnitude)!;
      checkLane(values, shape.dimension, bits);
      begin('contribute');
      const everyone = announced!;
      cohort = cohortIn(heard, everyone);
      openLetters(heard, everyone);
      const vector = ringVector(bits, shape.dimension);
      vector.addValues(values);
      const occasion = occasionOf(everyone, cohort);
      maskOnce(vector, selfMaskKey(selfSeed, occasion, me), 1);
      for (const other of held.keys()) {
        if (other === me) continue;
        maskOnce(vector, pairMaskKey(pairSecrets.get(other)!, occasion, me, other), me < other ? 1 : -1);
        await setImmediate(); // long vectors let the connection answer its heartbeat
      }
      const open = vector.bytes();
      contributed = sha256(open);
      due = 'agree';
      return { open, sealed: new Map() } as Said as Sealed;
    },

    sumHash: async (contributions) => sumHash(contributions),

    async agree(contributions) {
      const hash = sumHash(contributions);
      if (agreed === undefined) begin('agree');
      else if (!same(agreed, hash)) throw new ProtocolBroken('I agreed to other survivors in this round');
      agreed = hash;
      return { open: hash.slice(), sealed: new Map() };
    },

    async open(contributions, openers) {
      if (agreed === undefined || !same(agreed, sumHash(contributions)))
        throw new ProtocolBroken('asked to open over other survivors than I agreed to');
      checkOpeners(openers, contributions);
      // the same for every set of openers: there is nothing to average over
      revealed ??= reveal(new Set(contributions.keys()));
      return revealed;
    },

    forget() {
      due = 'nothing';
      for (const secret of [...seeds, ...pairSecrets.values()]) secret.fill(0);
      for (const { ofSelfMask, ofMaskSeed } of held.values())
        for (const share of [ofSelfMask, ofMaskSeed]) share.fill(0);
    },
  };

  function letters(everyone: Announced): Map<TenantId, Uint8Array> {
    const { identity, neighbourhood, neighbours } = everyone;
    const near = neighbours.get(me)!;
    const holders = [me, ...near];
    const secret = Buffer.concat([selfSeed, maskSeed]);
    const xs = holders.map((name) => placeOf(members, name));
    const shares = deal(secret, neighbourhood.threshold, xs, parts.random);
    secret.fill(0);
    held.set(me, halves(shares[0]!));
    const sealed = new Map<TenantId, Uint8Array>();
    near.forEach((to, i) => {
      const { mask, share } = everyone.keys.get(to)!;
      const pair = me < to ? offered(maskKey, mask, to) : undefined;
      if (pair !== undefined) pairSecrets.set(to, pair.secret);
      const { offer, secret } = offered(shareKey, share, to);
      const letter = seal(shares[i + 1]!, { secret, identity, from: me, to });
      sealed.set(to, Buffer.concat([pair?.offer ?? NOTHING, offer, letter]));
      for (const used of [secret, shares[i + 1]!]) used.fill(0);
    });
    return sealed;
  }

  /** @returns the cohort, sorted @throws ProtocolBroken */
  function cohortIn(deals: HeardAll, { names }: Announced): TenantId[] {
    const dealt = [...deals.keys()].sort();
    if (dealt.length < shape.threshold)
      throw new ProtocolBroken(`a cohort of ${dealt.length} is too small, ${shape.threshold} are needed`);
    for (const name of dealt) if (!names.includes(name)) throw new ProtocolBroken('dealt and announced no keys', name);
    if (!deals.has(me)) throw new ProtocolBroken('I dealt and am not in the cohort', me);
    return dealt;
  }

  /** Keeps what each neighbour dealt to me, and the secrets of pairs in which I am the second. */
  function openLetters(deals: HeardAll, everyone: Announced): void {
    for (const from of heldBy(everyone, cohort, me)) {
      if (from === me) continue;
      const letter = readLetter(deals.get(from)!.sealed ?? NOTHING, kind, from, me);
      if (letter === undefined) throw new ProtocolBroken('dealt me no share of its secrets', from);
      const { mask, share } = everyone.keys.get(from)!;
      const secret = shareKey.take(share, letter.shareOffer);
      const shares = secret && unseal(letter.sealed, { secret, identity: everyone.identity, from, to: me });
      secret?.fill(0);
      if (shares === undefined) throw new ProtocolBroken('the shares it dealt me do not open', from);
      held.set(from, halves(shares));
      shares.fill(0);
      if (me < from) continue;
      const pair = maskKey.take(mask, letter.maskOffer);
      if (pair === undefined) throw new ProtocolBroken('announced a key that cannot be used', from);
      pairSecrets.set(from, pair);
    }
  }

  function checkOpeners(openers: readonly TenantId[], contributions: HeardAll): void {
    const ascending = openers.every((name, i) => i === 0 || openers[i - 1]! < name);
    if (!ascending || openers.length < shape.threshold)
      throw new ProtocolBroken(
        `expected ${shape.threshold} different tenants that agree, in order, got ${openers.length}`,
      );
    const stranger = openers.find((name) => !contributions.has(name));
    if (stranger !== undefined) throw new ProtocolBroken('agrees and is no survivor', stranger);
    if (!openers.includes(me)) throw new ProtocolBroken('I am not among those that agree', me);
  }

  function reveal(survivors: ReadonlySet<TenantId>): Said {
    const shares = heldBy(announced!, cohort, me).map((name) => {
      const { ofSelfMask, ofMaskSeed } = held.get(name)!;
      const [given, withheld] = survivors.has(name) ? [ofSelfMask, ofMaskSeed] : [ofMaskSeed, ofSelfMask];
      withheld.fill(0);
      return given;
    });
    return { open: Buffer.concat(shares), sealed: new Map() };
  }
}

const NOTHING = new Uint8Array(0);

/** Adds a mask, and overwrites its key. */
function maskOnce(vector: RingVector, key: Uint8Array, sign: 1 | -1): void {
  vector.mask(key, sign);
  key.fill(0);
}

function seedFrom(random: Pick<RandomSource, 'fill'>): Uint8Array {
  const words = new Uint32Array(SEED_BYTES / 4);
  random.fill(words);
  return new Uint8Array(words.buffer);
}

/** @throws ProtocolBroken when the peer announced a key that cannot be used, one of low order say */
function offered(key: PairKey, peer: Uint8Array, name: TenantId) {
  const offer = key.offer(peer);
  if (offer === undefined) throw new ProtocolBroken('announced a key that cannot be used', name);
  return offer;
}

const halves = (shares: Uint8Array): Held => ({
  ofSelfMask: Uint8Array.from(shares.subarray(0, SEED_BYTES)),
  ofMaskSeed: Uint8Array.from(shares.subarray(SEED_BYTES)),
});

function checkLane(values: Float64Array, dimension: number, bits: RingBits): void {
  if (values.length !== dimension) throw new RangeError(`expected ${dimension} coordinates, got ${values.length}`);
  const lane = laneOf(bits);
  const bad = values.findIndex((value) => !(Number.isInteger(value) && Math.abs(value) <= lane));
  if (bad >= 0) throw new RangeError(`coordinate ${bad} is not an integer within ±${lane}`); // never the value itself
}

const same = (a: Uint8Array | undefined, b: Uint8Array): boolean => a !== undefined && Buffer.compare(a, b) === 0;
