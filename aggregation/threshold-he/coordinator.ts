import { keyAgreementOf, offerBytes, publicKeyBytes } from '../pair-key.ts';
import {
  type CoordinatorEpoch,
  type EpochContext,
  ProtocolBroken,
  type Received,
  type Stage,
  type TenantId,
} from '../secure-sum.ts';
import { asHeard, vectorOf } from '../stored-vector.ts';
import type { Arithmetic } from './arithmetic.ts';
import { committeeFor, committeeOf } from './committee.ts';
import { gather, HEADER_BYTES, NONCE_BYTES, sumHashOf } from './contribution.ts';
import { dealtBytes } from './keying.ts';
import { layoutOf } from './layout.ts';
import { arePolynomials, openedSum } from './opening.ts';

/** The coordinator's side of one epoch: it relays, adds, and decodes what the openers' shares leave. */
export function coordinatorEpoch(context: Omit<EpochContext, 'me'>, arithmetic: Arithmetic): CoordinatorEpoch {
  const { shape } = context;
  const layout = layoutOf(shape);
  const { needed } = committeeFor(shape);
  let keyed: Keyed | undefined;
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
      keyed = { members, identity, committee: committeeOf(members, shape, identity) };
    },

    malformed: (stage, said) => malformed(stage, said, context, arithmetic),

    openers(present) {
      const able = epoch().committee.filter((name) => present.includes(name));
      return able.length < needed ? [] : able.slice(0, needed);
    },

    async sumHash(contributions) {
      const { members, identity } = epoch();
      const heard = asHeard(contributions);
      return sumHashOf(identity, gather(heard, members), heard);
    },

    async open(contributions, shares) {
      const { members } = epoch();
      gather(asHeard(contributions), members);
      if (shares.size !== needed) throw new ProtocolBroken(`${needed} shares open the sum, got ${shares.size}`);
      const said = [...contributions, ...shares].map(
        ([name, one]) => [name, vectorOf(one, layout.bytes, name)] as const,
      );
      const sum = await openedSum(arithmetic, said, layout, shape.dimension);
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

interface Keyed {
  readonly members: readonly TenantId[];
  readonly identity: Uint8Array;
  readonly committee: readonly TenantId[];
}

function malformed(
  stage: Stage,
  said: Received,
  { shape, members }: Omit<EpochContext, 'me'>,
  { ring }: Arithmetic,
): string | undefined {
  const kind = keyAgreementOf(shape);
  const announced = publicKeyBytes(kind);
  const expected = {
    announce: announced,
    deal: 0,
    confirm: 32,
    ready: NONCE_BYTES,
    contribute: HEADER_BYTES,
    share: 0,
  }[stage.name];
  if (expected === undefined) return `there is no stage ${stage.name}`;
  const { open, sealed, vector } = said;
  if (open.length !== expected) return `${stage.name} is ${expected} bytes, got ${open.length}`;
  if (stage.name !== 'deal' && sealed.size > 0) return `${stage.name} seals nothing`;
  const letters = [offerBytes(kind), offerBytes(kind) + dealtBytes(ring.ring)] as const;
  for (const [to, { length }] of sealed) {
    if (!members.includes(to)) return `${to} is no member`;
    if (length === 0 || !letters.includes(length)) return `a dealt share is ${letters[1]} bytes, got ${length}`;
  }
  const shares = [...sealed].filter(([, { length }]) => length === letters[1]).length;
  const { among } = committeeFor(shape);
  if (shares > among) return `${shares} shares were dealt, ${among} tenants hold any`;
  const hasVector = stage.name === 'contribute' || stage.name === 'share';
  const length = hasVector ? layoutOf(shape).bytes : undefined;
  if (vector?.length !== length) return `expected a vector of ${length ?? 'no'} bytes, got ${vector?.length ?? 'none'}`;
  if (vector && !arePolynomials(ring, vector)) return `a residue of ${stage.name} is not below its prime`;
  return undefined;
}
