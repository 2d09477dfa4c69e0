import { randomBytes } from 'node:crypto';
import type { Kernels } from '../../../aggregation/kernels/kernels.ts';
import { loadKernels } from '../../../aggregation/kernels/load-kernels.ts';
import { DEGREE, HE_RING, SLOT_MODULUS } from '../../../aggregation/kernels/rings.ts';
import type {
  CoordinatorEpoch,
  EpochContext,
  HeardAll,
  KeyAgreement,
  Received,
  ReceivedAll,
  Said,
  SumShape,
  TenantId,
  TenantRound,
} from '../../../aggregation/secure-sum.ts';
import { asHeard } from '../../../aggregation/stored-vector.ts';
import { type Arithmetic, arithmetic, kernelsFor } from '../../../aggregation/threshold-he/arithmetic.ts';
import { coordinatorEpoch } from '../../../aggregation/threshold-he/coordinator.ts';
import { type EpochKeys, keying } from '../../../aggregation/threshold-he/keying.ts';
import { PACKED_BYTES, profileOf } from '../../../aggregation/threshold-he/parameters.ts';
import { type Polynomial, zero } from '../../../aggregation/threshold-he/polynomial.ts';
import { tenantRound } from '../../../aggregation/threshold-he/round.ts';
import type { Noised } from '../../../privacy/steps.ts';
import { type AllSaid, askEach, heardBy, names, received } from '../../contracts/secure-sum-driver.ts';

/**
 * An epoch whose every secret the test holds, so that it can give an attacker exactly what it may have, and check
 * against the truth. The code that runs is the real one.
 */
export interface Insiders {
  readonly shape: SumShape;
  readonly members: readonly TenantId[];
  readonly keys: ReadonlyMap<TenantId, EpochKeys>;
  readonly coordinator: CoordinatorEpoch;
  rounds(transcript?: Uint8Array): Map<TenantId, TenantRound>;
}

/** Changes what was said on its way; the recipient is undefined for what everyone reads. */
export type Tamper = (stage: 'announce' | 'deal' | 'confirm', said: AllSaid, recipient: TenantId) => AllSaid;

export interface Options {
  readonly dimension?: number;
  readonly maxMagnitude?: number;
  /** the threshold when left out */
  readonly minCohort?: number;
  readonly colluders?: number;
  /** with ML-KEM also in the smaller ring */
  readonly keyAgreement?: KeyAgreement;
  readonly tamper?: Tamper;
  /** for members that compute with other kernels than the process's */
  readonly kernelsOf?: (me: TenantId) => Kernels | undefined;
}

export async function insiders(
  tenants: number,
  threshold: number,
  {
    dimension = 4,
    maxMagnitude = 2 ** 46,
    minCohort = threshold,
    colluders = 0,
    keyAgreement = 'x25519',
    tamper = (_, said) => said,
    kernelsOf,
  }: Options = {},
): Promise<Insiders> {
  const shape: SumShape = { dimension, tenants, threshold, minCohort, colluders, keyAgreement, maxMagnitude };
  const members = names(tenants);
  const transcript = new Uint8Array(randomBytes(32));
  const context = (me: TenantId): EpochContext => ({ shape, members, me, transcript });
  const profile = profileOf(shape);
  const tools = await arithmetic(profile);
  const toolsOf = (me: TenantId): Arithmetic => {
    const kernels = kernelsOf?.(me);
    return kernels ? { ...tools, ...kernelsFor(profile, kernels) } : tools;
  };
  const each = new Map(members.map((me) => [me, keying(context(me), toolsOf(me))]));

  const answer = (said: (name: TenantId) => Said) => askEach(members, async (name) => said(name));
  const announced = await answer((name) => each.get(name)!.announce(new Map()));
  const hears = (stage: Parameters<Tamper>[0], said: AllSaid, name: TenantId): HeardAll =>
    heardBy(name, tamper(stage, said, name));
  const dealt = await answer((name) => each.get(name)!.deal(hears('announce', announced, name)));
  const confirmed = await answer((name) => each.get(name)!.confirm(hears('deal', dealt, name)));
  const keys = new Map(members.map((name) => [name, each.get(name)!.finish(hears('confirm', confirmed, name))]));

  const coordinator = coordinatorEpoch({ shape, members, transcript }, tools);
  await coordinator.keyed(received(confirmed));
  return {
    shape,
    members,
    keys,
    coordinator,
    rounds(roundTranscript = new Uint8Array(randomBytes(32))) {
      const parts = (me: TenantId) => ({ context: context(me), arithmetic: toolsOf(me), keys: keys.get(me)! });
      const rest = { transcript: roundTranscript, spend: () => {} };
      return new Map(members.map((me) => [me, tenantRound({ ...parts(me), ...rest })]));
    },
  };
}

/** What the cohort says when it is ready. */
export async function readyOf(
  rounds: ReadonlyMap<TenantId, TenantRound>,
  cohort: readonly TenantId[],
): Promise<HeardAll> {
  return asHeard(received(await askEach(cohort, (name) => rounds.get(name)!.prepare(0, new Map()))));
}

/** Honest contributions of everyone in `vectors`. */
export async function contributionsOf(
  rounds: ReadonlyMap<TenantId, TenantRound>,
  vectors: ReadonlyMap<TenantId, Noised>,
): Promise<Map<TenantId, Received>> {
  const cohort = [...vectors.keys()];
  const ready = await readyOf(rounds, cohort);
  return received(await askEach(cohort, (name) => rounds.get(name)!.contribute(vectors.get(name)!, ready)));
}

export async function sharesOf(
  rounds: ReadonlyMap<TenantId, TenantRound>,
  contributions: ReceivedAll,
  openers: readonly TenantId[],
): Promise<Map<TenantId, Received>> {
  const shown = asHeard(contributions);
  return received(await askEach(openers, (name) => rounds.get(name)!.open(shown, openers)));
}

/** A copy of the vector that this tenant's answer brought. */
export const bytesOf = ({ vector }: Received): Uint8Array => Uint8Array.from(vector!.read(0, vector!.length));

/** The `index`-th polynomial of it. */
export const polynomialOf = ({ vector }: Received, index = 0): Polynomial =>
  ring.unpack(vector!.read(index * PACKED_BYTES, (index + 1) * PACKED_BYTES))!;

/** The ring itself, and sums and products as values. */
export const { heRing: ring } = await loadKernels();
export function product(a: Polynomial, b: Polynomial): Polynomial {
  const out = zero();
  ring.multiplyAdd(out, a, b);
  return out;
}
export function total(polynomials: Iterable<Polynomial>): Polynomial {
  const out = zero();
  for (const one of polynomials) ring.add(out, one);
  return out;
}
export function coefficientsOf(values: Polynomial): Polynomial {
  const out = values.slice();
  ring.fromNtt(out);
  return out;
}

/** For a phase of the message 0, what it holds beside it: phase / t in every coefficient. */
export function noiseOf(phase: Polynomial): bigint[] {
  const coefficients = coefficientsOf(phase);
  const [q0, q1] = HE_RING.primes.map(({ value }) => value) as [bigint, bigint];
  const inverse = power(q0 % q1, q1 - 2n, q1);
  const at = (prime: number, i: number): bigint => {
    const word = 2 * (prime * DEGREE + i);
    return BigInt(coefficients[word]!) | (BigInt(coefficients[word + 1]!) << 32n);
  };
  return Array.from({ length: DEGREE }, (_, i) => {
    const value = at(0, i) + q0 * (((at(1, i) - at(0, i) + q1) * inverse) % q1);
    return (value > (q0 * q1) / 2n ? value - q0 * q1 : value) / BigInt(SLOT_MODULUS);
  });
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (let b = base, e = exponent; e > 0n; e >>= 1n) {
    if (e & 1n) result = (result * b) % modulus;
    b = (b * b) % modulus;
  }
  return result;
}
