import type { MainModule } from 'node-seal/allows';
import { MASK_RING } from '../../../aggregation/kernels/rings.ts';

/**
 * The ring of the lattice mask in Microsoft SEAL, for comparison: two contexts of two primes each, since SEAL keeps the
 * last prime of more than two for itself. In these a plaintext modulus above the first prime leaves it no second level.
 *
 * Polynomials are as in `RingKernels`. SEAL counts primes of the same size upwards, we downwards.
 */
export interface SealRings {
  /** coefficients to NTT form */
  toNtt(polynomial: Uint32Array): Uint32Array;
  fromNtt(polynomial: Uint32Array): Uint32Array;
  /** the product of two in NTT form */
  multiply(a: Uint32Array, b: Uint32Array): Uint32Array;
}

const DEGREE = 4096;
const CIPHERTEXT_HEADER = 113;
const NTT_FLAG = 48;
const PLAINTEXT_HEADER = 88;

export async function sealRings(): Promise<SealRings> {
  const seal = await import('node-seal/allows').then((module) => module.initialize());
  const pairs = [
    { bits: [27, 27], ours: [1, 0], ring: pairOf(seal, [27, 27], [1, 0]) },
    { bits: [26, 26], ours: [3, 2], ring: pairOf(seal, [26, 26], [3, 2]) },
  ];
  const onEach = (work: (ring: Pair, ...parts: Uint8Array[]) => Uint8Array, ...polynomials: Uint32Array[]) => {
    const out = new Uint32Array(4 * DEGREE);
    for (const { ours, ring } of pairs) {
      const wide = work(ring, ...polynomials.map((polynomial) => widened(polynomial, ours)));
      const words = new Uint32Array(new Uint8Array(wide).buffer);
      for (const [i, prime] of ours.entries())
        for (let k = 0; k < DEGREE; k++) out[prime * DEGREE + k] = words[2 * (i * DEGREE + k)]!;
    }
    return out;
  };
  return {
    toNtt: (polynomial) => onEach((ring, one) => ring.toNtt(one), polynomial),
    fromNtt: (polynomial) => onEach((ring, one) => ring.fromNtt(one), polynomial),
    multiply: (a, b) => onEach((ring, one, other) => ring.multiply(one, other!), a, b),
  };
}

interface Pair {
  toNtt(body: Uint8Array): Uint8Array;
  fromNtt(body: Uint8Array): Uint8Array;
  multiply(a: Uint8Array, b: Uint8Array): Uint8Array;
}

/** Residues of two of the primes as the 64-bit words that SEAL reads. */
function widened(polynomial: Uint32Array, primes: readonly number[]): Uint8Array {
  const words = new Uint32Array(2 * primes.length * DEGREE);
  for (const [i, prime] of primes.entries())
    for (let k = 0; k < DEGREE; k++) words[2 * (i * DEGREE + k)] = polynomial[prime * DEGREE + k]!;
  return new Uint8Array(words.buffer);
}

function pairOf(seal: MainModule, bits: readonly number[], ours: readonly number[]): Pair {
  const parameters = new seal.EncryptionParameters(seal.SchemeType.bgv);
  const primes = seal.CoeffModulus.Create(DEGREE, Int32Array.from(bits));
  for (const [i, prime] of ours.entries())
    if (primes.get(i)?.value() !== MASK_RING.primes[prime]!.value) throw new Error('SEAL has other primes');
  parameters.setPolyModulusDegree(DEGREE);
  parameters.setCoeffModulus(primes);
  parameters.setPlainModulus(seal.PlainModulus.Batching(DEGREE, 30));
  const context = new seal.SEALContext(parameters, false, seal.SecLevelType.tc128);
  const generator = new seal.KeyGenerator(context);
  const evaluator = new seal.Evaluator(context);
  const ciphertext = new seal.Ciphertext();
  const factor = new seal.Plaintext();
  const bodyBytes = 8 * bits.length * DEGREE;
  // serialized objects that SEAL made itself, to put polynomials into
  const [cipherBytes, plainBytes]: Uint8Array[] = [
    generator.createPublicKey().saveToArray(seal.ComprModeType.none),
    generator.secretKey().saveToArray(seal.ComprModeType.none),
  ];
  cipherBytes!.fill(0, CIPHERTEXT_HEADER);
  const load = (body: Uint8Array, ntt: boolean): void => {
    cipherBytes!.set(body, CIPHERTEXT_HEADER);
    cipherBytes![NTT_FLAG] = Number(ntt); // SEAL's loader of BGV ciphertexts transforms what is not
    ciphertext.loadFromArray(context, cipherBytes!);
  };
  const save = (): Uint8Array =>
    ciphertext.saveToArray(seal.ComprModeType.none).slice(CIPHERTEXT_HEADER, CIPHERTEXT_HEADER + bodyBytes);
  return {
    toNtt(body) {
      load(body, false);
      return save();
    },
    fromNtt(body) {
      load(body, true);
      evaluator.cipherTransformFromNttInplace(ciphertext);
      return save();
    },
    multiply(a, b) {
      load(a, true);
      plainBytes!.set(b, PLAINTEXT_HEADER);
      factor.loadFromArray(context, plainBytes!);
      evaluator.multiplyPlainInplace(ciphertext, factor);
      return save();
    },
  };
}
