import { valuesPerPolynomial } from './kernels/lanes.ts';
import { KEY_BYTES, lanesFor } from './lattice-mask/parameters.ts';
import { ringBytes, ringFor } from './masking/ring.ts';
import { connectedDegree, neighbourhood } from './neighbours.ts';
import { keyAgreementOf } from './pair-key.ts';
import { protocolNamed } from './protocols.ts';
import { type KeyAgreement, PROTECTING_SUMS, type SumShape } from './secure-sum.ts';
import { committeeFor } from './threshold-he/committee.ts';
import { layoutOf } from './threshold-he/layout.ts';

/**
 * What a round of each secure sum takes, for choosing between them before anything runs: milliseconds of one core, bytes on
 * the wire. Loops over vectors are counted in their bytes or polynomials, the rest in signatures and key agreements.
 *
 * Unit costs are those of the machine below; another one is faster or slower in all of them alike. `npm run bench:secure-sum`
 * measures whole rounds and prints them beside these.
 */
export const COSTS_OF = 'one core of an AMD EPYC, Node 24';

export interface SumCost {
  readonly protocol: (typeof PROTECTING_SUMS)[number];
  /** why it cannot serve this sum; undefined when it can */
  readonly unfit?: string;
  /** computed by one tenant in a round, its share of opening included */
  readonly clientMs: number;
  /** by the coordinator when nobody is lost, and when as many are as the sum may lose */
  readonly coordinatorMs: number;
  readonly coordinatorMsAtWorst: number;
  /** sent by one tenant */
  readonly bytesUp: number;
}

/** One row for each protocol that protects. */
export function sumCosts(shape: SumShape): SumCost[] {
  return PROTECTING_SUMS.map((name) => {
    const protocol = protocolNamed(name);
    const { needed, available, explanation } = protocol.budget(shape);
    const openers = protocol.opening(shape);
    const unfit =
      shape.tenants > protocol.mostMembers
        ? `serves at most ${protocol.mostMembers} tenants`
        : openers.needed > openers.among
          ? `needs ${openers.needed} openers, and has ${openers.among}`
          : needed > available
            ? explanation
            : undefined;
    return {
      protocol: name,
      ...(unfit === undefined ? {} : { unfit }),
      ...MILLISECONDS[name](shape),
      bytesUp: protocol.bytesPerRound(shape),
    };
  });
}

type Milliseconds = Pick<SumCost, 'clientMs' | 'coordinatorMs' | 'coordinatorMsAtWorst'>;

/** Verifying one statement: Ed25519, and the hashes around it. */
const VERIFY = 0.11;
/** With one neighbour: two key agreements, a letter each way, its shares. */
const NEIGHBOUR: Readonly<Record<KeyAgreement, number>> = { x25519: 0.3, 'x25519-ml-kem-768': 1.4 };
/** For a megabyte: a mask (key stream and addition), encoding, hashing, adding a vector to the sum. */
const MB = { mask: 0.22, encode: 0.4, hash: 0.7, add: 0.13 };
/** For a polynomial of 4096 coefficients. */
const LATTICE = { client: 0.17, add: 0.011, open: 0.14 };
const HE = { client: 1.1, mask: 0.009, share: 0.37, shareMask: 0.015, add: 0.014, open: 0.56 };
/** Shares of one tenant's secret put together; one key agreement. */
const COMBINE = 0.3;
const AGREE = 0.1;

const MILLISECONDS: Readonly<Record<SumCost['protocol'], (shape: SumShape) => Milliseconds>> = {
  masking: (shape) => {
    const masked = ringBytes(ringFor(shape.maxMagnitude) ?? 64, shape.dimension);
    const perMb = masked / 1e6;
    return pairwise(shape, {
      masked,
      client: (MB.encode + MB.hash) * perMb,
      add: MB.add * perMb,
      open: MB.encode * perMb,
    });
  },
  'lattice-mask': (shape) => {
    const polynomials = Math.ceil(shape.dimension / valuesPerPolynomial(lanesFor(shape.maxMagnitude) ?? 46));
    const { client, add, open } = LATTICE;
    const each = { client: client * polynomials, add: add * polynomials, open: open * polynomials };
    return pairwise(shape, { masked: KEY_BYTES, ...each });
  },
  'threshold-he': (shape) => {
    const { tenants } = shape;
    const { needed } = committeeFor(shape);
    const { polynomials } = layoutOf(shape);
    const contribute = HE.client + HE.mask * connectedDegree(tenants, shape);
    const share = HE.share + HE.shareMask * (needed - 1);
    const open = HE.add * (tenants + needed) + HE.open;
    const coordinatorMs = 3 * tenants * VERIFY + polynomials * open;
    // who is lost after it was ready costs the round, which is held again
    return {
      clientMs: 2 * tenants * VERIFY + polynomials * (contribute + share),
      coordinatorMs,
      coordinatorMsAtWorst: 2 * coordinatorMs,
    };
  },
};

/** Rounds with masks between neighbours. */
function pairwise(
  shape: SumShape,
  parts: {
    /** bytes under each mask */
    readonly masked: number;
    /** milliseconds besides masks: at the client, for each vector added, for the sum */
    readonly client: number;
    readonly add: number;
    readonly open: number;
  },
): Milliseconds {
  const { tenants, minCohort } = shape;
  const { degree } = neighbourhood(tenants, shape);
  const mask = (MB.mask * parts.masked) / 1e6;
  const opened = (lost: number): number => {
    const left = tenants - lost;
    // of who is left the mask of its own, of who was lost those with neighbours that are left
    const pairs = lost * degree * (left / tenants);
    const statements = 5 * tenants * VERIFY + tenants * COMBINE + pairs * AGREE;
    return statements + (left + pairs) * mask + left * parts.add + parts.open;
  };
  const clientMs =
    (degree + 1) * mask + parts.client + degree * NEIGHBOUR[keyAgreementOf(shape)] + 4 * tenants * VERIFY;
  return { clientMs, coordinatorMs: opened(0), coordinatorMsAtWorst: opened(tenants - minCohort) };
}
