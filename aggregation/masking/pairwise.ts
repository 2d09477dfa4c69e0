import { neighbourhood } from '../neighbours.ts';
import { keyAgreementOf } from '../pair-key.ts';
import type { EpochContext, SecureSum, Stage } from '../secure-sum.ts';
import { coordinatorEpoch } from './coordinator.ts';
import type { Cover, CoverFacts } from './cover.ts';
import { letterBytes } from './letter.ts';
import { keysBytes, SEED_BYTES } from './messages.ts';
import { tenantEpoch } from './tenant.ts';

const stage = (name: string, gate: Stage['gate'], answers: Stage['answers']): Stage => ({
  name,
  gate,
  answers,
  attempts: 0,
});

/** As many as one message carries statements of. */
const MOST_MEMBERS = 200;

/**
 * Sums under pairwise masks (Bonawitz et al. 2017, against an active server): each pair of tenants shares a mask that
 * one adds and the other subtracts, and each tenant a mask of its own on top. Tenants may be lost at any moment: a
 * quorum of those left takes off exactly the masks that do not cancel, over survivors that the quorum has signed.
 *
 * What a mask does to a vector is the cover's. What it promises against whom, and why: SECURITY.md.
 *
 * @param load - of these facts; asked for each epoch
 */
export const pairwise = (cover: CoverFacts, load: () => Promise<Cover>): SecureSum => ({
  name: cover.name,
  mostMembers: MOST_MEMBERS,
  keying: [],
  summing: [
    stage('keys', 'prepare', 'enough'),
    stage('deal', 'prepare', 'enough'),
    stage('contribute', 'contribute', 'enough'),
    stage('agree', 'agree', 'quorum'),
    stage('reveal', 'open', 'quorum'),
  ],
  budget: (shape) => cover.budget(shape),
  opening: ({ threshold, tenants }) => ({ needed: threshold, among: tenants }),
  openingsPerEpoch: () => Number.POSITIVE_INFINITY, // every round has keys of its own
  vectorBytes: (name, shape) => (name === 'contribute' ? cover.vectorBytes(shape) : 0),
  bytesPerRound(shape) {
    const kind = keyAgreementOf(shape);
    const { degree } = neighbourhood(shape.tenants, shape);
    const letters = degree * letterBytes(kind, true);
    const [agree, reveal] = [32, SEED_BYTES * (degree + 1)];
    return keysBytes(kind) + letters + cover.vectorBytes(shape) + agree + reveal;
  },
  async tenant(context) {
    check(cover, context);
    if (!context.members.includes(context.me)) throw new RangeError(`${context.me} is not a member of this epoch`);
    return tenantEpoch(await load(), context);
  },
  async coordinator(context) {
    check(cover, context);
    return coordinatorEpoch(await load(), context);
  },
});

/** What the coordinator's round machine and the plan must already have made sure of. */
function check(cover: CoverFacts, { shape, members, transcript }: Omit<EpochContext, 'me'>): void {
  const { dimension, threshold, maxMagnitude } = shape;
  if (!Number.isInteger(dimension) || dimension < 1) throw new RangeError(`dimension must be ≥ 1, got ${dimension}`);
  if (!Number.isInteger(threshold) || threshold < 2 || threshold > members.length)
    throw new RangeError(`threshold must be from 2 to the ${members.length} members, got ${threshold}`);
  if (members.length > MOST_MEMBERS) throw new RangeError(`at most ${MOST_MEMBERS} members, got ${members.length}`);
  if (!(maxMagnitude >= 0 && maxMagnitude <= cover.largest(shape)))
    throw new RangeError(cover.budget(shape).explanation);
  if (members.some((name, i) => i > 0 && members[i - 1]! >= name)) throw new RangeError('members must be sorted');
  if (transcript.length !== 32) throw new RangeError(`a transcript is 32 bytes, got ${transcript.length}`);
}
