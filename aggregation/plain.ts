import {
  type CoordinatorEpoch,
  type EpochContext,
  type HeardAll,
  ProtocolBroken,
  type Said,
  type Sealed,
  type SecureSum,
  type Stage,
  type TenantEpoch,
} from './secure-sum.ts';
import { digest, sha256 } from './transcript.ts';

/**
 * Sums in the clear: the coordinator reads every vector. For tests, and for simulations that say so in their output.
 *
 * Wire format: little-endian doubles holding integers, so the same bytes on every machine.
 */
export const plain: SecureSum = {
  name: 'plain',
  mostMembers: 200,
  keying: [],
  summing: [{ name: 'contribute', gate: 'contribute', answers: 'enough', attempts: 0 }],
  budget: ({ maxMagnitude }) => ({
    needed: Math.log2(2 * maxMagnitude + 1),
    available: Math.log2(2 * Number.MAX_SAFE_INTEGER + 1),
    explanation: `sums up to ±${maxMagnitude} must be exact in doubles, up to ±${Number.MAX_SAFE_INTEGER}`,
  }),
  bytesPerRound: ({ dimension }) => 8 * dimension,
  tenant: async (context) => tenantEpoch(context),
  coordinator: async (context) => coordinatorEpoch(context),
};

function tenantEpoch({ shape }: EpochContext): TenantEpoch {
  const noStage = () => new RangeError('plain has no such stage');
  return {
    async key() {
      throw noStage();
    },
    async keyed() {},
    round: () => ({
      async prepare() {
        throw noStage();
      },
      async contribute(values) {
        if (values.length !== shape.dimension) {
          throw new RangeError(`expected ${shape.dimension} coordinates, got ${values.length}`);
        }
        const bad = values.findIndex((value) => !Number.isSafeInteger(value));
        if (bad >= 0) throw new RangeError(`coordinate ${bad} is not an integer within ±2^53`);
        return { open: write(values), sealed: new Map() } as Said as Sealed;
      },
      sumHash: async (contributions) => sumHashOf(contributions),
      async agree() {
        throw noStage();
      },
      async open() {
        throw noStage();
      },
    }),
    forget() {},
  };
}

function coordinatorEpoch({ shape, members }: Omit<EpochContext, 'me'>): CoordinatorEpoch {
  return {
    async keyed() {},
    malformed(_stage: Stage, said: Said) {
      if (said.open.length !== 8 * shape.dimension)
        return `expected ${8 * shape.dimension} bytes, got ${said.open.length}`;
      if (said.sealed.size > 0) return 'plain seals nothing';
      return read(said.open).every(Number.isSafeInteger) ? undefined : 'a coordinate is no integer within ±2^53';
    },
    openers: () => [],
    sumHash: async (contributions) => sumHashOf(contributions),
    async open(contributions) {
      const sum = new Float64Array(shape.dimension);
      for (const [name, { open }] of contributions) {
        if (!members.includes(name)) throw new ProtocolBroken('contributed and is no member', name);
        if (open.length !== 8 * shape.dimension) throw new ProtocolBroken('contributed the wrong length', name);
        const vector = read(open);
        for (let i = 0; i < sum.length; i++) sum[i]! += vector[i]!;
      }
      if (!sum.every((value) => Math.abs(value) <= shape.maxMagnitude)) {
        throw new ProtocolBroken('the sum is larger than the plan allows');
      }
      return sum;
    },
    forget() {},
  };
}

function sumHashOf(contributions: HeardAll): Uint8Array {
  const leaves = [...contributions.keys()].sort().flatMap((name) => [name, sha256(contributions.get(name)!.open)]);
  return digest('parley/plain/sum/v1', ...leaves);
}

function write(values: Float64Array): Uint8Array {
  const bytes = new Uint8Array(8 * values.length);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) view.setFloat64(8 * i, values[i]!, true);
  return bytes;
}

function read(bytes: Uint8Array): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float64Array.from({ length: bytes.length / 8 }, (_, i) => view.getFloat64(8 * i, true));
}
