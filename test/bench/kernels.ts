import { createCipheriv } from 'node:crypto';
import { cpus } from 'node:os';
import { compiledKernels } from '../../aggregation/kernels/compile.ts';
import type { ByteSource, Kernels, WordBits } from '../../aggregation/kernels/kernels.ts';
import { POLYNOMIAL_WORDS, packedBytes } from '../../aggregation/kernels/rings.ts';
import { typescriptKernels } from '../../aggregation/kernels/typescript/kernels.ts';
import { wasmKernels } from '../../aggregation/kernels/wasm/kernels.ts';

/**
 * `npm run bench:kernels`: milliseconds each kernel takes for 1,000,000 values, in WebAssembly and in TypeScript.
 *
 * CPU time of this process, the least of several runs after one to warm up. A mask includes its AES-128-CTR key
 * stream. Ring operations are counted in what 1M values take there: 245 polynomials (one value a slot) in the ring of
 * threshold-he, 62 (four lanes of 23 bits a coefficient) in that of the lattice mask.
 *
 * `-- --smoke` runs each once, on less.
 */
const smoke = process.argv.includes('--smoke');
const VALUES = smoke ? 20_000 : 1_000_000;
const RUNS = smoke ? 1 : 7;

const started = process.cpuUsage();
const { kernels: wasm } = await wasmKernels(await compiledKernels());
const both: readonly Kernels[] = [wasm, typescriptKernels()];
console.log(
  `${cpus()[0]?.model.trim()}, Node ${process.version}; loaded in ${cpuMs(started).toFixed(0)} ms of CPU time`,
);
console.log(`${VALUES.toLocaleString('en')} values${' '.repeat(32)}      wasm  typescript    times`);

const numbers = Float64Array.from({ length: VALUES }, (_, i) => ((i * 7919) % 65_536) - 32_768);

for (const bits of [32, 48, 64] as const) {
  const bytes = new Uint8Array((VALUES * bits) / 8);
  const opened = new Float64Array(VALUES);
  row(`words of ${bits} bits: encode`, ({ words }) => words.encode(bits, numbers, bytes));
  row('  decode', ({ words }) => words.decode(bits, bytes, opened));
  row('  add', ({ words }) => words.add(bits, bytes, bytes));
  row('  mask, 1 neighbour', ({ words }) => words.mask(bits, bytes, masks(1)));
  if (bits === 32) row('  mask, 32 neighbours', (kernels) => mask32(kernels, bits, bytes), 2);
}

const slots = new Float64Array(VALUES);
const block = new Float64Array(POLYNOMIAL_WORDS);
const halves = new Float64Array(VALUES / 2);
row('slots: mask, 1 neighbour', (kernels) => kernels.slots.mask(slots, masks(1)));
row('  encode, one of 48 bits', (kernels) => kernels.slots.encode(numbers, 48, slots));
row('  encode, two of 24 bits', (kernels) => kernels.slots.encode(numbers, 24, halves));
row('  decode, two of 24 bits', (kernels) => kernels.slots.decode(halves, 24, slots));

for (const [name, each] of [
  ['heRing', 4096],
  ['heRing101', 4096],
  ['maskRing', 4 * 4096],
] as const) {
  const count = Math.ceil(VALUES / each);
  const repeat = (work: () => unknown): void => {
    for (let i = 0; i < count; i++) work();
  };
  const a = wasm[name].uniform(keyStream());
  const b = wasm[name].uniform(keyStream());
  const packed = new Uint8Array(packedBytes(wasm[name].ring));
  const contributions = Array.from({ length: 10 }, () => packed);
  wasm[name].pack(a, packed, 0);
  row(`${name}: uniform`, (kernels) => repeat(() => kernels[name].uniform(keyStream())));
  row('  to NTT', (kernels) => repeat(() => kernels[name].toNtt(a)));
  row('  from NTT', (kernels) => repeat(() => kernels[name].fromNtt(a)));
  row('  multiply and add', (kernels) => repeat(() => kernels[name].multiplyAdd(a, b, b)));
  row('  add', (kernels) => repeat(() => kernels[name].add(a, b)));
  row('  pack', (kernels) => repeat(() => kernels[name].pack(a, packed, 0)));
  row('  unpack', (kernels) => repeat(() => kernels[name].unpack(packed)));
  row('  add packed, of 10 together', (kernels) => repeat(() => kernels[name].addPacked(a, contributions)));
}

const errors = new Int8Array(4096).fill(3);
const lanes = 23;
const blocks = Math.ceil(VALUES / POLYNOMIAL_WORDS);
const inBlocks = (work: (part: Float64Array) => unknown): void => {
  for (let i = 0; i < blocks; i++) work(numbers.subarray(i * POLYNOMIAL_WORDS, (i + 1) * POLYNOMIAL_WORDS));
};
const coefficients = wasm.lattice.encode(numbers.subarray(0, POLYNOMIAL_WORDS), lanes, errors);
row('lattice: errors', ({ lattice }) => inBlocks(() => lattice.centredBinomial(keyStream(), errors)));
row('  encode', ({ lattice }) => inBlocks((part) => lattice.encode(part, lanes, errors)));
row('  decode', ({ lattice }) => inBlocks(() => lattice.decode(coefficients, lanes, block)));

const key = wasm.maskRing.uniform(keyStream());
const wire = new Uint8Array(packedBytes(wasm.maskRing.ring));
row('lattice mask, client, all of it', ({ lattice, maskRing }) =>
  inBlocks((part) => {
    lattice.centredBinomial(keyStream(), errors);
    const masked = lattice.encode(part, lanes, errors);
    maskRing.toNtt(masked);
    maskRing.multiplyAdd(masked, maskRing.uniform(keyStream()), key);
    maskRing.pack(masked, wire, 0);
  }),
);
row('lattice mask, opening, all of it', ({ lattice, maskRing }) =>
  inBlocks(() => {
    const sum = coefficients.slice();
    maskRing.multiplyAdd(sum, maskRing.uniform(keyStream()), key);
    maskRing.fromNtt(sum);
    lattice.decode(sum, lanes, block);
  }),
);

function mask32({ words }: Kernels, bits: WordBits, bytes: Uint8Array): void {
  words.mask(bits, bytes, masks(32));
}

function masks(neighbours: number) {
  return Array.from({ length: neighbours }, (_, i) => ({ stream: keyStream(), adds: i % 2 === 0 }));
}

/** AES-128-CTR, as `masking` stretches its secrets. */
function keyStream(): ByteSource {
  const cipher = createCipheriv('aes-128-ctr', new Uint8Array(16), new Uint8Array(16));
  const zeros = new Uint8Array(1 << 16);
  return {
    fill(bytes) {
      for (let at = 0; at < bytes.length; at += zeros.length) {
        bytes.set(cipher.update(zeros.subarray(0, bytes.length - at)), at);
      }
    },
  };
}

function row(name: string, work: (kernels: Kernels) => unknown, runs = RUNS): void {
  const [fast, plain] = both.map((kernels) => {
    work(kernels);
    return Math.min(...Array.from({ length: runs }, () => timed(() => work(kernels))));
  }) as [number, number];
  const figures = [fast.toFixed(2).padStart(10), plain.toFixed(2).padStart(12), (plain / fast).toFixed(1).padStart(9)];
  console.log(name.padEnd(44) + figures.join(''));
}

function timed(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  return cpuMs(before);
}

function cpuMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
}
