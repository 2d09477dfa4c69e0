import { DEGREE, HE_RING, POLYNOMIAL_WORDS, type Ring } from '../../../aggregation/kernels/rings.ts';

/**
 * The ring of threshold-he as Microsoft SEAL computes in it, for comparison: polynomials go in and out as the bodies of
 * serialized ciphertexts (113 bytes of header, byte 48 saying "in NTT form") and keys (88 bytes).
 */
export async function sealRing({ primes }: Ring = HE_RING) {
  const seal = await (await import('node-seal/allows')).initialize();
  const parameters = new seal.EncryptionParameters(seal.SchemeType.bgv);
  parameters.setPolyModulusDegree(DEGREE);
  parameters.setCoeffModulus(seal.CoeffModulus.Create(DEGREE, Int32Array.from(primes.map(({ bits }) => bits))));
  parameters.setPlainModulus(seal.PlainModulus.Batching(DEGREE, primes[0]!.bits + 1));
  const context = new seal.SEALContext(parameters, false, seal.SecLevelType.tc128);
  const generator = new seal.KeyGenerator(context);
  const evaluator = new seal.Evaluator(context);
  const none = seal.ComprModeType.none;
  const container: Uint8Array = generator.createPublicKey().saveToArray(none);
  const key: Uint8Array = generator.secretKey().saveToArray(none);
  const ciphertext = new seal.Ciphertext();
  const factor = new seal.Plaintext();

  const bytesOf = (polynomial: Uint32Array) => new Uint8Array(polynomial.slice().buffer);
  const load = (polynomial: Uint32Array, inNtt: boolean): void => {
    container.fill(0, 113);
    container.set(bytesOf(polynomial), 113);
    container[48] = Number(inNtt); // SEAL's loader of BGV ciphertexts transforms what is not
    ciphertext.loadFromArray(context, container);
  };
  const save = (): Uint32Array =>
    new Uint32Array(new Uint8Array(ciphertext.saveToArray(none)).slice(113, 113 + 4 * POLYNOMIAL_WORDS).buffer);

  return {
    toNtt(coefficients: Uint32Array): Uint32Array {
      load(coefficients, false);
      return save();
    },
    fromNtt(values: Uint32Array): Uint32Array {
      load(values, true);
      evaluator.cipherTransformFromNttInplace(ciphertext);
      return save();
    },
    /** all in NTT form */
    multiply(a: Uint32Array, b: Uint32Array): Uint32Array {
      key.set(bytesOf(b), 88);
      factor.loadFromArray(context, key);
      load(a, true);
      evaluator.multiplyPlainInplace(ciphertext, factor);
      return save();
    },
  };
}
