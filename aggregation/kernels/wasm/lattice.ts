import { checkErrors, checkLimbs, noIntegers } from '../checks.ts';
import type { LatticeKernels } from '../kernels.ts';
import { checkPolynomials, DEGREE, LIMB_BITS, LIMBS, MASK_RING, POLYNOMIAL_WORDS } from '../rings.ts';
import { companion, GARNER, limbWeights } from '../tables.ts';
import type { Arena } from './arena.ts';
import type { Exports } from './exports.ts';

/** Bytes of a polynomial, and of the limbs of its coefficients. */
const BYTES = 4 * POLYNOMIAL_WORDS;
/** Samples at a time, and bytes of key stream for each. */
const CHUNK = 4096;
const SAMPLE_BYTES = 16;

export function latticeOn(wasm: Exports, arena: Arena): LatticeKernels {
  const { bytes } = arena;
  const constants = arena.keep(openingConstants());
  const weights = MASK_RING.primes.map(
    (prime) => [prime.value, ...limbWeights(prime).slice(1).map(BigInt)] as [bigint, bigint, bigint, bigint, bigint],
  );
  return {
    encode(values, lanes, errors) {
      checkLimbs(values.length, lanes);
      checkErrors(errors);
      const encode = lanes.bits === LIMB_BITS ? wasm.encodeLimbs : wasm.encodeLimbPairs;
      return arena.use(values.byteLength + 2 * BYTES + DEGREE, (at) => {
        const limbs = at + values.byteLength;
        const residues = limbs + BYTES;
        const noise = residues + BYTES;
        bytes.set(bytesOf(values), at);
        bytes.set(bytesOf(errors), noise);
        if (!encode(at, limbs, values.length, lanes.offset)) noIntegers();
        for (const [prime, of] of weights.entries()) {
          wasm.residuesOf(limbs, noise, residues + 4 * DEGREE * prime, ...of);
        }
        const out = new Uint32Array(POLYNOMIAL_WORDS);
        bytesOf(out).set(bytes.subarray(residues, residues + BYTES));
        return out;
      });
    },
    decode(coefficients, lanes, values) {
      checkPolynomials(coefficients);
      checkLimbs(values.length, lanes);
      const decode = lanes.bits === LIMB_BITS ? wasm.decodeLimbs : wasm.decodeLimbPairs;
      arena.use(2 * BYTES + values.byteLength, (at) => {
        const limbs = at + BYTES;
        const to = limbs + BYTES;
        bytes.set(bytesOf(coefficients), at);
        wasm.openLimbs(at, limbs, constants);
        decode(limbs, to, values.length, lanes.offset);
        bytesOf(values).set(bytes.subarray(to, to + values.byteLength));
      });
    },
    centredBinomial(source, into) {
      const size = Math.min(CHUNK, into.length);
      arena.use((SAMPLE_BYTES + 1) * size, (at) => {
        const samples = at + SAMPLE_BYTES * size;
        for (let from = 0; from < into.length; from += size) {
          const part = into.subarray(from, from + size);
          source.fill(bytes.subarray(at, at + SAMPLE_BYTES * part.length));
          wasm.centredBinomial(at, samples, part.length);
          bytesOf(part).set(bytes.subarray(samples, samples + part.length));
        }
      });
    },
  };
}

const bytesOf = (of: ArrayBufferView): Uint8Array => new Uint8Array(of.buffer, of.byteOffset, of.byteLength);

/** In the order that `assembly/lattice.ts` reads them. */
function openingConstants(): BigUint64Array {
  const primes = MASK_RING.primes.map(({ value }) => value);
  const inverses = GARNER.inverses.flatMap((of, k) =>
    of.flatMap((inverse) => [BigInt(inverse), companion(BigInt(inverse), primes[k]!, 32)]),
  );
  const limbs = GARNER.limbs.flat().map(BigInt);
  if (inverses.length !== LIMBS * (LIMBS - 1)) throw new Error('four primes have six inverses');
  return BigUint64Array.from([...primes, ...inverses, ...limbs]);
}
