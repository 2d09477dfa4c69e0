import type { MainModule, SEALContext } from 'node-seal/allows';
import { DEGREE, POLYNOMIAL_WORDS } from '../kernels/rings.ts';
import type { Profile } from './parameters.ts';
import type { Polynomial } from './polynomial.ts';

/**
 * The one place that touches node-seal 7 (Microsoft SEAL 4.1.2 in WebAssembly).
 *
 * SEAL draws secrets and errors, encodes, decrypts and decodes. Polynomials go in and out as the bodies of serialized
 * objects whose headers are ours, taken from objects SEAL itself made at the start:
 *
 *   ciphertext  113 bytes, of which byte 48 says "in NTT form"; then two polynomials
 *   plaintext    88 bytes; then one polynomial. A secret key has the same layout.
 *
 * So SEAL never parses a header from a network (its hardened parser came with 4.4.0), and residues reach it only
 * through kernels that check each. The `allows` build is the one that accepts a zero second polynomial.
 *
 * node-seal 7 has no finalizers and WebAssembly memory never shrinks: the objects here are made once for the
 * process and used again.
 */
export interface Seal {
  /** A fresh ternary secret, in NTT form. */
  secretKey(): Polynomial;
  /**
   * m − t·e with fresh e, in NTT form: the first half of a BGV ciphertext under the key 0. Nothing but noise hides m
   * in it; `own-key.ts` adds the product that does.
   *
   * @param slots - 4096 integers in [0, t)
   */
  withError(slots: Float64Array): Polynomial;
  /** What the slots of a phase m + t·e hold: integers in [0, t). @param phase - in NTT form */
  decode(phase: Polynomial): Float64Array;
}

const CIPHERTEXT_HEADER = 113;
const NTT_FLAG = 48;
const PLAINTEXT_HEADER = 88;
const POLYNOMIAL_BYTES = 4 * POLYNOMIAL_WORDS;

const shared = new Map<Profile, Promise<Seal>>();
let module: Promise<MainModule> | undefined;

/** SEAL, started once for the process and each profile. @throws Error when it does not run here or its parameters are not ours */
export function startSeal(profile: Profile): Promise<Seal> {
  const running = shared.get(profile);
  if (running) return running;
  module ??= import('node-seal/allows').then((seal) => seal.initialize());
  const started = module
    .then((seal) => guard(() => start(seal, profile)))
    .catch((cause) => {
      shared.delete(profile);
      module = undefined;
      throw new Error('node-seal does not start; it needs Node 22.18 or newer on a little-endian machine', { cause });
    });
  shared.set(profile, started);
  return started;
}

function start(seal: MainModule, profile: Profile): Seal {
  if (new Uint8Array(Uint32Array.of(1).buffer)[0] !== 1) throw new Error('this machine is big-endian');
  const context = makeContext(seal, profile);
  const { zeroKey, encryptor, ciphertextBytes } = makeObjects(seal, context);
  const encoder = new seal.BatchEncoder(context);
  // BGV decryption of (phase, 0) is "centre modulo q, then modulo t" under whatever key
  const decryptor = new seal.Decryptor(context, zeroKey);
  const ciphertext = new seal.Ciphertext();
  const plaintext = new seal.Plaintext();
  const body = ciphertextBytes.subarray(CIPHERTEXT_HEADER, CIPHERTEXT_HEADER + POLYNOMIAL_BYTES);

  return {
    secretKey: () =>
      guard(() => {
        const generator = new seal.KeyGenerator(context);
        const key = generator.secretKey();
        const secret = bodyOf(key.saveToArray(seal.ComprModeType.none), PLAINTEXT_HEADER);
        for (const one of [key, generator]) one.delete();
        return secret;
      }),
    withError: (slots) =>
      guard(() => {
        encoder.encode(words64(slots), plaintext);
        encryptor.encryptSymmetric(plaintext, ciphertext); // (m − t·e, something uniform that nobody needs)
        return bodyOf(ciphertext.saveToArray(seal.ComprModeType.none), CIPHERTEXT_HEADER);
      }),
    decode: (phase) =>
      guard(() => {
        body.set(bytesOf(phase));
        ciphertext.loadFromArray(context, ciphertextBytes);
        body.fill(0);
        decryptor.decrypt(ciphertext, plaintext);
        return doubles(encoder.decodeBigUint64(plaintext));
      }),
  };
}

function makeContext(seal: MainModule, { ring, slots }: Profile): SEALContext {
  const parameters = new seal.EncryptionParameters(seal.SchemeType.bgv);
  const bits = ring.primes.map((prime) => prime.bits);
  const primes = seal.CoeffModulus.Create(DEGREE, Int32Array.from(bits));
  parameters.setPolyModulusDegree(DEGREE);
  parameters.setCoeffModulus(primes);
  parameters.setPlainModulus(seal.PlainModulus.Batching(DEGREE, slots.bits));
  const context = new seal.SEALContext(parameters, false, seal.SecLevelType.tc128);
  const same =
    context.parametersSet() &&
    ring.primes.every((prime, i) => primes.get(i)?.value() === prime.value) &&
    parameters.plainModulus().value() === BigInt(slots.value);
  if (!same) throw new Error('SEAL chose other primes than kernels/rings.ts states');
  return context;
}

/** The key 0, an encryptor under it, and a serialized ciphertext to put polynomials into. */
function makeObjects(seal: MainModule, context: SEALContext) {
  const generator = new seal.KeyGenerator(context);
  const zeroKey = generator.secretKey(); // until it is overwritten below
  const publicKey = generator.createPublicKey(); // the encryptor's constructor wants one
  const key: Uint8Array = zeroKey.saveToArray(seal.ComprModeType.none);
  const ciphertextBytes: Uint8Array = publicKey.saveToArray(seal.ComprModeType.none);
  if (ciphertextBytes.length !== CIPHERTEXT_HEADER + 2 * POLYNOMIAL_BYTES || ciphertextBytes[NTT_FLAG] !== 1) {
    throw new Error('SEAL writes ciphertexts in another layout than expected');
  }
  if (key.length !== PLAINTEXT_HEADER + POLYNOMIAL_BYTES) {
    throw new Error('SEAL writes keys in another layout than expected');
  }
  zeroKey.loadFromArray(context, key.fill(0, PLAINTEXT_HEADER));
  ciphertextBytes.fill(0, CIPHERTEXT_HEADER);
  const encryptor = new seal.Encryptor(context, publicKey, zeroKey);
  for (const one of [generator, publicKey]) one.delete();
  return { zeroKey, encryptor, ciphertextBytes };
}

/** A copy of the first polynomial behind a header; the serialized object is overwritten. */
function bodyOf(serialized: Uint8Array, header: number): Polynomial {
  const polynomial = new Uint8Array(serialized.subarray(header, header + POLYNOMIAL_BYTES));
  serialized.fill(0);
  return new Uint32Array(polynomial.buffer);
}

const bytesOf = (polynomial: Polynomial): Uint8Array =>
  new Uint8Array(polynomial.buffer, polynomial.byteOffset, polynomial.byteLength);

/** Doubles in [0, 2^53) as 64-bit words. SEAL accepts values ≥ t silently; callers are below. */
function words64(slots: Float64Array): BigUint64Array {
  const words = new Uint32Array(2 * slots.length);
  for (let i = 0; i < slots.length; i++) {
    const high = Math.floor(slots[i]! / 0x100000000);
    words[2 * i + 1] = high;
    words[2 * i] = slots[i]! - high * 0x100000000;
  }
  return new BigUint64Array(words.buffer);
}

function doubles(slots: BigUint64Array): Float64Array {
  const words = new Uint32Array(slots.buffer, slots.byteOffset, 2 * slots.length);
  const out = new Float64Array(slots.length);
  for (let i = 0; i < out.length; i++) out[i] = words[2 * i]! + words[2 * i + 1]! * 0x100000000;
  return out;
}

/** WebAssembly exceptions are no Errors and say "std::logic_error,text": turns them into ones that are. */
function guard<T>(work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof Error && thrown.constructor !== Object && !('getArg' in thrown)) throw thrown;
    const said = (thrown as { message?: unknown } | undefined)?.message;
    throw new Error(`SEAL: ${Array.isArray(said) ? said.join(' ') : String(said ?? thrown)}`);
  }
}
