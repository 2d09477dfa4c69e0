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
import { hashOnce } from '../transcript.ts';
import type { Cover } from './cover.ts';
import { dealing } from './dealing.ts';
import { type Announced, occasionOf, readKeys, sumHashOf } from './messages.ts';

/**
 * A tenant's side of one round (Bonawitz et al. 2017, figure 4; the names of its rounds in brackets).
 *
 *   keys        two fresh public keys                                              (AdvertiseKeys)
 *   deal        to each neighbour: a share of b, and of the mask key's seed        (ShareKeys)
 *   contribute  x under the masks of b and of each pair                            (MaskedInputCollection)
 *   agree       the survivors I was shown                                          (ConsistencyCheck)
 *   reveal      of each that dealt to me one share                                 (Unmasking)
 *
 * Which share follows from the survivors this tenant agreed to, and it agrees once.
 */
export interface RoundParts {
  readonly cover: Cover;
  /** its transcript, and this round's, bound to the protocol */
  readonly context: EpochContext;
  readonly transcript: Uint8Array;
  readonly random: Pick<RandomSource, 'fill'>;
}

type Due = 'keys' | 'deal' | 'contribute' | 'agree' | 'nothing';

export function tenantRound({ cover, context, transcript, random }: RoundParts): TenantRound & { forget(): void } {
  const { me, shape } = context;
  const secrets = dealing(context, transcript, random);
  let due: Due = 'keys';
  let announced: Announced | undefined;
  let cohort: readonly TenantId[] = [];
  let contributed: Uint8Array | undefined;
  let agreed: Uint8Array | undefined;
  let revealed: Uint8Array | undefined;

  /** What broke once is not tried again: nothing is due until the stage is done. */
  const begin = (stage: Due): void => {
    if (due !== stage) throw new RangeError(`${stage} is not due`);
    due = 'nothing';
  };

  const sumHash = (contributions: HeardAll): Uint8Array => {
    const hashes = readContributions(contributions, cohort, shape.threshold);
    if (contributed === undefined || !same(hashes.get(me), contributed))
      throw new ProtocolBroken('my own contribution was dropped, changed or made up', me);
    return sumHashOf(context.transcript, hashes);
  };

  return {
    async prepare(stage, heard) {
      if (stage === 0) {
        begin('keys');
        due = 'deal';
        return { open: secrets.keys.slice(), sealed: new Map() };
      }
      if (stage !== 1) throw new RangeError(`prepare stage ${stage} does not exist`);
      begin('deal');
      announced = readKeys(heard, context, transcript);
      if (!same(heard.get(me)?.open, secrets.keys)) throw new ProtocolBroken('my own keys were dropped or changed', me);
      const sealed = secrets.letters(announced);
      due = 'contribute';
      return { open: NOTHING, sealed };
    },

    async contribute(values, heard) {
      checkValues(values, shape.dimension, cover.largest(shape));
      begin('contribute');
      cohort = readCohort(heard, announced!, context);
      secrets.receive(heard, announced!, cohort);
      const identity = occasionOf(announced!, cohort);
      const vector = await cover.hide(values, secrets.masks(identity), { identity, shape });
      contributed = hashOnce(vector);
      due = 'agree';
      return { open: NOTHING, sealed: new Map(), vector } as Said as Sealed;
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
      checkOpeners(openers, contributions, context);
      // the same bytes for every set of openers: there is nothing to average over
      revealed ??= secrets.reveal(new Set(contributions.keys()));
      return { open: revealed.slice(), sealed: new Map() };
    },

    forget() {
      due = 'nothing';
      agreed = undefined;
      secrets.forget();
    },
  };
}

/** Who dealt, sorted. @throws ProtocolBroken */
function readCohort(deals: HeardAll, { names }: Announced, { me, shape }: EpochContext): TenantId[] {
  const cohort = [...deals.keys()].sort();
  if (cohort.length < shape.threshold)
    throw new ProtocolBroken(`a cohort of ${cohort.length} is too small, ${shape.threshold} are needed`);
  for (const name of cohort) if (!names.includes(name)) throw new ProtocolBroken('dealt and announced no keys', name);
  if (!cohort.includes(me)) throw new ProtocolBroken('I dealt and am not in the cohort', me);
  return cohort;
}

/** The hashes of what the survivors contributed. @throws ProtocolBroken */
function readContributions(
  contributions: HeardAll,
  cohort: readonly TenantId[],
  threshold: number,
): Map<TenantId, Uint8Array> {
  const hashes = new Map<TenantId, Uint8Array>();
  for (const [name, { open, vectorHash }] of contributions) {
    if (!cohort.includes(name)) throw new ProtocolBroken('contributed and was not in the cohort', name);
    if (vectorHash?.length !== 32 || open.length > 0)
      throw new ProtocolBroken('its contribution is not a vector alone', name);
    hashes.set(name, vectorHash);
  }
  if (hashes.size < threshold)
    throw new ProtocolBroken(`a sum over ${hashes.size} is not opened, ${threshold} are needed`);
  return hashes;
}

function checkOpeners(openers: readonly TenantId[], contributions: HeardAll, { me, shape }: EpochContext): void {
  const ascending = openers.every((name, i) => i === 0 || openers[i - 1]! < name);
  if (!ascending || openers.length < shape.threshold)
    throw new ProtocolBroken(
      `expected ${shape.threshold} different tenants that agree, in order, got ${openers.length}`,
    );
  const stranger = openers.find((name) => !contributions.has(name));
  if (stranger !== undefined) throw new ProtocolBroken('agrees and is no survivor', stranger);
  if (!openers.includes(me)) throw new ProtocolBroken('I am not among those that agree', me);
}

function checkValues(values: Float64Array, dimension: number, largest: number): void {
  if (values.length !== dimension) throw new RangeError(`expected ${dimension} coordinates, got ${values.length}`);
  for (let i = 0; i < values.length; i++)
    if (!(Number.isInteger(values[i]) && Math.abs(values[i]!) <= largest))
      throw new RangeError(`coordinate ${i} is not an integer within ±${largest}`); // never the value itself
}

const same = (a: Uint8Array | undefined, b: Uint8Array): boolean => a !== undefined && Buffer.compare(a, b) === 0;

const NOTHING = new Uint8Array(0);
