import type { ByteSource, RingKernels } from '../kernels.ts';
import { checkPolynomials, checkRoom, DEGREE, POLYNOMIAL_WORDS, packedBytes, type Ring } from '../rings.ts';
import type { Arena } from './arena.ts';

/** One prime's kernels, on addresses: its residues, its packed bytes. What differs between the two rings. */
export interface PrimeKernels {
  /** @returns the first residue from `from` on that is not below the prime; 4096 when all are */
  cut(residues: number, from: number): number;
  add(sum: number, term: number): void;
  subtract(sum: number, term: number): void;
  toNtt(residues: number): void;
  fromNtt(residues: number): void;
  multiplyAdd(sum: number, a: number, b: number): void;
  pack(residues: number, packed: number): void;
  /** sum += packed residues. @returns whether every one is below the prime; else the sum is of no use */
  addPacked(sum: number, packed: number): boolean;
}

const POLYNOMIAL_BYTES = 4 * POLYNOMIAL_WORDS;

/** The operations on whole polynomials. @param primes - the kernels of the ring's primes, in order */
export function ringOn(arena: Arena, ring: Ring, primes: readonly PrimeKernels[]): RingKernels {
  const { bytes } = arena;
  const residueBytes = 4 * ring.wordsPerResidue;
  const packedOf = ring.primes.map(({ bits }) => (DEGREE * bits) / 8);

  /** For every prime, how far its residues and its packed bytes lie behind the polynomial's. */
  const each = (work: (prime: PrimeKernels, residues: number, packed: number) => void): void => {
    let packed = 0;
    for (const [i, prime] of primes.entries()) {
      work(prime, i * DEGREE * residueBytes, packed);
      packed += packedOf[i]!;
    }
  };

  const load = (polynomial: Uint32Array, at: number): void => bytes.set(bytesOf(polynomial), at);
  const save = (polynomial: Uint32Array, at: number): void =>
    bytesOf(polynomial).set(bytes.subarray(at, at + POLYNOMIAL_BYTES));
  const saved = (at: number): Uint32Array => {
    const out = new Uint32Array(POLYNOMIAL_WORDS);
    save(out, at);
    return out;
  };

  /** Loads polynomials one behind the other, works on their addresses and saves the first. */
  const onCopies = (polynomials: readonly Uint32Array[], scratch: number, work: (at: number) => void): void => {
    checkPolynomials(...polynomials);
    arena.use(POLYNOMIAL_BYTES * polynomials.length + scratch, (at) => {
      for (const [i, polynomial] of polynomials.entries()) load(polynomial, at + i * POLYNOMIAL_BYTES);
      work(at);
      save(polynomials[0]!, at);
    });
  };

  const drawUniform = (source: ByteSource, at: number): void => {
    source.fill(bytes.subarray(at, at + POLYNOMIAL_BYTES));
    each((prime, residues) => {
      for (let i = prime.cut(at + residues, 0); i < DEGREE; i = prime.cut(at + residues, i)) {
        const again = at + residues + i * residueBytes;
        source.fill(bytes.subarray(again, again + residueBytes));
      }
    });
  };

  /** Adds to the polynomial at `sum` what it puts at `from`. @returns whether that is one; else the sum is of no use */
  const addPackedAt = (sum: number, from: number, packed: Uint8Array): boolean => {
    if (packed.length !== packedBytes(ring)) return false;
    bytes.set(packed, from);
    let below = true;
    each((prime, residues, offset) => {
      below = prime.addPacked(sum + residues, from + offset) && below;
    });
    return below;
  };

  return {
    ring,
    uniform: (source) =>
      arena.use(POLYNOMIAL_BYTES, (at) => {
        drawUniform(source, at);
        return saved(at);
      }),
    add: (sum, term) =>
      onCopies([sum, term], 0, (at) =>
        each((prime, residues) => prime.add(at + residues, at + residues + POLYNOMIAL_BYTES)),
      ),
    subtract: (sum, term) =>
      onCopies([sum, term], 0, (at) =>
        each((prime, residues) => prime.subtract(at + residues, at + residues + POLYNOMIAL_BYTES)),
      ),
    mask: (sum, masks) =>
      onCopies([sum], POLYNOMIAL_BYTES, (at) => {
        const drawn = at + POLYNOMIAL_BYTES;
        for (const { stream, adds } of masks) {
          drawUniform(stream, drawn);
          each((prime, residues) => (adds ? prime.add : prime.subtract)(at + residues, drawn + residues));
        }
      }),
    toNtt: (polynomial) => onCopies([polynomial], 0, (at) => each((prime, residues) => prime.toNtt(at + residues))),
    fromNtt: (polynomial) => onCopies([polynomial], 0, (at) => each((prime, residues) => prime.fromNtt(at + residues))),
    multiplyAdd: (sum, a, b) =>
      onCopies([sum, a, b], 0, (at) =>
        each((prime, residues) => {
          const from = at + residues;
          prime.multiplyAdd(from, from + POLYNOMIAL_BYTES, from + 2 * POLYNOMIAL_BYTES);
        }),
      ),
    pack(polynomial, into, at) {
      checkPolynomials(polynomial);
      checkRoom(ring, into, at);
      arena.use(2 * POLYNOMIAL_BYTES, (from) => {
        const to = from + POLYNOMIAL_BYTES;
        load(polynomial, from);
        each((prime, residues, packed) => prime.pack(from + residues, to + packed));
        into.set(bytes.subarray(to, to + packedBytes(ring)), at);
      });
    },
    unpack: (packed) =>
      // zero, and then what is added to it
      arena.use(POLYNOMIAL_BYTES + packedBytes(ring), (at) =>
        addPackedAt(at, at + POLYNOMIAL_BYTES, packed) ? saved(at) : undefined,
      ),
    addPacked(sum, packed) {
      checkPolynomials(sum);
      return arena.use(POLYNOMIAL_BYTES + packedBytes(ring), (at) => {
        load(sum, at);
        const bad = packed.findIndex((one) => !addPackedAt(at, at + POLYNOMIAL_BYTES, one));
        if (bad !== -1) return bad;
        save(sum, at);
        return undefined;
      });
    },
  };
}

const bytesOf = (words: Uint32Array): Uint8Array => new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
