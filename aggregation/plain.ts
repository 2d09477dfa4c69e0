import {
  type CoordinatorEpoch,
  type EpochContext,
  type HeardAll,
  ProtocolBroken,
  type Said,
  type Sealed,
  type SecureSum,
  type TenantEpoch,
} from './secure-sum.ts';
import { asHeard, stretches, vectorOf } from './stored-vector.ts';
import { digest } from './transcript.ts';

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
  opening: () => ({ needed: 0, among: 0 }),
  openingsPerEpoch: () => Number.POSITIVE_INFINITY,
  vectorBytes: (_stage, { dimension }) => 8 * dimension,
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
        return { open: NOTHING, sealed: new Map(), vector: write(values) } as Said as Sealed;
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
  const length = 8 * shape.dimension;
  return {
    async keyed() {},
    malformed(_stage, { open, sealed, vector }) {
      if (vector?.length !== length) return `expected a vector of ${length} bytes, got ${vector?.length ?? 'none'}`;
      if (open.length + sealed.size > 0) return 'plain says nothing but its vector';
      const bad = [...stretches(length, STRETCH)].some(
        ({ from, to }) => !read(vector.read(from, to)).every(Number.isSafeInteger),
      );
      return bad ? 'a coordinate is no integer within ±2^53' : undefined;
    },
    openers: () => [],
    sumHash: async (contributions) => sumHashOf(asHeard(contributions)),
    async open(contributions) {
      const sum = new Float64Array(shape.dimension);
      for (const [name, received] of contributions) {
        if (!members.includes(name)) throw new ProtocolBroken('contributed and is no member', name);
        const vector = vectorOf(received, length, name);
        for (const { from, to } of stretches(length, STRETCH)) {
          const values = read(vector.read(from, to));
          for (let i = 0; i < values.length; i++) sum[from / 8 + i]! += values[i]!;
        }
      }
      if (!sum.every((value) => Math.abs(value) <= shape.maxMagnitude)) {
        throw new ProtocolBroken('the sum is larger than the plan allows');
      }
      return sum;
    },
    forget() {},
  };
}

const NOTHING = new Uint8Array(0);
/** Bytes looked at at a time. */
const STRETCH = 2 ** 20;

function sumHashOf(contributions: HeardAll): Uint8Array {
  const leaves = [...contributions].sort(([a], [b]) => (a < b ? -1 : 1));
  return digest('parley/plain/sum/v1', ...leaves.flatMap(([name, { vectorHash }]) => [name, vectorHash ?? NOTHING]));
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
