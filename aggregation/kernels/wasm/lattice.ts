import { checkErrors, checkLimbs, outsideLane } from '../checks.ts';
import type { LatticeKernels } from '../kernels.ts';
import { largestInLane } from '../lanes.ts';
import { checkPolynomials, DEGREE, LIMB_BITS, LIMBS, MASK_RING, POLYNOMIAL_WORDS } from '../rings.ts';
import { companion, GARNER, limbWeights } from '../tables.ts';
import type { Arena } from './arena.ts';
import type { Exports } from './exports.ts';

/** Bytes of a polynomial, and of the limbs of its coefficients as doubles. */
const BYTES = 4 * POLYNOMIAL_WORDS;
const LIMB_BYTES = 8 * LIMBS * DEGREE;
/** Samples at a time, and bytes of key stream for each. */
const CHUNK = 4096;
const SAMPLE_BYTES = 16;

export function latticeOn(wasm: Exports, arena: Arena): LatticeKernels {
  const { bytes } = arena;
  const garner = arena.keep(garnerWords());
  const weights = arena.keep(Float64Array.from(GARNER.limbs.slice(1).flat()));
  const primes = MASK_RING.primes.map(
    (prime) => [Number(prime.value), ...limbWeights(prime).slice(1)] as [number, number, number, number, number],
  );
  return {
    encode(values, bits, errors) {
      checkLimbs(values.length, bits);
      checkErrors(errors);
      const isLimbs = bits === LIMB_BITS;
      return arena.use(LIMB_BYTES + BYTES + DEGREE + (isLimbs ? 0 : LIMB_BYTES / 2), (at) => {
        const residues = at + LIMB_BYTES;
        const noise = residues + BYTES;
        const lanes = isLimbs ? at : noise + DEGREE;
        bytes.set(bytesOf(values), lanes);
        bytes.set(bytesOf(errors), noise);
        if (!wasm.inLanes(lanes, values.length, largestInLane(bits))) outsideLane(bits);
        if (!isLimbs) wasm.splitLanes(lanes, at, values.length);
        for (const [prime, of] of primes.entries()) wasm.residuesOf(at, noise, residues + 4 * DEGREE * prime, ...of);
        const out = new Uint32Array(POLYNOMIAL_WORDS);
        bytesOf(out).set(bytes.subarray(residues, residues + BYTES));
        return out;
      });
    },
    decode(coefficients, bits, values) {
      checkPolynomials(coefficients);
      checkLimbs(values.length, bits);
      arena.use(BYTES + LIMB_BYTES, (at) => {
        const limbs = at + BYTES;
        bytes.set(bytesOf(coefficients), at);
        wasm.openLimbs(at, limbs, garner, weights, bits === LIMB_BITS ? 0.5 : 0);
        if (bits !== LIMB_BITS) wasm.joinLanes(limbs, values.length);
        bytesOf(values).set(bytes.subarray(limbs, limbs + values.byteLength));
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
function garnerWords(): Uint32Array {
  const primes = MASK_RING.primes.map(({ value }) => value);
  const inverses = GARNER.inverses.flatMap((of, k) =>
    of.flatMap((inverse) => [inverse, Number(companion(BigInt(inverse), primes[k]!, 32))]),
  );
  if (inverses.length !== LIMBS * (LIMBS - 1)) throw new Error('four primes have six inverses');
  return Uint32Array.from([...primes.map(Number), ...inverses]);
}
