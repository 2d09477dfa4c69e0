/**
 * Tiles: a log as a set of files that never change, from which anyone computes every proof.
 *
 *     tile/1/000.p/3     [ 0–255 ][ 256–511 ][ 512–767 ]         level 1: a hash for each full tile below
 *     tile/0/002         [ 512 ][ 513 ] … [ 767 ]                level 0: 256 leaf hashes
 *     tile/entries/002   the entries themselves, each after its length
 *
 * A tile that is not full yet has its width behind `.p/`, and is a file of its own.
 *
 * @see C2SP tlog-tiles
 */
import { parseDecimal, TransparencyRefused } from './canonical-text.ts';
import { append, EMPTY_FRONTIER, type Frontier, leafHash, treeRoot } from './merkle.ts';

/** Hashes in a full tile, entries in a full bundle. */
export const TILE_WIDTH = 256;

/** Longest entry, in bytes: its length stands in 16 bits. */
export const MAX_ENTRY_BYTES = 65_535;

export interface Tile {
  /** 0 … 63, or the bundle of entries beside level 0 */
  readonly level: number | 'entries';
  /** from 0 */
  readonly index: number;
  /** 1 … 256 */
  readonly width: number;
}

/** Where a tile lies below the log's address: `tile/<L>/<N>[.p/<W>]`. */
export function tilePath({ level, index, width }: Tile): string {
  const sound =
    (level === 'entries' || isWithin(level, 0, 63)) &&
    isWithin(index, 0, Number.MAX_SAFE_INTEGER) &&
    isWithin(width, 1, TILE_WIDTH);
  if (!sound) throw new RangeError(`no tile at level ${level}, index ${index}, of width ${width}`);
  const digits = String(index);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.../g)!;
  const path = groups.map((group, at) => (at < groups.length - 1 ? `x${group}` : group)).join('/');
  return `tile/${level}/${path}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}

/** @throws TransparencyRefused unless `path` is what `tilePath` writes for some tile */
export function parseTilePath(path: string): Tile {
  const [, level, groups, width] =
    /^tile\/(entries|\d{1,2})\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d{1,3}))?$/.exec(path) ?? [];
  if (level === undefined || groups === undefined) throw new TransparencyRefused('not the path of a tile');
  const tile = {
    level: level === 'entries' ? level : Number(level),
    index: parseDecimal(groups.replace(/[x/]/g, '').replace(/^0+(?=\d)/, ''), 'index of a tile'),
    width: width === undefined ? TILE_WIDTH : Number(width),
  } as const;
  const sound = (tile.level === 'entries' || tile.level <= 63) && isWithin(tile.width, 1, TILE_WIDTH);
  // one tile has one path: no zeros in front, no .p/256
  if (!sound || tilePath(tile) !== path) throw new TransparencyRefused('not the path of a tile');
  return tile;
}

/**
 * The hash tiles of a log, from level 0 up and left to right.
 *
 * @param since - leave out what a log of this size had already, 0 by default
 */
export function tilesOf(size: number, since = 0): Tile[] {
  const tiles: Tile[] = [];
  for (let level = 0; size > 0; level++) {
    tiles.push(...levelTiles(level, size, since));
    size = Math.floor(size / TILE_WIDTH);
    since = Math.floor(since / TILE_WIDTH);
  }
  return tiles;
}

/** The entry bundles of a log, left to right; `since` as in `tilesOf`. */
export function bundlesOf(size: number, since = 0): Tile[] {
  return levelTiles('entries', size, since);
}

/** Tiles over `count` hashes of one level, where `had` of them were there before. */
function levelTiles(level: Tile['level'], count: number, had: number): Tile[] {
  const tiles: Tile[] = [];
  if (had >= count) return tiles;
  for (let index = Math.floor(had / TILE_WIDTH); index * TILE_WIDTH < count; index++) {
    tiles.push({ level, index, width: Math.min(count - index * TILE_WIDTH, TILE_WIDTH) });
  }
  return tiles;
}

/**
 * The bytes of a hash tile: at level l, each hash is the root over 256^l leaves.
 *
 * @param leaves - leaf hashes of the log, at least as many as the tile covers
 * @throws RangeError when there are fewer, or the tile is a bundle
 */
export function tileBytes({ level, index, width }: Tile, leaves: readonly Uint8Array[]): Uint8Array {
  if (level === 'entries') throw new RangeError('a bundle holds entries: use bundleBytes');
  const span = TILE_WIDTH ** level;
  const first = index * TILE_WIDTH;
  if ((first + width) * span > leaves.length) {
    throw new RangeError(
      `tile ${index} of level ${level} needs ${(first + width) * span} leaves, got ${leaves.length}`,
    );
  }
  const root = (at: number): Uint8Array => treeRoot(leaves, (first + at) * span, (first + at + 1) * span);
  return new Uint8Array(Buffer.concat(Array.from({ length: width }, (_, at) => root(at))));
}

/** @throws TransparencyRefused unless `bytes` are `width` hashes */
export function parseTile(bytes: Uint8Array, width: number): Uint8Array[] {
  if (bytes.length !== width * 32) {
    throw new TransparencyRefused(`tile: ${width} hashes have ${width * 32} bytes, got ${bytes.length}`);
  }
  return Array.from({ length: width }, (_, at) => new Uint8Array(bytes.subarray(at * 32, at * 32 + 32)));
}

/** @throws RangeError when an entry is longer than its length can say */
export function bundleBytes(entries: readonly Uint8Array[]): Uint8Array {
  const parts = entries.flatMap((entry) => {
    if (entry.length > MAX_ENTRY_BYTES) throw new RangeError(`an entry has at most 65535 bytes, got ${entry.length}`);
    return [Uint8Array.of(entry.length >> 8, entry.length & 0xff), entry];
  });
  return new Uint8Array(Buffer.concat(parts));
}

/** @throws TransparencyRefused unless `bytes` are exactly `width` entries */
export function parseBundle(bytes: Uint8Array, width: number): Uint8Array[] {
  const entries: Uint8Array[] = [];
  let at = 0;
  while (entries.length < width && at + 2 <= bytes.length) {
    const end = at + 2 + (bytes[at]! << 8) + bytes[at + 1]!;
    entries.push(new Uint8Array(bytes.subarray(at + 2, end)));
    at = end;
  }
  if (entries.length !== width || at !== bytes.length) {
    throw new TransparencyRefused(`bundle: not exactly ${width} entries, each after its length`);
  }
  return entries;
}

/** Files of a log by their path. */
export type TileFiles = ReadonlyMap<string, Uint8Array>;

/** The tiles that `frontierFromTiles` reads: the partial one of every level, the highest first. */
export function edgeTiles(size: number): Tile[] {
  return tilesOf(size)
    .filter(({ width }) => width < TILE_WIDTH)
    .reverse();
}

/**
 * Where a log stands, from a few of its tiles: its root is `rootOf`, to be compared with a checkpoint, and a log can be
 * continued from it. Each hash in a partial tile stands for a full tile below, so nothing else is needed.
 *
 * @throws TransparencyRefused when one of `edgeTiles(size)` is missing or malformed
 */
export function frontierFromTiles(size: number, files: TileFiles): Frontier {
  const subtrees = edgeTiles(size).flatMap((tile) => {
    const hashes = parseTile(fileOf(tile, files), tile.width);
    return hashes.reduce(append, EMPTY_FRONTIER).subtrees;
  });
  return { size, subtrees };
}

/**
 * Reads all of a log: every entry is hashed, and every tile compared with what follows from the entries.
 *
 * @returns the entries' leaf hashes; their `treeRoot` is to be compared with a checkpoint
 * @throws TransparencyRefused naming the first file that is missing, malformed or does not follow
 */
export function leavesFromEntries(size: number, files: TileFiles): Uint8Array[] {
  const leaves = bundlesOf(size).flatMap((bundle) => parseBundle(fileOf(bundle, files), bundle.width).map(leafHash));
  for (const tile of tilesOf(size)) {
    if (!Buffer.from(tileBytes(tile, leaves)).equals(fileOf(tile, files))) {
      throw new TransparencyRefused(`${tilePath(tile)} does not follow from the entries`);
    }
  }
  return leaves;
}

function fileOf(tile: Tile, files: TileFiles): Uint8Array {
  const path = tilePath(tile);
  const bytes = files.get(path);
  if (bytes === undefined) throw new TransparencyRefused(`${path} is missing`);
  return bytes;
}

const isWithin = (value: number, low: number, high: number): boolean =>
  Number.isSafeInteger(value) && value >= low && value <= high;
