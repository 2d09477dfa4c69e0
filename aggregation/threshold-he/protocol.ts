import { largestInLane } from '../kernels/lanes.ts';
import { DEGREE, packedBytes } from '../kernels/rings.ts';
import type { BitBudget, EpochContext, SecureSum, Stage, SumShape } from '../secure-sum.ts';
import { arithmetic } from './arithmetic.ts';
import { committeeFor } from './committee.ts';
import { HEADER_BYTES, NONCE_BYTES } from './contribution.ts';
import { coordinatorEpoch } from './coordinator.ts';
import { laneFor, layoutOf } from './layout.ts';
import { MOST_MEMBERS, profileOf } from './parameters.ts';
import { tenantEpoch } from './tenant.ts';

const stage = (name: string, gate: Stage['gate'], answers: Stage['answers'], attempts = 0): Stage => ({
  name,
  gate,
  answers,
  attempts,
});

/**
 * Sums under threshold BGV: each tenant encrypts under a key of its own that a committee holds in shares; the sum of
 * ciphertexts is a ciphertext under the sum of keys; enough of the committee together open that one, and no other.
 * Beneath the encryption, pairwise masks that cancel over exactly the cohort.
 *
 * What it promises against whom, and why: SECURITY.md.
 */
export const thresholdHe: SecureSum = {
  name: 'threshold-he',
  mostMembers: MOST_MEMBERS,
  keying: [stage('announce', 'prepare', 'enough'), stage('deal', 'prepare', 'all'), stage('confirm', 'prepare', 'all')],
  summing: [
    stage('ready', 'prepare', 'enough'),
    stage('contribute', 'contribute', 'all'),
    stage('share', 'open', 'all', 2),
  ],
  budget,
  opening: committeeFor,
  openingsPerEpoch: (shape) => Math.floor(profileOf(shape).mostOpened / (DEGREE * layoutOf(shape).polynomials)),
  vectorBytes: (name, shape) => (name === 'contribute' || name === 'share' ? layoutOf(shape).bytes : 0),
  bytesPerRound: (shape) => NONCE_BYTES + HEADER_BYTES + 2 * layoutOf(shape).bytes,
  async tenant(context) {
    check(context);
    if (!context.members.includes(context.me)) throw new RangeError(`${context.me} is not a member of this epoch`);
    return tenantEpoch(context, await arithmetic(profileOf(context.shape)));
  },
  async coordinator(context) {
    check(context);
    return coordinatorEpoch(context, await arithmetic(profileOf(context.shape)));
  },
};

function budget(shape: SumShape): BitBudget {
  const { maxMagnitude } = shape;
  const { slots, ring } = profileOf(shape);
  const bits = laneFor(maxMagnitude, slots);
  const most = largestInLane(bits ?? slots.bits, slots);
  const available = Math.log2(2 * most + 1);
  // next to t a logarithm no longer tells the two sides apart
  const log = Math.log2(2 * maxMagnitude + 1);
  const needed = bits ? Math.min(log, available) : Math.max(log, available + Number.EPSILON * 64);
  const two = bits === slots.bits / 2;
  const lane = two ? `a lane of ${bits} bits, two in a slot` : `a slot of ${slots.bits} bits`;
  const bytes = packedBytes(ring) / DEGREE / (two ? 2 : 1);
  const explanation = bits
    ? `sums up to ±${maxMagnitude} fit ${lane}, up to ±${most}: ${bytes.toFixed(1)} bytes a value`
    : `sums up to ±${maxMagnitude} do not fit ${lane}, up to ±${most}: use a coarser grid or fewer customers a round`;
  return { needed, available, explanation };
}

/** What the coordinator's round machine and the plan must already have made sure of. */
function check({ shape, members, transcript }: Omit<EpochContext, 'me'>): void {
  const { dimension, threshold, maxMagnitude } = shape;
  if (!Number.isInteger(dimension) || dimension < 1) throw new RangeError(`dimension must be ≥ 1, got ${dimension}`);
  if (!Number.isInteger(threshold) || threshold < 2 || threshold > members.length) {
    throw new RangeError(`threshold must be from 2 to the ${members.length} members, got ${threshold}`);
  }
  const { needed, among } = committeeFor(shape);
  if (needed > among) throw new RangeError(`${needed} tenants must open, a committee holds ${among}`);
  if (members.length > MOST_MEMBERS) throw new RangeError(`at most ${MOST_MEMBERS} members, got ${members.length}`);
  if (!(maxMagnitude >= 0 && laneFor(maxMagnitude, profileOf(shape).slots)))
    throw new RangeError(budget(shape).explanation);
  if (members.some((name, i) => i > 0 && members[i - 1]! >= name)) throw new RangeError('members must be sorted');
  if (transcript.length !== 32) throw new RangeError(`a transcript is 32 bytes, got ${transcript.length}`);
}
