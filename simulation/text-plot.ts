import type { LineChart, Point, Series } from '../aggregation/plot.ts';

/**
 * A line chart in characters: Braille dots (two by four to a cell) where a terminal shows them, the first letter of each curve's
 * name elsewhere. The name of a curve stands beside its end.
 *
 *   4.42 ┤                    ⢀⣀⠤⠒ floor            4.42 |                    ffff floor
 *        │          ⣀⠤⠒⠉⠁                                |          ffffffff
 *        │   ⣀⠔⠊⠁       ⣀⣀⠤⠤⠒⠒⠉ coalition                |   ffff      ccccccccc coalition
 *      0 ┼───────────────────────                   0 +-----------------------
 */
export interface TextPlotStyle {
  /** of the plot itself, in characters; the axis and names come on top */
  readonly columns: number;
  readonly rows: number;
  /** Braille and box-drawing characters, or ASCII alone */
  readonly braille: boolean;
}

/** Curves must ascend in x. Lines without a line break at the end of the last. */
export function textPlot(chart: LineChart, style: TextPlotStyle): string {
  const { rows, braille } = style;
  const cells = braille ? brailleCells(chart, style) : letterCells(chart, style);
  const [top, bottom] = [String(chart.y.to), String(chart.y.from)];
  const margin = Math.max(top.length, bottom.length);
  const names = namesByRow(chart, rows);
  const lines = cells.map((row, i) => {
    const mark =
      i === 0 ? `${top.padStart(margin)} ${braille ? '┤' : '|'}` : `${' '.repeat(margin)} ${braille ? '│' : '|'}`;
    return `${mark}${row.join('')} ${names[i]!.join(', ')}`.trimEnd();
  });
  const [from, to] = [String(chart.x.from), String(chart.x.to)];
  const axis = (braille ? '─' : '-').repeat(style.columns);
  const scale = `${from}${to.padStart(Math.max(1, style.columns - from.length))}`;
  return [
    `${chart.title}: ${chart.y.label}`,
    ...lines,
    `${bottom.padStart(margin)} ${braille ? '┼' : '+'}${axis}`,
    `${' '.repeat(margin + 2)}${scale} ${chart.x.label}`,
  ].join('\n');
}

/** Bits of the dots of a Braille cell, from U+2800 on: by row from the top, then by column (Unicode 16.0, §21.1). */
const DOTS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const;

function brailleCells(chart: LineChart, { columns, rows }: TextPlotStyle): string[][] {
  const bits = Array.from({ length: rows }, () => new Uint8Array(columns));
  for (const series of chart.series)
    for (const [x, y] of dotsOf(chart, series, 2 * columns, 4 * rows))
      bits[y >> 2]![x >> 1]! |= DOTS[(y & 3) as 0 | 1 | 2 | 3][(x & 1) as 0 | 1];
  return bits.map((row) => [...row].map((cell) => (cell === 0 ? ' ' : String.fromCodePoint(0x2800 + cell))));
}

/** Where curves share a cell the first one shows. */
function letterCells(chart: LineChart, { columns, rows }: TextPlotStyle): string[][] {
  const cells = Array.from({ length: rows }, () => new Array<string>(columns).fill(' '));
  for (const series of chart.series.toReversed())
    for (const [x, y] of dotsOf(chart, series, columns, rows)) cells[y]![x] = [...series.label][0] ?? '*';
  return cells;
}

/** The dots a curve passes through, from the upper left: in each column from where it was in the last to where it is. */
function* dotsOf(chart: LineChart, { points }: Series, columns: number, rows: number): Generator<[number, number]> {
  const { x, y } = chart;
  let before: number | undefined;
  for (let column = 0; column < columns; column++) {
    const height = heightAt(points, x.from + (column / Math.max(1, columns - 1)) * (x.to - x.from));
    if (height === undefined) continue;
    const row = rowOf(height, y, rows);
    const from = before === undefined || before === row ? row : before + Math.sign(row - before);
    for (let at = from; ; at += Math.sign(row - from)) {
      yield [column, at];
      if (at === row) break;
    }
    before = row;
  }
}

const rowOf = (value: number, { from, to }: LineChart['y'], rows: number): number =>
  Math.round((rows - 1) * (1 - (value - from) / (to - from)));

/** Between points on a straight line; undefined outside of them. */
function heightAt(points: readonly Point[], x: number): number | undefined {
  const after = points.findIndex((point) => point.x >= x - 1e-12 * Math.abs(x));
  if (after < 0) return undefined;
  const [left, right] = [points[Math.max(0, after - 1)]!, points[after]!];
  if (after === 0) return right.x - x > 1e-12 * Math.abs(x) ? undefined : right.y;
  return left.y + ((right.y - left.y) * (Math.min(x, right.x) - left.x)) / (right.x - left.x);
}

function namesByRow({ series, y }: LineChart, rows: number): string[][] {
  const names = Array.from({ length: rows }, (): string[] => []);
  const ends = series.flatMap(({ label, points }) => points.slice(-1).map((end) => ({ label, y: end.y })));
  for (const end of ends.sort((a, b) => b.y - a.y)) names[rowOf(end.y, y, rows)]!.push(end.label);
  return names;
}
