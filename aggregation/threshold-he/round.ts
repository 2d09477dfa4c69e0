import { randomBytes } from 'node:crypto';
import { DEGREE } from '../kernels/rings.ts';
import {
  type EpochContext,
  type HeardAll,
  ProtocolBroken,
  type Said,
  type Sealed,
  type TenantId,
  type TenantRound,
} from '../secure-sum.ts';
import { digest, hashOnce } from '../transcript.ts';
import type { Arithmetic } from './arithmetic.ts';
import { committeeFor } from './committee.ts';
import { type Gathered, gather, NONCE_BYTES, occasionOf, sumHashOf } from './contribution.ts';
import type { EpochKeys } from './keying.ts';
import { layoutOf } from './layout.ts';
import { masksOver } from './masks.ts';
import { constant, type Polynomial, zero } from './polynomial.ts';
import { lagrangeAtZero } from './shamir.ts';
import { contributionVector, openingVector } from './vectors.ts';

/** How often one sum may be opened: by the first openers, and by two more sets when one of them is lost. */
const MOST_OPENINGS = 3;

/**
 * A tenant's side of one round.
 *
 *   ready       nonce
 *   contribute  for each 4096 slots:   x + masks(cohort) − (a·s + t·e)       a from the occasion, s my own key
 *   share       for each of those:     a·λ·Σ s_i(my x) + t·E + masks(openers)
 *
 * Sum of the contributions and of the shares: Σ x + t·(small), because Σ over the openers of λ·s_i(x) is s_i.
 * Nothing a share holds depends on what was contributed: it opens the sum of exactly the keys of the cohort, each
 * once, and no other combination of ciphertexts. SECURITY.md has the argument.
 */
export interface RoundParts {
  readonly context: EpochContext;
  readonly arithmetic: Arithmetic;
  readonly keys: EpochKeys;
  readonly transcript: Uint8Array;
  /** Books coefficients this tenant helps to open. @throws when the epoch has none left */
  readonly spend: (coefficients: number) => void;
}

export function tenantRound(parts: RoundParts): TenantRound {
  const { context, keys } = parts;
  const { me, shape } = context;
  const nonce = new Uint8Array(randomBytes(NONCE_BYTES));
  let contributed: 'nothing' | 'under way' | { readonly hash: Uint8Array } = 'nothing';
  let answered: Uint8Array | undefined;
  const shares = new Map<string, Promise<Said>>();

  const gathered = (contributions: HeardAll): Gathered => {
    const sum = readContributions(contributions, parts);
    const mine = contributions.get(me);
    const expected = typeof contributed === 'object' ? contributed.hash : undefined;
    if (mine === undefined ? contributed !== 'nothing' : !same(mine.vectorHash, expected)) {
      throw new ProtocolBroken('my own contribution was dropped, changed or made up', me);
    }
    return sum;
  };

  return {
    async prepare(stage) {
      if (stage !== 0) throw new RangeError(`prepare stage ${stage} does not exist`);
      return { open: nonce.slice(), sealed: new Map() };
    },

    async contribute(values, heard) {
      if (contributed !== 'nothing') throw new RangeError('a round takes one contribution');
      const slots = onLanes(values, parts);
      const nonces = readNonces(heard, keys, shape.threshold);
      if (!same(nonces.get(me), nonce)) throw new ProtocolBroken('I am not in the cohort as I said', me);
      contributed = 'under way';
      const occasion = occasionOf(keys.identity, parts.transcript, nonces);
      const over = {
        me,
        // both ends of an edge are in the cohort, and both know all of it: what one adds the other subtracts
        set: keys.neighbours.filter((name) => nonces.has(name)),
        secrets: keys.secrets,
        purpose: 'values',
        binding: occasion,
      } as const;
      const sealing = { key: keys.own, occasion, masks: masksOver(over) };
      const vector = await contributionVector(parts.arithmetic, slots, sealing);
      contributed = { hash: hashOnce(vector) };
      return { open: Buffer.concat([nonce, occasion]), sealed: new Map(), vector } as Said as Sealed;
    },

    async sumHash(contributions) {
      return sumHashOf(keys.identity, gathered(contributions), contributions);
    },

    async agree() {
      throw new RangeError('all of the cohort contribute, or nothing is opened: there is no stage to agree in');
    },

    async open(contributions, openers) {
      const sum = gathered(contributions);
      checkOpeners(openers, parts);
      const sumHash = sumHashOf(keys.identity, sum, contributions);
      if (answered && !same(answered, sumHash)) {
        throw new ProtocolBroken('this round was already opened for another sum');
      }
      const asked = openers.join();
      const said = shares.get(asked);
      if (said) return said; // asked again by the same openers: the same bytes, nothing to average over
      if (shares.size === MOST_OPENINGS) throw new ProtocolBroken(`this sum was opened ${MOST_OPENINGS} times`);
      parts.spend(DEGREE * layoutOf(shape).polynomials);
      answered = sumHash;
      const share = openingShare(sum, sumHash, openers, parts);
      shares.set(asked, share);
      return share;
    },
  };
}

function readContributions(contributions: HeardAll, { context, keys, transcript }: RoundParts): Gathered {
  const { shape } = context;
  const sum = gather(contributions, keys.members);
  if (sum.cohort.length < shape.threshold) {
    throw new ProtocolBroken(`a sum over ${sum.cohort.length} is not opened, ${shape.threshold} are needed`);
  }
  // the headers are the contributors' word for what they encrypted under; this is ours
  if (!same(sum.occasion, occasionOf(keys.identity, transcript, sum.nonces))) {
    throw new ProtocolBroken('these contributions belong to another round or cohort');
  }
  return sum;
}

/** @throws RangeError when a value is no integer within its lane; it does not name the value */
function onLanes(values: Float64Array, { context: { shape }, arithmetic }: RoundParts): Float64Array {
  if (values.length !== shape.dimension) {
    throw new RangeError(`expected ${shape.dimension} coordinates, got ${values.length}`);
  }
  const { bits, slots: count } = layoutOf(shape);
  const slots = new Float64Array(count);
  arithmetic.slots.encode(values, bits, slots);
  return slots;
}

function readNonces(ready: HeardAll, keys: EpochKeys, threshold: number): Map<TenantId, Uint8Array> {
  if (ready.size < threshold)
    throw new ProtocolBroken(`a cohort of ${ready.size} is too small, ${threshold} are needed`);
  const nonces = new Map<TenantId, Uint8Array>();
  for (const [name, { open }] of ready) {
    if (!keys.members.includes(name)) throw new ProtocolBroken('is in the cohort and no member', name);
    if (open.length !== NONCE_BYTES) throw new ProtocolBroken('sent a nonce of the wrong length', name);
    nonces.set(name, open);
  }
  return nonces;
}

function checkOpeners(openers: readonly TenantId[], { context, keys }: RoundParts): void {
  const { me, shape } = context;
  const { needed } = committeeFor(shape);
  const ascending = openers.every((name, i) => i === 0 || openers[i - 1]! < name);
  if (openers.length !== needed || !ascending) {
    throw new ProtocolBroken(`expected ${needed} different openers in order, got ${openers.length}`);
  }
  const stranger = openers.find((name) => !keys.x.has(name));
  if (stranger !== undefined) throw new ProtocolBroken('is asked to open and holds no shares', stranger);
  if (!openers.includes(me)) throw new ProtocolBroken('I am not among the openers', me);
}

async function openingShare(
  { cohort, occasion }: Gathered,
  sumHash: Uint8Array,
  openers: readonly TenantId[],
  parts: RoundParts,
): Promise<Said> {
  const { context, keys, arithmetic } = parts;
  const binding = digest('parley/threshold-he/openers/v1', sumHash, ...openers);
  const over = { me: context.me, set: openers, secrets: keys.secrets, purpose: 'shares', binding } as const;
  const opening = { share: keyShare(cohort, openers, parts), occasion, masks: masksOver(over) };
  const vector = await openingVector(arithmetic, layoutOf(context.shape).polynomials, opening);
  return { open: new Uint8Array(0), sealed: new Map(), vector };
}

/** λ·Σ s_i(my x): the openers' sum to Σ s_i. λ comes before any noise, or it would multiply the noise (ePrint 2022/780). */
function keyShare(
  cohort: readonly TenantId[],
  openers: readonly TenantId[],
  { context, keys, arithmetic: { ring } }: RoundParts,
): Polynomial {
  const sum = zero();
  for (const name of cohort) ring.add(sum, keys.dealt.get(name)!);
  const lambda = lagrangeAtZero(
    keys.x.get(context.me)!,
    openers.map((name) => keys.x.get(name)!),
    ring.ring,
  );
  const share = zero();
  ring.multiplyAdd(share, sum, constant(lambda));
  sum.fill(0);
  return share;
}

const same = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a !== undefined && b !== undefined && Buffer.compare(a, b) === 0;
