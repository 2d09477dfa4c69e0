import { describe, expect, test } from 'vitest';
import { TransparencyRefused } from '../../../privacy/transparency/canonical-text.ts';
import { append, EMPTY_FRONTIER, leafHash, rootOf, treeRoot } from '../../../privacy/transparency/merkle.ts';
import {
  bundleBytes,
  bundlesOf,
  edgeTiles,
  frontierFromTiles,
  leavesFromEntries,
  MAX_ENTRY_BYTES,
  parseBundle,
  parseTile,
  parseTilePath,
  type Tile,
  tileBytes,
  tilePath,
  tilesOf,
} from '../../../privacy/transparency/tiles.ts';

describe('the path of a tile', () => {
  // index 1234067 is the example of tlog-tiles; the others are golang.org/x/mod sumdb/tlog tlog_test.go's, at height 8
  test.each<[string, Tile]>([
    ['tile/0/x001/x234/067', { level: 0, index: 1234067, width: 256 }],
    ['tile/0/x001/x234/067.p/89', { level: 0, index: 1234067, width: 89 }],
    ['tile/0/001', { level: 0, index: 1, width: 256 }],
    ['tile/0/000.p/5', { level: 0, index: 0, width: 5 }],
    ['tile/5/x123/x456/078', { level: 5, index: 123456078, width: 256 }],
    ['tile/5/x123/x456/078.p/2', { level: 5, index: 123456078, width: 2 }],
    ['tile/63/999.p/255', { level: 63, index: 999, width: 255 }],
    ['tile/1/x001/000', { level: 1, index: 1000, width: 256 }],
    ['tile/entries/x003/x057/500', { level: 'entries', index: 3057500, width: 256 }],
    ['tile/entries/273.p/112', { level: 'entries', index: 273, width: 112 }],
  ])('%s', (path, tile) => {
    expect(tilePath(tile)).toBe(path);
    expect(parseTilePath(path)).toEqual(tile);
  });

  test.each([
    '',
    'tile',
    'tile/0',
    'tile/0/',
    'tile/0/1',
    'tile/0/0001',
    'tile/0/123/456/078',
    'tile/0/x000/001',
    'tile/0/x001',
    'tile/0/x001/x002',
    'tile/-1/x123/x456/078',
    'tile/00/001',
    'tile/01/001',
    'tile/64/001',
    'tile/data/001',
    'tile/0/001.p/0',
    'tile/0/001.p/256',
    'tile/0/001.p/007',
    'tile/0/001.p/',
    'tile/0/001.p/5/',
    'tile/0/001\n',
    '/tile/0/001',
    'tile/0/../001',
    'tile/0/x999/x999/x999/x999/x999/999',
    `tile/0/${'x999/'.repeat(40)}999`,
  ])('%j is none', (path) => {
    expect(() => parseTilePath(path)).toThrow(TransparencyRefused);
  });

  test.each<Tile>([
    { level: 64, index: 0, width: 1 },
    { level: -1, index: 0, width: 1 },
    { level: 0, index: -1, width: 1 },
    { level: 0, index: 0.5, width: 1 },
    { level: 0, index: 0, width: 0 },
    { level: 0, index: 0, width: 257 },
  ])('there is none for %j', (tile) => {
    expect(() => tilePath(tile)).toThrow(RangeError);
  });
});

describe('the tiles of a log', () => {
  // the examples of tlog-tiles, Partial Tiles
  test('of 70,000 entries: 273 and a part of 112, one and a part of 17, a part of 1', () => {
    const tiles = tilesOf(70_000);
    const at = (level: number): number[] => tiles.filter((tile) => tile.level === level).map(({ width }) => width);
    expect(at(0)).toEqual([...Array(273).fill(256), 112]);
    expect(at(1)).toEqual([256, 17]);
    expect(at(2)).toEqual([1]);
    expect(tiles).toHaveLength(277);
    expect(bundlesOf(70_000)).toHaveLength(274);
    expect(edgeTiles(70_000).map(tilePath)).toEqual(['tile/2/000.p/1', 'tile/1/001.p/17', 'tile/0/273.p/112']);
  });

  test('of 256 entries: a full one, and a part of width 1 above', () => {
    expect(tilesOf(256).map(tilePath)).toEqual(['tile/0/000', 'tile/1/000.p/1']);
    expect(bundlesOf(256).map(tilePath)).toEqual(['tile/entries/000']);
  });

  test('of none: none', () => {
    expect([tilesOf(0), bundlesOf(0), edgeTiles(0)]).toEqual([[], [], []]);
  });

  test('since an earlier size: those that were not there before', () => {
    for (const [earlier, later] of [
      [0, 5],
      [5, 5],
      [5, 6],
      [255, 256],
      [256, 257],
      [256, 600],
      [700, 66_000],
    ] as const) {
      const before = new Set([...tilesOf(earlier), ...bundlesOf(earlier)].map(tilePath));
      const now = [...tilesOf(later), ...bundlesOf(later)].map(tilePath);
      const since = [...tilesOf(later, earlier), ...bundlesOf(later, earlier)].map(tilePath);
      expect(since, `${earlier} → ${later}`).toEqual(now.filter((path) => !before.has(path)));
    }
  });
});

const entries = Array.from({ length: 66_000 }, (_, at) => Buffer.from(`entry ${at} ${'.'.repeat(at % 7)}`));
const leaves = entries.map(leafHash);

function filesOf(size: number): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (const tile of tilesOf(size)) files.set(tilePath(tile), tileBytes(tile, leaves));
  for (const tile of bundlesOf(size)) {
    files.set(tilePath(tile), bundleBytes(entries.slice(tile.index * 256, tile.index * 256 + tile.width)));
  }
  return files;
}

test('a hash in a tile is the root over all below it', () => {
  const bytes = tileBytes({ level: 1, index: 0, width: 3 }, leaves);
  expect(parseTile(bytes, 3)).toEqual([0, 1, 2].map((at) => treeRoot(leaves, at * 256, at * 256 + 256)));
  expect(parseTile(tileBytes({ level: 0, index: 1, width: 2 }, leaves), 2)).toEqual(leaves.slice(256, 258));
  expect(parseTile(tileBytes({ level: 2, index: 0, width: 1 }, leaves), 1)).toEqual([treeRoot(leaves, 0, 65_536)]);
  expect(() => tileBytes({ level: 1, index: 0, width: 3 }, leaves.slice(0, 767))).toThrow(RangeError);
  expect(() => tileBytes({ level: 'entries', index: 0, width: 1 }, leaves)).toThrow('use bundleBytes');
});

test.each([1, 2, 255, 256, 257, 511, 512, 600, 65_536, 66_000])(
  'a log of %d entries: root and frontier follow from its edge, and from its entries',
  (size) => {
    const files = filesOf(size);
    const root = treeRoot(leaves, 0, size);
    const edge = new Map(edgeTiles(size).map((tile) => [tilePath(tile), files.get(tilePath(tile))!]));
    const frontier = frontierFromTiles(size, edge);
    expect(rootOf(frontier)).toEqual(root);
    if (size <= 600) expect(frontier).toEqual(leaves.slice(0, size).reduce(append, EMPTY_FRONTIER));
    expect(treeRoot(leavesFromEntries(size, files))).toEqual(root);
  },
);

test('of an empty log, too', () => {
  expect(frontierFromTiles(0, new Map())).toEqual(EMPTY_FRONTIER);
  expect(leavesFromEntries(0, new Map())).toEqual([]);
});

test('a file that is missing, cut or changed is found and named', () => {
  const size = 600;
  const files = filesOf(size);
  expect(leavesFromEntries(size, files)).toHaveLength(size);
  for (const [path, bytes] of files) {
    const without = new Map(files);
    without.delete(path);
    expect(() => leavesFromEntries(size, without)).toThrow(`${path} is missing`);
    const cut = new Map(files).set(path, bytes.subarray(1));
    expect(() => leavesFromEntries(size, cut), path).toThrow(TransparencyRefused);
    // the last byte belongs to a hash or to an entry
    const changed = new Map(files).set(path, bytes.with(-1, bytes.at(-1)! ^ 1));
    expect(() => leavesFromEntries(size, changed), path).toThrow(/does not follow from the entries$/);
  }
  expect(() => frontierFromTiles(size, new Map())).toThrow('tile/1/000.p/2 is missing');
  const short = new Map(files).set('tile/0/002.p/88', new Uint8Array(88 * 32 - 1));
  expect(() => frontierFromTiles(size, short)).toThrow(TransparencyRefused);
});

describe('a bundle', () => {
  test('is every entry after its length, big end first', () => {
    const bundle = [Buffer.from('ab'), new Uint8Array(0), new Uint8Array(258).fill(7)];
    const bytes = bundleBytes(bundle);
    expect(Buffer.from(bytes).toString('hex')).toBe(`00026162${'0000'}0102${'07'.repeat(258)}`);
    expect(parseBundle(bytes, 3)).toEqual(bundle.map((each) => new Uint8Array(each)));
    expect(parseBundle(new Uint8Array(0), 0)).toEqual([]);
  });

  test('holds entries of up to 65,535 bytes', () => {
    const longest = new Uint8Array(MAX_ENTRY_BYTES).fill(1);
    expect(parseBundle(bundleBytes([longest]), 1)).toEqual([longest]);
    expect(() => bundleBytes([new Uint8Array(MAX_ENTRY_BYTES + 1)])).toThrow(RangeError);
  });

  test('of another number of entries, cut or with something behind is refused', () => {
    const bytes = bundleBytes([Buffer.from('ab'), Buffer.from('c')]);
    for (const width of [0, 1, 3]) expect(() => parseBundle(bytes, width)).toThrow(TransparencyRefused);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => parseBundle(bytes.subarray(0, length), 2)).toThrow(TransparencyRefused);
    }
    expect(() => parseBundle(new Uint8Array([...bytes, 0]), 2)).toThrow(TransparencyRefused);
  });
});

test('what is read from a tile or bundle is a copy', () => {
  const bytes = Buffer.from(tileBytes({ level: 0, index: 0, width: 1 }, leaves));
  const [hash] = parseTile(bytes, 1);
  bytes.fill(0);
  expect(hash).toEqual(leaves[0]);
  const bundle = Buffer.from(bundleBytes([Buffer.from('ab')]));
  const [entry] = parseBundle(bundle, 1);
  bundle.fill(0);
  expect(Buffer.from(entry!).toString()).toBe('ab');
});
