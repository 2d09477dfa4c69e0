import type { BitBudget, EpochContext, SecureSum, Stage, SumShape } from '../secure-sum.ts';
import { coordinatorEpoch } from './coordinator.ts';
import { letterBytes } from './letter.ts';
import { keyAgreementOf, keysBytes, SEED_BYTES } from './messages.ts';
import { neighbourhood } from './neighbours.ts';
import { laneOf, ringBytes, ringFor } from './ring.ts';
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
 * What it promises against whom, and why: SECURITY.md.
 */
export const masking: SecureSum = {
  name: 'masking',
  mostMembers: MOST_MEMBERS,
  keying: [],
  summing: [
    stage('keys', 'prepare', 'enough'),
    stage('deal', 'prepare', 'enough'),
    stage('contribute', 'contribute', 'enough'),
    stage('agree', 'agree', 'quorum'),
    stage('reveal', 'open', 'quorum'),
  ],
  budget,
  vectorBytes: (name, shape) => (name === 'contribute' ? maskedBytes(shape) : 0),
  bytesPerRound(shape) {
    const kind = keyAgreementOf(shape);
    const { degree } = neighbourhood(shape.tenants, shape);
    const letters = degree * letterBytes(kind, true);
    const [agree, reveal] = [32, SEED_BYTES * (degree + 1)];
    return keysBytes(kind) + letters + maskedBytes(shape) + agree + reveal;
  },
  async tenant(context) {
    check(context);
    if (!context.members.includes(context.me)) throw new RangeError(`${context.me} is not a member of this epoch`);
    return tenantEpoch(context);
  },
  async coordinator(context) {
    check(context);
    return coordinatorEpoch(context);
  },
};

const maskedBytes = ({ maxMagnitude, dimension }: SumShape): number => ringBytes(ringFor(maxMagnitude) ?? 64, dimension);

function budget({ maxMagnitude }: SumShape): BitBudget {
  const bits = ringFor(maxMagnitude);
  return {
    needed: Math.log2(2 * maxMagnitude + 1),
    available: Math.log2(2 * laneOf(bits ?? 64) + 1),
    explanation:
      bits === undefined
        ? `sums up to ±${maxMagnitude} are not exact in doubles, up to ±${laneOf(64)}: use a coarser grid or fewer customers a round`
        : `sums up to ±${maxMagnitude} are masked modulo 2^${bits}, ${bits / 8} bytes a value`,
  };
}

/** What the coordinator's round machine and the plan must already have made sure of. */
function check({ shape, members, transcript }: Omit<EpochContext, 'me'>): void {
  const { dimension, threshold, maxMagnitude } = shape;
  if (!Number.isInteger(dimension) || dimension < 1) throw new RangeError(`dimension must be ≥ 1, got ${dimension}`);
  if (!Number.isInteger(threshold) || threshold < 2 || threshold > members.length)
    throw new RangeError(`threshold must be from 2 to the ${members.length} members, got ${threshold}`);
  if (members.length > MOST_MEMBERS) throw new RangeError(`at most ${MOST_MEMBERS} members, got ${members.length}`);
  if (!(maxMagnitude >= 0) || ringFor(maxMagnitude) === undefined) throw new RangeError(budget(shape).explanation);
  if (members.some((name, i) => i > 0 && members[i - 1]! >= name)) throw new RangeError('members must be sorted');
  if (transcript.length !== 32) throw new RangeError(`a transcript is 32 bytes, got ${transcript.length}`);
}
