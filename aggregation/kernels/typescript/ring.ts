import type { ByteSource, Mask, RingKernels } from '../kernels.ts';
import { checkPolynomials, checkRoom, DEGREE, POLYNOMIAL_WORDS, packedBytes, type Ring } from '../rings.ts';
import { type TransformTable, transformTable } from '../tables.ts';

/** What differs between residues of one word and of two: each works on the residues of one prime, from a word on. */
export interface ResidueLoops {
  readonly ring: Ring;
  /** Cuts every residue to the bits of its prime. @returns the first word from `from` on that begins one not below it */
  cut(polynomial: Uint32Array, from: number, prime: number): number | undefined;
  add(sum: Uint32Array, term: Uint32Array, prime: number): void;
  subtract(sum: Uint32Array, term: Uint32Array, prime: number): void;
  toNtt(polynomial: Uint32Array, prime: number): void;
  fromNtt(polynomial: Uint32Array, prime: number): void;
  multiplyAdd(sum: Uint32Array, a: Uint32Array, b: Uint32Array, prime: number): void;
  pack(polynomial: Uint32Array, into: DataView): void;
  unpack(packed: DataView, into: Uint32Array): void;
}

/** Words of all residues of one prime. */
export const residueWords = ({ wordsPerResidue }: Ring): number => DEGREE * wordsPerResidue;

/** What the loops of each prime work with, made of its table when it is first asked for. */
export function perPrime<T>({ primes }: Ring, make: (table: TransformTable) => T): (prime: number) => T {
  const made: T[] = [];
  return (prime) => {
    made[prime] ??= make(transformTable(primes[prime]!));
    return made[prime];
  };
}

/** The operations on whole polynomials, made of loops over one prime each. */
export function ringOf(loops: ResidueLoops): RingKernels {
  const { ring } = loops;
  const each = (work: (prime: number) => void): void => {
    for (const prime of ring.primes.keys()) work(prime);
  };

  const isReduced = (polynomial: Uint32Array): boolean =>
    ring.primes.every((_, prime) => loops.cut(polynomial, prime * residueWords(ring), prime) === undefined);

  const uniform = (source: ByteSource): Uint32Array => {
    const out = new Uint32Array(POLYNOMIAL_WORDS);
    source.fill(bytesOf(out));
    const again = new Uint32Array(ring.wordsPerResidue);
    each((prime) => {
      let at = loops.cut(out, prime * residueWords(ring), prime);
      while (at !== undefined) {
        source.fill(bytesOf(again));
        out.set(again, at);
        at = loops.cut(out, at, prime);
      }
    });
    again.fill(0);
    return out;
  };

  const unpack = (bytes: Uint8Array): Uint32Array | undefined => {
    if (bytes.length !== packedBytes(ring)) return undefined;
    const out = new Uint32Array(POLYNOMIAL_WORDS);
    loops.unpack(viewOf(bytes), out);
    return isReduced(out) ? out : undefined;
  };

  return {
    ring,
    uniform,
    unpack,
    add(sum, term) {
      checkPolynomials(sum, term);
      each((prime) => loops.add(sum, term, prime));
    },
    subtract(sum, term) {
      checkPolynomials(sum, term);
      each((prime) => loops.subtract(sum, term, prime));
    },
    mask(sum, masks: readonly Mask[]) {
      checkPolynomials(sum);
      for (const { stream, adds } of masks) {
        const drawn = uniform(stream);
        each((prime) => (adds ? loops.add : loops.subtract)(sum, drawn, prime));
        drawn.fill(0);
      }
    },
    toNtt(polynomial) {
      checkPolynomials(polynomial);
      each((prime) => loops.toNtt(polynomial, prime));
    },
    fromNtt(polynomial) {
      checkPolynomials(polynomial);
      each((prime) => loops.fromNtt(polynomial, prime));
    },
    multiplyAdd(sum, a, b) {
      checkPolynomials(sum, a, b);
      each((prime) => loops.multiplyAdd(sum, a, b, prime));
    },
    pack(polynomial, into, at) {
      checkPolynomials(polynomial);
      checkRoom(ring, into, at);
      loops.pack(polynomial, viewOf(into.subarray(at, at + packedBytes(ring))));
    },
    addPacked(sum, packed) {
      checkPolynomials(sum);
      const total = sum.slice();
      for (const [position, bytes] of packed.entries()) {
        const term = unpack(bytes);
        if (term === undefined) return position;
        each((prime) => loops.add(total, term, prime));
      }
      sum.set(total);
      return undefined;
    },
  };
}

const bytesOf = (words: Uint32Array): Uint8Array => new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
