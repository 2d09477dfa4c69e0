import { inTests, type Mutation } from '../mutation.ts';

const inLattice = (file: string, named?: string) => inTests(`test/aggregation/lattice-mask/${file}.test.ts`, named);
const inAttacks = (named: string) => inTests('test/attacks/lattice-mask.test.ts', named);
const COVER = 'aggregation/lattice-mask/cover.ts';
const KEY = 'aggregation/lattice-mask/one-time-key.ts';
const ENCRYPT = 'aggregation/lattice-mask/encrypt.ts';
const DECRYPT = 'aggregation/lattice-mask/decrypt-sum.ts';
const COMMON = 'aggregation/lattice-mask/common-polynomials.ts';

/** One-time lattice keys, and what opens their sum. */
export const latticeMask: readonly Mutation[] = [
  {
    name: 'lattice-key-not-masked',
    why: 'the key goes along with what it hides',
    file: COVER,
    find: '      await maskAll(kernels.words, KEY_BITS, hiddenKey, masks);\n',
    replace: '',
    caughtBy: [inAttacks('looks uniform'), inLattice('transcript')],
  },
  {
    name: 'lattice-key-used-again',
    why: 'two vectors under one key show their difference',
    file: KEY,
    find: 'keyStream(new Uint8Array(seed.buffer))',
    replace: 'keyStream(new Uint8Array(32))',
    caughtBy: [inAttacks('has another key and another occasion'), inLattice('cover', 'is another for every vector')],
  },
  {
    name: 'lattice-errors-left-out',
    why: 'without errors a ciphertext is a linear equation in its key',
    file: ENCRYPT,
    find: '      key.drawErrors(errors);\n',
    replace: '',
    caughtBy: [inLattice('encrypt', 'schoolbook'), inLattice('encrypt', 'SEAL')],
  },
  {
    name: 'lattice-errors-repeated',
    why: 'errors that are the same for every polynomial cancel in differences',
    file: KEY,
    find: 'drawErrors: (into) => lattice.centredBinomial(stream, into)',
    replace: 'drawErrors: (into) => lattice.centredBinomial(keyStream(new Uint8Array(seed.buffer)), into)',
    caughtBy: [inLattice('one-time-key')],
  },
  {
    name: 'lattice-key-kept',
    why: 'who gets at the process later reads what it hid',
    file: COVER,
    find: '      key.forget();\n',
    replace: '',
    caughtBy: [inLattice('cover', 'overwritten before the vector leaves')],
  },
  {
    name: 'lattice-seed-kept',
    why: 'the seed is the key',
    file: KEY,
    find: '  seed.fill(0);\n',
    replace: '',
    caughtBy: [inLattice('one-time-key', 'its seed at once')],
  },
  {
    name: 'lattice-one-polynomial-for-all',
    why: 'the same a for every part of a vector: the parts show their differences',
    file: COMMON,
    find: 'start.writeUInt32BE(index, 4)',
    replace: 'start.writeUInt32BE(0, 4)',
    caughtBy: [inLattice('common-polynomials', 'nothing in common')],
  },
  {
    name: 'lattice-polynomials-of-no-occasion',
    why: 'a ciphertext of another round or cohort adds up in this one',
    file: COMMON,
    find: "digest('parley/lattice-mask/common/v1', occasion)",
    replace: "digest('parley/lattice-mask/common/v1')",
    caughtBy: [inLattice('decrypt-sum', 'on another occasion'), inLattice('cover', 'of another occasion')],
  },
  {
    name: 'lattice-residues-not-checked',
    why: 'one tenant’s broken ciphertext makes a charged round fail instead of being turned away',
    file: COVER,
    find: 'arePolynomials(kernels, vector, KEY_BYTES) ?',
    replace: 'vector.length > 0 ?',
    caughtBy: [inLattice('cover', 'modulo prime'), inAttacks('a residue at its prime')],
  },
  {
    name: 'lattice-sum-of-no-keys-opened',
    why: 'what the masks leave when they do not fit opens to numbers that mean nothing',
    file: COVER,
    find: 'Math.abs(coefficient) > LARGEST_IN_KEY * vectors.size',
    replace: 'Math.abs(coefficient) > 2 ** 32',
    caughtBy: [inLattice('cover', 'a sum of keys is small'), inAttacks('with last round')],
  },
  {
    name: 'lattice-wrong-tenant-named',
    why: 'who sent no polynomial is not found',
    file: DECRYPT,
    find: 'names[some.from + bad]',
    replace: 'names[bad]',
    caughtBy: [inLattice('decrypt-sum', 'named when it is added')],
  },
];
