import type { BitBudget, EpochContext, SecureSum, Stage, SumShape } from '../secure-sum.ts';
import { HEADER_BYTES, NONCE_BYTES, packedVectorBytes } from './contribution.ts';
import { coordinatorEpoch } from './coordinator.ts';
import { LANE, MOST_MEMBERS, PLAIN_MODULUS } from './parameters.ts';
import { bgv } from './seal.ts';
import { tenantEpoch } from './tenant.ts';

const stage = (name: string, gate: Stage['gate'], answers: Stage['answers'], attempts = 0): Stage => ({
  name,
  gate,
  answers,
  attempts,
});

/**
 * Sums under threshold BGV: each tenant encrypts under a key of its own that all members hold in shares; the sum of
 * ciphertexts is a ciphertext under the sum of keys; `threshold` members together open that one, and no other.
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
  vectorBytes: (name, { dimension }) => (name === 'contribute' || name === 'share' ? packedVectorBytes(dimension) : 0),
  bytesPerRound: ({ dimension }) => NONCE_BYTES + HEADER_BYTES + 2 * packedVectorBytes(dimension),
  async tenant(context) {
    check(context);
    if (!context.members.includes(context.me)) throw new RangeError(`${context.me} is not a member of this epoch`);
    return tenantEpoch(context, await bgv());
  },
  async coordinator(context) {
    check(context);
    return coordinatorEpoch(context, await bgv());
  },
};

function budget({ maxMagnitude }: SumShape): BitBudget {
  const available = Math.log2(PLAIN_MODULUS);
  const fits = maxMagnitude <= LANE;
  // the bound is t, not 2^48; next to it a logarithm no longer tells the two sides apart
  const log = Math.log2(2 * maxMagnitude + 1);
  const needed = fits ? Math.min(log, available) : Math.max(log, available + Number.EPSILON * 64);
  const explanation = fits
    ? `sums up to ±${maxMagnitude} fit a slot of ±${LANE}`
    : `sums up to ±${maxMagnitude} do not fit a slot of ±${LANE}: use a coarser grid or fewer customers a round`;
  return { needed, available, explanation };
}

/** What the coordinator's round machine and the plan must already have made sure of. */
function check({ shape, members, transcript }: Omit<EpochContext, 'me'>): void {
  const { dimension, threshold, maxMagnitude } = shape;
  if (!Number.isInteger(dimension) || dimension < 1) throw new RangeError(`dimension must be ≥ 1, got ${dimension}`);
  if (!Number.isInteger(threshold) || threshold < 2 || threshold > members.length) {
    throw new RangeError(`threshold must be from 2 to the ${members.length} members, got ${threshold}`);
  }
  if (members.length > MOST_MEMBERS) throw new RangeError(`at most ${MOST_MEMBERS} members, got ${members.length}`);
  if (!(maxMagnitude >= 0 && maxMagnitude <= LANE)) throw new RangeError(budget(shape).explanation);
  if (members.some((name, i) => i > 0 && members[i - 1]! >= name)) throw new RangeError('members must be sorted');
  if (transcript.length !== 32) throw new RangeError(`a transcript is 32 bytes, got ${transcript.length}`);
}
