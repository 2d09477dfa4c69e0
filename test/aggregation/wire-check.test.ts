import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import { decodeFromClient, decodeFromCoordinator } from '../../aggregation/wire.ts';
import { checkMsgpack, WireRefused } from '../../aggregation/wire-check.ts';

const packr = new Packr({ useRecords: false, moreTypes: false });
const check = (...values: number[]): void => checkMsgpack(Uint8Array.from(values));

/** Values as the protocol's messages are made of, nested at most as deep as they may be. */
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', maxDepth: 5 },
    fc.integer({ min: -(2 ** 31), max: 2 ** 32 - 1 }),
    fc.double(),
    fc.string(),
    fc.uint8Array({ maxLength: 300 }),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(fc.string(), tie('value'), { maxKeys: 20 }),
  ),
}));

describe('msgpack that is checked before it is read', () => {
  test('passes when it is what the protocol is made of', () => {
    fc.assert(
      fc.property(value, (one) => {
        expect(() => checkMsgpack(packr.pack(one))).not.toThrow();
      }),
    );
  });

  test('passes in every length format', () => {
    for (const length of [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536]) {
      for (const one of ['x'.repeat(length), new Uint8Array(length), new Array(length).fill(1)])
        expect(() => checkMsgpack(packr.pack(one))).not.toThrow();
      const map = Object.fromEntries(Array.from({ length: Math.min(length, 50_000) }, (_, i) => [`k${i}`, i]));
      expect(() => checkMsgpack(packr.pack(map))).not.toThrow();
    }
    for (const number of [0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, -1, -32, -33, -129, -32_769, 0.1])
      expect(() => checkMsgpack(packr.pack(number))).not.toThrow();
  });

  test('is refused when it is cut anywhere, or something follows', () => {
    fc.assert(
      fc.property(value, fc.nat(), (one, at) => {
        const whole = packr.pack(one);
        expect(() => checkMsgpack(whole.subarray(0, at % whole.length))).toThrow(WireRefused);
        expect(() => checkMsgpack(Buffer.concat([whole, Buffer.of(0)]))).toThrow('1 bytes after the message');
      }),
    );
  });

  test('never fails but by refusal, whatever the bytes', () => {
    const starts = fc.integer({ min: 0x80, max: 0xdf });
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.tuple(starts, fc.uint8Array({ maxLength: 100 })).map(([tag, rest]) => Uint8Array.of(tag, ...rest)),
    );
    fc.assert(
      fc.property(hostile, (bytes) => {
        try {
          checkMsgpack(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(WireRefused);
        }
        for (const read of [decodeFromClient, decodeFromCoordinator]) expect(() => read(bytes)).toThrow(WireRefused);
      }),
      { numRuns: 3000 },
    );
  });

  test.each([
    ['an array', [0xdd, 0xff, 0xff, 0xff, 0xff]],
    ['a short array', [0xdc, 0xff, 0xff, 1, 2]],
    ['a map', [0xdf, 0xff, 0xff, 0xff, 0xff]],
    ['a short map', [0xde, 0x00, 0x02, 1, 2, 3]],
    ['bytes', [0xc6, 0xff, 0xff, 0xff, 0xff, 0]],
    ['a string', [0xdb, 0x7f, 0xff, 0xff, 0xff]],
    ['a string within an array', [0x92, 0xd9, 0xff, 1]],
  ])('is refused when it announces more than it carries: %s', (_, bytes) => {
    const before = process.memoryUsage().arrayBuffers;
    expect(() => check(...bytes)).toThrow(WireRefused);
    expect(() => decodeFromClient(Uint8Array.from(bytes))).toThrow(WireRefused);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
  });

  test('that passes announces no more items than it has bytes', () => {
    // what keeps the decoder from allocating: every item takes a byte at least
    expect(() => check(0x93, 1, 2, 3)).not.toThrow();
    expect(() => check(0x94, 1, 2, 3)).toThrow('more items announced than bytes sent');
    expect(() => check(0x82, 1, 2, 3)).toThrow('more items announced than bytes sent');
  });

  test.each([
    ['uint 64', [0xcf, 0, 0, 0, 0, 0, 0, 0, 1]],
    ['int 64', [0xd3, 0, 0, 0, 0, 0, 0, 0, 1]],
    ['fixext 1', [0xd4, 1, 0]],
    ['fixext 2', [0xd5, 1, 0, 0]],
    ['fixext 4, a timestamp', [0xd6, 0xff, 0, 0, 0, 0]],
    ['fixext 8', [0xd7, 1, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['fixext 16', [0xd8, 1, ...new Array(16).fill(0)]],
    ['ext 8', [0xc7, 1, 1, 0]],
    ['ext 16', [0xc8, 0, 1, 1, 0]],
    ['ext 32', [0xc9, 0, 0, 0, 1, 1, 0]],
    ['the type that is never used', [0xc1]],
  ])('is refused when it holds %s', (_, bytes) => {
    expect(() => check(...bytes)).toThrow('is not in the protocol');
    expect(() => check(0x91, ...bytes)).toThrow('is not in the protocol');
  });

  test('may be nested eight deep, not nine', () => {
    expect(() => check(...new Array(8).fill(0x91), 1)).not.toThrow();
    expect(() => check(...new Array(9).fill(0x91), 1)).toThrow('nested deeper than 8');
    expect(() => check(...new Array(100_000).fill(0x91), 1)).toThrow('nested deeper than 8');
  });

  test('holds no more values than any message of the protocol', () => {
    expect(() => checkMsgpack(packr.pack(new Array(129_999).fill(1)))).not.toThrow();
    expect(() => checkMsgpack(packr.pack(new Array(130_000).fill(1)))).toThrow('more than 130000 values');
  });
});
