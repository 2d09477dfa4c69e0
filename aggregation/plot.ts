/**
 * Line charts as one self-contained SVG: no script, no style sheet, no font and no picture from anywhere else.
 *
 *   charts ──▶ side by side, each with title, axes, grid, curves; below it what each curve is
 *
 * Legible in print and for the colour-blind: a curve is told by its colour (Okabe and Ito 2008, "Color Universal Design") and
 * by its dashes, and its name stands in the legend beside a sample of both.
 */
export interface LineChart {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  /** at most six; drawn in this order */
  readonly series: readonly Series[];
}

export interface Axis {
  /** what is measured, and its unit */
  readonly label: string;
  readonly from: number;
  /** > from */
  readonly to: number;
}

export interface Series {
  readonly label: string;
  /** within the axes; joined by straight lines in this order */
  readonly points: readonly Point[];
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Where a chart's axes lie, in pixels from the chart's own corner; and the room around them. */
export const FRAME = { left: 62, top: 44, width: 380, height: 270, right: 22, below: 58, legendLine: 18 } as const;

const STYLES: readonly { colour: string; dashes: string }[] = [
  { colour: '#0072b2', dashes: '' },
  { colour: '#d55e00', dashes: '9 4' },
  { colour: '#007a5a', dashes: '2 3' }, // bluish green, darker than in the palette: it has to hold as a thin line on white
  { colour: '#555555', dashes: '12 3 2 3' },
  { colour: '#aa4488', dashes: '5 2' },
  { colour: '#8a6d00', dashes: '1 4' },
];

const CHART_WIDTH = FRAME.left + FRAME.width + FRAME.right;

/** Where a point lies in the picture, in pixels from its upper left corner. @param position - of the chart, from 0 at the left */
export function placeOf({ x, y }: Pick<LineChart, 'x' | 'y'>, position: number, point: Point): Point {
  const [right, up] = [(point.x - x.from) / (x.to - x.from), (point.y - y.from) / (y.to - y.from)];
  return {
    x: position * CHART_WIDTH + FRAME.left + right * FRAME.width,
    y: FRAME.top + (1 - up) * FRAME.height,
  };
}

/**
 * @param description - for those who do not see it, one or two sentences
 * @throws RangeError when a point is no number or outside its axes, an axis is empty, or there are more curves than styles
 */
export function lineCharts(charts: readonly LineChart[], description: string): string {
  for (const chart of charts) check(chart);
  const legend = Math.max(...charts.map(({ series }) => series.length)) * FRAME.legendLine;
  const [width, height] = [charts.length * CHART_WIDTH, FRAME.top + FRAME.height + FRAME.below + legend + 10];
  return `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" font-family="sans-serif" font-size="12" fill="#222222">
<title>${text(charts.map(({ title }) => title).join(' · '))}</title>
<desc>${text(description)}</desc>
<rect width="${width}" height="${height}" fill="#ffffff"/>
${charts.map(chartAt).join('\n')}
</svg>
`;
}

/** Round numbers, some `about` of them, from the first to the last that lie within; steps of 1, 2 or 5 times a power of ten. */
export function ticks({ from, to }: Pick<Axis, 'from' | 'to'>, about = 6): readonly number[] {
  const rough = (to - from) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((one) => one * power >= rough * (1 - 1e-9)) ?? 10);
  const [first, last] = [Math.ceil(from / step - 1e-9), Math.floor(to / step + 1e-9)];
  // the product of a whole number and a step, to as many digits as the step has: 0.3, not 0.30000000000000004
  const digits = Math.min(100, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => Number(((first + i) * step).toFixed(digits)));
}

/** The next round number: where an axis may end. @param value - positive */
export function roundUp(value: number): number {
  const [first, second] = ticks({ from: 0, to: value });
  const step = second! - first!;
  return Number((Math.ceil(value / step - 1e-9) * step).toPrecision(12));
}

/** The part of an ascending curve up to `top`, and the point where it leaves. */
export function cutAt(top: number, points: readonly Point[]): readonly Point[] {
  const out = points.findIndex(({ y }) => y > top);
  if (out < 0) return points;
  const [inside, outside] = [points[out - 1]!, points[out]!];
  const share = (top - inside.y) / (outside.y - inside.y);
  return [...points.slice(0, out), { x: inside.x + share * (outside.x - inside.x), y: top }];
}

function chartAt(chart: LineChart, position: number): string {
  const { left, top, width, height, below } = FRAME;
  const start = position * CHART_WIDTH + left;
  const bottom = top + height;
  const middle = top + height / 2;
  return `<g>
<text x="${start + width / 2}" y="24" text-anchor="middle" font-size="14" font-weight="bold">${text(chart.title)}</text>
${ticks(chart.x)
  .map((at) => verticalTick(chart, position, at))
  .join('\n')}
${ticks(chart.y)
  .map((at) => horizontalTick(chart, position, at))
  .join('\n')}
<rect x="${start}" y="${top}" width="${width}" height="${height}" fill="none" stroke="#222222"/>
<text x="${start + width / 2}" y="${bottom + 38}" text-anchor="middle">${text(chart.x.label)}</text>
<text transform="translate(${start - 44} ${middle}) rotate(-90)" text-anchor="middle">${text(chart.y.label)}</text>
${chart.series.map((series, i) => curve(chart, position, series, i)).join('\n')}
${chart.series.map(({ label }, i) => legendLine(start, bottom + below + i * FRAME.legendLine, label, i)).join('\n')}
</g>`;
}

function verticalTick(chart: LineChart, position: number, at: number): string {
  const { x, y } = placeOf(chart, position, { x: at, y: chart.y.from });
  return `<path d="M${pixels(x)} ${FRAME.top}V${pixels(y)}" stroke="#e2e2e2"/><text x="${pixels(x)}" y="${y + 17}" text-anchor="middle">${at}</text>`;
}

function horizontalTick(chart: LineChart, position: number, at: number): string {
  const { x, y } = placeOf(chart, position, { x: chart.x.from, y: at });
  return `<path d="M${pixels(x)} ${pixels(y)}H${pixels(x + FRAME.width)}" stroke="#e2e2e2"/><text x="${pixels(x - 7)}" y="${pixels(y + 4)}" text-anchor="end">${at}</text>`;
}

function curve(chart: LineChart, position: number, { points }: Series, i: number): string {
  const places = points.map((point) => placeOf(chart, position, point));
  return `<polyline points="${places.map(({ x, y }) => `${pixels(x)},${pixels(y)}`).join(' ')}" ${stroke(i)}/>`;
}

const legendLine = (x: number, y: number, label: string, i: number): string =>
  `<path d="M${x} ${y - 4}H${x + 40}" ${stroke(i)}/><text x="${x + 48}" y="${y}">${text(label)}</text>`;

function stroke(i: number): string {
  const { colour, dashes } = STYLES[i]!;
  return `fill="none" stroke="${colour}" stroke-width="2" stroke-linejoin="round"${dashes === '' ? '' : ` stroke-dasharray="${dashes}"`}`;
}

const pixels = (value: number): string => String(Number(value.toFixed(2)));

/** Text of an element. What XML 1.0 (§2.2) has no character for becomes U+FFFD. */
const text = (raw: string): string =>
  raw
    .toWellFormed()
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones that must not be there
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');

function check({ title, x, y, series }: LineChart): void {
  for (const { label, from, to } of [x, y])
    if (!(Number.isFinite(from) && to > from && to < Infinity))
      throw new RangeError(`axis "${label}" must go from a number to a larger one, got ${from} to ${to}`);
  if (series.length > STYLES.length)
    throw new RangeError(`"${title}" has ${series.length} curves; ${STYLES.length} can be told apart`);
  const isWithin = ({ from, to }: Axis, value: number) => value >= from && value <= to;
  for (const { label, points } of series)
    for (const point of points)
      if (!(isWithin(x, point.x) && isWithin(y, point.y)))
        throw new RangeError(`"${label}" has a point outside the axes of "${title}": (${point.x}, ${point.y})`);
}
