import type { Ciphertext, MainModule, Plaintext, SEALContext } from 'node-seal/allows';
import { DEGREE, LANE, PLAIN_MODULUS, PRIMES } from './parameters.ts';
import { addInto, type Residues, subtractFrom, WORDS } from './residues.ts';

/**
 * The one place that touches node-seal 7 (Microsoft SEAL 4.1.2 in WebAssembly).
 *
 * SEAL samples secrets and errors, transforms, multiplies, encodes and decodes. Polynomials go in and out as the
 * bodies of serialized objects whose headers are ours, taken from objects SEAL itself made at the start:
 *
 *   ciphertext  113 bytes, of which byte 48 says "in NTT form"; then two polynomials
 *   plaintext    88 bytes; then one polynomial. A secret key has the same layout.
 *
 * So SEAL never parses a header from a network (its hardened parser came with 4.4.0), and residues reach it only
 * through `unpack`, which checks each. The `allows` build is the one that accepts a zero second polynomial.
 *
 * node-seal 7 has no finalizers and WebAssembly memory never shrinks: the objects here are made once for the
 * process and used again; those of an `OwnKey` live until `forget`.
 */
export interface Bgv {
  /** The product, both in NTT form. */
  multiply(a: Residues, b: Residues): Residues;
  /** Coefficients to NTT values. */
  toNtt(coefficients: Residues): Residues;
  /** NTT values to coefficients. */
  fromNtt(values: Residues): Residues;
  /** A fresh secret key of this tenant alone. */
  ownKey(): OwnKey;
  /** What the slots of a phase m + t·e hold, centred: integers within ±LANE. @param phase - in NTT form */
  decode(phase: Residues): Float64Array;
}

export interface OwnKey {
  /** s in NTT form. Whoever deals it overwrites it afterwards. */
  readonly secret: Residues;
  /**
   * m − (a·s + t·e) with fresh e, in NTT form: a BGV ciphertext's first half, its second half being `a`.
   * @param slots - integers in [0, t), at most 4096
   * @param a - uniform and used once, or two vectors encrypted under it show their difference
   */
  encrypt(slots: Float64Array, a: Residues): Residues;
  forget(): void;
}

const CIPHERTEXT_HEADER = 113;
const NTT_FLAG = 48;
const PLAINTEXT_HEADER = 88;
const POLYNOMIAL_BYTES = 4 * WORDS;

let shared: Promise<Bgv> | undefined;

/** SEAL, started once for the process. @throws Error when it does not run here or its parameters are not ours */
export function bgv(): Promise<Bgv> {
  shared ??= import('node-seal/allows')
    .then((module) => module.initialize())
    .then((seal) => guard(() => start(seal)))
    .catch((cause) => {
      shared = undefined;
      throw new Error('node-seal does not start; it needs Node 22.18 or newer on a little-endian machine', { cause });
    });
  return shared;
}

function start(seal: MainModule): Bgv {
  if (new Uint8Array(Uint32Array.of(1).buffer)[0] !== 1) throw new Error('this machine is big-endian');
  const context = makeContext(seal);
  const templates = makeTemplates(seal, context);
  const evaluator = new seal.Evaluator(context);
  const encoder = new seal.BatchEncoder(context);
  // BGV decryption of (phase, 0) is "centre modulo q, then modulo t" under whatever key
  const decryptor = new seal.Decryptor(context, templates.anyKey);
  const ciphertext = new seal.Ciphertext();
  const factor = new seal.Plaintext();
  const decoded = new seal.Plaintext();
  const body = templates.ciphertext.subarray(CIPHERTEXT_HEADER, CIPHERTEXT_HEADER + POLYNOMIAL_BYTES);

  const load = (polynomial: Residues, form: 'ntt' | 'coefficients'): void => {
    body.set(bytesOf(polynomial));
    templates.ciphertext[NTT_FLAG] = form === 'ntt' ? 1 : 0; // SEAL's BGV loader transforms what is not
    ciphertext.loadFromArray(context, templates.ciphertext);
    body.fill(0);
  };
  const save = (from: Ciphertext, which = 0): Residues => {
    const bytes: Uint8Array = from.saveToArray(seal.ComprModeType.none);
    const start = CIPHERTEXT_HEADER + which * POLYNOMIAL_BYTES;
    const out = new Uint8Array(bytes.subarray(start, start + POLYNOMIAL_BYTES));
    bytes.fill(0);
    return new Uint32Array(out.buffer);
  };
  const loadFactor = (into: Plaintext, polynomial: Residues): void => {
    templates.plaintext.set(bytesOf(polynomial), PLAINTEXT_HEADER);
    into.loadFromArray(context, templates.plaintext);
    templates.plaintext.fill(0, PLAINTEXT_HEADER);
  };
  const multiplyLoaded = (a: Residues, by: Plaintext): Residues => {
    load(a, 'ntt');
    evaluator.multiplyPlainInplace(ciphertext, by);
    return save(ciphertext);
  };

  return {
    multiply: (a, b) =>
      guard(() => {
        loadFactor(factor, b);
        return multiplyLoaded(a, factor);
      }),
    toNtt: (coefficients) =>
      guard(() => {
        load(coefficients, 'coefficients');
        return save(ciphertext);
      }),
    fromNtt: (values) =>
      guard(() => {
        load(values, 'ntt');
        evaluator.cipherTransformFromNttInplace(ciphertext);
        return save(ciphertext);
      }),
    decode: (phase) =>
      guard(() => {
        load(phase, 'ntt');
        decryptor.decrypt(ciphertext, decoded);
        return centred(encoder.decodeBigUint64(decoded));
      }),
    ownKey: () =>
      guard(() => {
        const generator = new seal.KeyGenerator(context);
        const secretKey = generator.secretKey();
        const publicKey = generator.createPublicKey(); // wanted by the constructor below, never shown to anyone
        const encryptor = new seal.Encryptor(context, publicKey, secretKey);
        const bytes: Uint8Array = secretKey.saveToArray(seal.ComprModeType.none);
        const secret = new Uint32Array(new Uint8Array(bytes.subarray(PLAINTEXT_HEADER)).buffer);
        bytes.fill(0);
        const secretFactor = new seal.Plaintext();
        loadFactor(secretFactor, secret);
        const message = new seal.Plaintext();
        const fresh = new seal.Ciphertext();
        return {
          secret,
          encrypt: (slots, a) =>
            guard(() => {
              encoder.encode(words64(slots), message);
              encryptor.encryptSymmetric(message, fresh); // (m − (a′·s + t·e), a′) with SEAL's own a′
              const other = save(fresh, 1);
              subtractFrom(other, a);
              // + (a′ − a)·s. The pair under a′ is never shown: with the result it would give s away
              const result = multiplyLoaded(other, secretFactor);
              addInto(result, save(fresh, 0));
              return result;
            }),
          forget() {
            for (const one of [message, fresh, secretFactor, encryptor, publicKey, secretKey, generator]) one.delete();
          },
        };
      }),
  };
}

function makeContext(seal: MainModule): SEALContext {
  const parameters = new seal.EncryptionParameters(seal.SchemeType.bgv);
  const bits = PRIMES.map((prime) => prime.bits);
  const primes = seal.CoeffModulus.Create(DEGREE, Int32Array.from(bits));
  parameters.setPolyModulusDegree(DEGREE);
  parameters.setCoeffModulus(primes);
  parameters.setPlainModulus(seal.PlainModulus.Batching(DEGREE, 48));
  const context = new seal.SEALContext(parameters, false, seal.SecLevelType.tc128);
  const same =
    context.parametersSet() &&
    PRIMES.every((prime, i) => primes.get(i)?.value() === prime.value) &&
    parameters.plainModulus().value() === BigInt(PLAIN_MODULUS);
  if (!same) throw new Error('SEAL chose other primes than parameters.ts states');
  return context;
}

/** Serialized objects SEAL made itself, to put our polynomials into. The key among them protects nothing. */
function makeTemplates(seal: MainModule, context: SEALContext) {
  const generator = new seal.KeyGenerator(context);
  const anyKey = generator.secretKey();
  const ciphertext: Uint8Array = generator.createPublicKey().saveToArray(seal.ComprModeType.none);
  const plaintext: Uint8Array = anyKey.saveToArray(seal.ComprModeType.none);
  if (ciphertext.length !== CIPHERTEXT_HEADER + 2 * POLYNOMIAL_BYTES || ciphertext[NTT_FLAG] !== 1) {
    throw new Error('SEAL writes ciphertexts in another layout than expected');
  }
  if (plaintext.length !== PLAINTEXT_HEADER + POLYNOMIAL_BYTES) {
    throw new Error('SEAL writes plaintexts in another layout than expected');
  }
  ciphertext.fill(0, CIPHERTEXT_HEADER);
  plaintext.fill(0, PLAINTEXT_HEADER);
  return { anyKey, ciphertext, plaintext };
}

const bytesOf = (residues: Residues): Uint8Array =>
  new Uint8Array(residues.buffer, residues.byteOffset, residues.byteLength);

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

function centred(slots: BigUint64Array): Float64Array {
  const words = new Uint32Array(slots.buffer, slots.byteOffset, 2 * slots.length);
  const out = new Float64Array(slots.length);
  for (let i = 0; i < out.length; i++) {
    const value = words[2 * i]! + words[2 * i + 1]! * 0x100000000;
    out[i] = value > LANE ? value - PLAIN_MODULUS : value;
  }
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
