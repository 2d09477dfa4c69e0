import type { RandomSource } from '../../privacy/random.ts';
import { keyAgreementOf, type PairKey, pairKey } from '../pair-key.ts';
import { type EpochContext, type HeardAll, ProtocolBroken, type TenantId } from '../secure-sum.ts';
import type { MaskKey } from './cover.ts';
import { readLetter, seal, unseal } from './letter.ts';
import { type Announced, commitmentTo, heldBy, pairMaskKey, placeOf, SEED_BYTES, selfMaskKey } from './messages.ts';
import { deal } from './shamir.ts';

/**
 * A tenant's secrets of one round, and its neighbours' as far as they were dealt to it.
 *
 *   b            seed of the mask of its own        ┐ dealt to the neighbours, who give back one of the two
 *   mask seed    of the key it agrees on masks with ┘
 *   share seed   of the key that letters are sealed with; dealt to nobody
 */
export interface Dealing {
  /** what is announced: the commitment to b, and two public keys */
  readonly keys: Uint8Array;
  /** What is sealed to each neighbour. @throws ProtocolBroken when a key cannot be used */
  letters(everyone: Announced): Map<TenantId, Uint8Array>;
  /** Opens what each neighbour of the cohort dealt to this tenant. @throws ProtocolBroken */
  receive(deals: HeardAll, everyone: Announced, cohort: readonly TenantId[]): void;
  /** AES keys of this tenant's masks, and whether each is added or subtracted. */
  masks(occasion: Uint8Array): Iterable<MaskKey>;
  /**
   * Of each that dealt to this tenant, by name: the share of b when it survived, else of its mask seed. Never both: the
   * other is overwritten before the first leaves, so this is asked once.
   */
  reveal(survivors: ReadonlySet<TenantId>): Uint8Array;
  forget(): void;
}

/** What a neighbour dealt to me, or I to myself. */
interface Held {
  readonly ofSelfMask: Uint8Array;
  readonly ofMaskSeed: Uint8Array;
}

/** @param transcript - of the round */
export function dealing(
  { me, members, shape }: EpochContext,
  transcript: Uint8Array,
  random: Pick<RandomSource, 'fill'>,
): Dealing {
  const kind = keyAgreementOf(shape);
  const seeds = [seedFrom(random), seedFrom(random), seedFrom(random)] as const;
  const [selfSeed, maskSeed, shareSeed] = seeds;
  const maskKey = pairKey(maskSeed, kind, transcript);
  const shareKey = pairKey(shareSeed, kind, transcript);
  const held = new Map<TenantId, Held>();
  const pairSecrets = new Map<TenantId, Uint8Array>();

  return {
    keys: Buffer.concat([commitmentTo(selfSeed, transcript, me), maskKey.publicKey, shareKey.publicKey]),

    letters({ identity, neighbourhood, neighbours, keys }) {
      const near = neighbours.get(me)!;
      const xs = [me, ...near].map((name) => placeOf(members, name));
      const secret = Buffer.concat([selfSeed, maskSeed]);
      const [mine, ...theirs] = deal(secret, neighbourhood.threshold, xs, random);
      secret.fill(0);
      held.set(me, halves(mine!));
      const letters = near.map((to, i): [TenantId, Uint8Array] => {
        const { mask, share } = keys.get(to)!;
        const pair = me < to ? offered(maskKey, mask, to) : undefined; // one of a pair offers: the first by name
        if (pair !== undefined) pairSecrets.set(to, pair.secret);
        const { offer, secret } = offered(shareKey, share, to);
        const sealed = seal(theirs[i]!, { secret, identity, from: me, to });
        for (const used of [secret, theirs[i]!]) used.fill(0);
        return [to, Buffer.concat([pair?.offer ?? NOTHING, offer, sealed])];
      });
      return new Map(letters);
    },

    receive(deals, everyone, cohort) {
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
        if (me < from) continue;
        const pair = maskKey.take(mask, letter.maskOffer);
        if (pair === undefined) throw new ProtocolBroken('announced a key that cannot be used', from);
        pairSecrets.set(from, pair);
      }
    },

    *masks(occasion) {
      yield { key: selfMaskKey(selfSeed, occasion, me), sign: 1 };
      for (const other of held.keys()) {
        if (other === me) continue;
        yield { key: pairMaskKey(pairSecrets.get(other)!, occasion, me, other), sign: me < other ? 1 : -1 };
      }
    },

    reveal(survivors) {
      const shares = [...held]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, { ofSelfMask, ofMaskSeed }]) => {
          const [given, withheld] = survivors.has(name) ? [ofSelfMask, ofMaskSeed] : [ofMaskSeed, ofSelfMask];
          withheld.fill(0);
          return given;
        });
      return Buffer.concat(shares);
    },

    forget() {
      const dealt = [...held.values()].flatMap(({ ofSelfMask, ofMaskSeed }) => [ofSelfMask, ofMaskSeed]);
      for (const secret of [...seeds, ...pairSecrets.values(), ...dealt]) secret.fill(0);
    },
  };
}

const NOTHING = new Uint8Array(0);

function seedFrom(random: Pick<RandomSource, 'fill'>): Uint8Array {
  const words = new Uint32Array(SEED_BYTES / 4);
  random.fill(words);
  return new Uint8Array(words.buffer);
}

/** @throws ProtocolBroken when the peer announced a key that cannot be used, a point of low order say */
function offered(key: PairKey, peer: Uint8Array, name: TenantId) {
  const offer = key.offer(peer);
  if (offer === undefined) throw new ProtocolBroken('announced a key that cannot be used', name);
  return offer;
}

function halves(shares: Uint8Array): Held {
  const [ofSelfMask, ofMaskSeed] = [shares.subarray(0, SEED_BYTES), shares.subarray(SEED_BYTES)];
  return { ofSelfMask, ofMaskSeed };
}
