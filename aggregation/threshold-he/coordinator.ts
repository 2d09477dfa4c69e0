import {
  type CoordinatorEpoch,
  type EpochContext,
  ProtocolBroken,
  type Received,
  type Stage,
  type StoredVector,
  type TenantId,
} from '../secure-sum.ts';
import { asHeard, stretches, vectorOf } from '../stored-vector.ts';
import { gather, HEADER_BYTES, NONCE_BYTES, packedVectorBytes, sumHashOf } from './contribution.ts';
import { DEALT_BYTES } from './keying.ts';
import { DEGREE, PACKED_BYTES, PRIMES, polynomials } from './parameters.ts';
import { addInto, noResidues, type Residues, unpack } from './residues.ts';
import type { Bgv } from './seal.ts';

/** The coordinator's side of one epoch: it relays, adds, and decodes what the openers' shares leave. */
export function coordinatorEpoch(context: Omit<EpochContext, 'me'>, bgv: Bgv): CoordinatorEpoch {
  const { shape } = context;
  let keyed: { readonly members: readonly TenantId[]; readonly identity: Uint8Array } | undefined;
  const epoch = () => {
    if (keyed === undefined) throw new RangeError('this epoch has no keys');
    return keyed;
  };

  return {
    async keyed(heard) {
      const members = [...heard.keys()].sort();
      const identity = heard.get(members[0] ?? '')?.open;
      if (identity === undefined || members.length < shape.threshold) {
        throw new ProtocolBroken(`${members.length} members confirmed, ${shape.threshold} are needed to open`);
      }
      for (const [from, { open }] of heard) {
        if (open.length !== 32 || Buffer.compare(open, identity) !== 0) {
          throw new ProtocolBroken('confirmed other keys than the rest', from);
        }
      }
      keyed = { members, identity };
    },

    malformed: (stage, said) => malformed(stage, said, context),

    openers(present) {
      const able = epoch().members.filter((name) => present.includes(name));
      return able.length < shape.threshold ? [] : able.slice(0, shape.threshold);
    },

    async sumHash(contributions) {
      const { members, identity } = epoch();
      const heard = asHeard(contributions);
      return sumHashOf(identity, gather(heard, members), heard);
    },

    async open(contributions, shares) {
      const { members } = epoch();
      gather(asHeard(contributions), members);
      if (shares.size !== shape.threshold) {
        throw new ProtocolBroken(`${shape.threshold} shares open the sum, got ${shares.size}`);
      }
      const length = packedVectorBytes(shape.dimension);
      const sum = new Float64Array(shape.dimension);
      for (let k = 0; k < polynomials(shape.dimension); k++) {
        const phase = noResidues();
        for (const [name, one] of [...contributions, ...shares]) addPolynomial(phase, vectorOf(one, length, name), k, name);
        if (!isSmall(bgv.fromNtt(phase))) throw new ProtocolBroken('the shares do not open this sum');
        sum.set(bgv.decode(phase).subarray(0, shape.dimension - k * DEGREE), k * DEGREE);
      }
      if (sum.some((value) => Math.abs(value) > shape.maxMagnitude)) {
        throw new ProtocolBroken('the sum is larger than the plan allows');
      }
      return sum;
    },

    forget() {
      keyed = undefined;
    },
  };
}

function addPolynomial(sum: Residues, vector: StoredVector, k: number, from: TenantId): void {
  const polynomial = unpack(vector.read(k * PACKED_BYTES, (k + 1) * PACKED_BYTES));
  if (polynomial === undefined) throw new ProtocolBroken('sent no polynomial modulo q', from);
  addInto(sum, polynomial);
}

/**
 * Does this phase decode? With the right shares it is below t·2^54 < q/8: flooding of 64 openers at eight standard
 * deviations, everything else far less. With wrong ones it is uniform modulo q and a coefficient passes with
 * probability 1/4; looked at are 128 of them, so garbage passes with 2^−256.
 */
function isSmall(coefficients: Residues): boolean {
  const [q0, q1] = [PRIMES[0].value, PRIMES[1].value];
  const q = q0 * q1;
  const residue = (prime: number, i: number): bigint => {
    const at = 2 * (prime * DEGREE + i);
    return BigInt(coefficients[at]!) | (BigInt(coefficients[at + 1]!) << 32n);
  };
  for (let i = 0; i < 128; i++) {
    const first = residue(0, i);
    const more = ((residue(1, i) - first + q1) * Q0_INVERSE) % q1; // Garner: first + q₀·more
    const value = first + q0 * more;
    if (value > q / 8n && value < q - q / 8n) return false;
  }
  return true;
}

/** q₀⁻¹ modulo q₁. */
const Q0_INVERSE: bigint = (() => {
  const modulus = PRIMES[1].value;
  let result = 1n;
  let base = PRIMES[0].value % modulus;
  for (let exponent = modulus - 2n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = (result * base) % modulus;
    base = (base * base) % modulus;
  }
  return result;
})();

function malformed(stage: Stage, said: Received, { shape, members }: Omit<EpochContext, 'me'>): string | undefined {
  const expected = { announce: 32, deal: 0, confirm: 32, ready: NONCE_BYTES, contribute: HEADER_BYTES, share: 0 }[
    stage.name
  ];
  if (expected === undefined) return `there is no stage ${stage.name}`;
  const { open, sealed, vector } = said;
  if (open.length !== expected) return `${stage.name} is ${expected} bytes, got ${open.length}`;
  if (stage.name !== 'deal' && sealed.size > 0) return `${stage.name} seals nothing`;
  for (const [to, bytes] of sealed) {
    if (!members.includes(to)) return `${to} is no member`;
    if (bytes.length !== DEALT_BYTES) return `a dealt share is ${DEALT_BYTES} bytes, got ${bytes.length}`;
  }
  const hasVector = stage.name === 'contribute' || stage.name === 'share';
  const length = hasVector ? packedVectorBytes(shape.dimension) : undefined;
  if (vector?.length !== length) return `expected a vector of ${length ?? 'no'} bytes, got ${vector?.length ?? 'none'}`;
  for (const { from, to } of stretches(length ?? 0, PACKED_BYTES))
    if (!unpack(vector!.read(from, to))) return `a residue of ${stage.name} is not below its prime`;
  return undefined;
}
