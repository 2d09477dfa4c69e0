import { randomBytes } from 'node:crypto';
import { loadKernels } from '../../../aggregation/kernels/load-kernels.ts';
import { POLYNOMIAL_WORDS, packedBytes } from '../../../aggregation/kernels/rings.ts';
import { keyStream } from '../../../aggregation/key-stream.ts';
import { decryptSum } from '../../../aggregation/lattice-mask/decrypt-sum.ts';
import { KEY_BYTES, lanesFor } from '../../../aggregation/lattice-mask/parameters.ts';
import { addAll, maskAll, ringBytes, ringFor } from '../../../aggregation/masking/ring.ts';
import { neighbourhood } from '../../../aggregation/neighbours.ts';
import type { ReceivedAll, SecureSumName, StoredVector, SumShape } from '../../../aggregation/secure-sum.ts';
import { layoutOf } from '../../../aggregation/threshold-he/layout.ts';
import { cpuMs } from './conversation.ts';

const kernels = await loadKernels();

/** Milliseconds of a client's masks alone, the key streams among them. */
export async function masksMs(protocol: SecureSumName, shape: SumShape): Promise<number> {
  const { degree } = neighbourhood(shape.tenants, shape);
  const keys = Array.from({ length: degree + 1 }, (_, i) => ({ key: randomBytes(16), sign: i % 2 ? 1 : -1 }) as const);
  if (protocol === 'threshold-he') {
    const slots = new Float64Array(layoutOf(shape).slots);
    const pairs = keys.slice(1).map(({ key, sign }) => ({ stream: keyStream(key), adds: sign === 1 }));
    return timed(() => kernels.slots.mask(slots, pairs));
  }
  const bits = protocol === 'masking' ? ringFor(shape.maxMagnitude)! : 32;
  const vector = new Uint8Array(protocol === 'masking' ? ringBytes(bits, shape.dimension) : KEY_BYTES);
  return timed(() => maskAll(kernels.words, bits, vector, keys));
}

/** Milliseconds for each further contribution that is added to a sum. */
export async function addMs(protocol: SecureSumName, shape: SumShape, contributions: ReceivedAll): Promise<number> {
  const vectors = new Map([...contributions].slice(0, 33).map(([name, { vector }]) => [name, vector!] as const));
  const one = new Map([...vectors].slice(0, 1));
  const add = (some: ReadonlyMap<string, StoredVector>): Promise<number> => timed(() => adding(protocol, shape, some));
  await add(vectors);
  return Math.max(0, (await add(vectors)) - (await add(one))) / (vectors.size - 1);
}

async function adding(
  protocol: SecureSumName,
  shape: SumShape,
  vectors: ReadonlyMap<string, StoredVector>,
): Promise<void> {
  if (protocol === 'masking') {
    const bits = ringFor(shape.maxMagnitude)!;
    await addAll(kernels.words, bits, vectors.values(), ringBytes(bits, shape.dimension));
  } else if (protocol === 'lattice-mask') {
    const { dimension, maxMagnitude } = shape;
    const sum = { bits: lanesFor(maxMagnitude)!, dimension, occasion: randomBytes(32), from: KEY_BYTES };
    await decryptSum(kernels, { ...sum, ciphertexts: vectors, keySum: new Float64Array(4096) });
  } else {
    const ring = kernels.heRing;
    const size = packedBytes(ring.ring);
    const phase = new Uint32Array(POLYNOMIAL_WORDS);
    for (const vector of vectors.values())
      for (let at = 0; at < vector.length; at += size) ring.addPacked(phase, [vector.read(at, at + size)]);
  }
}

async function timed(work: () => unknown): Promise<number> {
  const before = cpuMs();
  await work();
  return cpuMs() - before;
}
