import fc from 'fast-check';

/**
 * Bytes that were a message once: recorded frames with bits turned, pieces cut out, doubled or put in from other frames, and
 * lengths announced that nobody sends. As AFL's havoc stage does it, in an order that fast-check can shrink.
 */
export function havoc(seeds: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const seed = fc.nat(seeds.length - 1).map((i) => seeds[i]!);
  return fc
    .tuple(seed, seed, fc.array(blow, { maxLength: 6 }))
    .map(([bytes, other, blows]) => blows.reduce((now, one) => struck(now, one, other), bytes));
}

interface Blow {
  readonly kind: (typeof KINDS)[number];
  /** where, as a fraction of the whole */
  readonly at: number;
  readonly to: number;
  readonly byte: number;
}

const KINDS = ['flip', 'set', 'cut', 'end', 'double', 'splice', 'announce', 'nest', 'tag', 'short'] as const;

const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const blow: fc.Arbitrary<Blow> = fc.record({
  kind: fc.constantFrom(...KINDS),
  at: fc.oneof({ weight: 2, arbitrary: fraction }, { weight: 1, arbitrary: fraction.map((x) => x * x * x * x) }),
  to: fraction,
  byte: fc.nat(255),
});

/** Heads of msgpack that announce much: bin 32, str 32, array 32, map 32, array 16, map 16; and what is no message's. */
const HEADS = ['c6ffffffff', 'dbffffffff', 'ddffffffff', 'df7fffffff', 'dcffff', 'deffff', 'c6000fffff', 'dd0001ffff'];
const TAGS = [0xc0, 0xc1, 0xc4, 0xc7, 0xc8, 0xca, 0xcb, 0xcf, 0xd3, 0xd4, 0xd6, 0xd9, 0x80, 0x90, 0xff];
const LONGEST = 2 ** 18;

function struck(bytes: Uint8Array, { kind, at, to, byte }: Blow, other: Uint8Array): Uint8Array {
  const from = Math.floor(at * bytes.length);
  const end = from + Math.ceil(to * Math.min(64, bytes.length - from));
  const [before, here, after] = [bytes.subarray(0, from), bytes.subarray(from, end), bytes.subarray(end)];
  switch (kind) {
    case 'flip':
      return joined(before, [(bytes[from] ?? 0) ^ (1 << (byte & 7))], bytes.subarray(from + 1));
    case 'set':
      return joined(before, [byte], bytes.subarray(from + 1));
    case 'tag':
      return joined(before, [TAGS[byte % TAGS.length]!], bytes.subarray(from + 1));
    case 'cut':
      return joined(before, after);
    case 'end':
      return before;
    case 'double':
      return joined(before, ...new Array<Uint8Array>(1 + (byte & 15)).fill(here), after).subarray(0, LONGEST);
    case 'splice': {
      const start = Math.floor(to * other.length);
      return joined(before, other.subarray(start, start + byte), after).subarray(0, LONGEST);
    }
    case 'announce':
      return joined(before, Buffer.from(HEADS[byte % HEADS.length]!, 'hex'), bytes.subarray(from + 1));
    case 'nest':
      return joined(before, new Uint8Array(byte * 16).fill(byte & 1 ? 0x91 : 0x81), bytes.subarray(from));
    case 'short': // a field of length, one less or more
      return joined(before, [(bytes[from] ?? 0) + (byte & 1 ? 1 : -1)], bytes.subarray(from + 1));
  }
}

const joined = (...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array =>
  Buffer.concat(parts.map((part) => (part instanceof Uint8Array ? part : Uint8Array.from(part))));
