import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FRAME, type LineChart, lineCharts, type Point, placeOf, ticks } from '../../aggregation/plot.ts';
import { type Element, elementsOf } from '../support/elements.ts';

const chart = (changes: Partial<LineChart> = {}): LineChart => ({
  title: 'ε after each round',
  x: { label: 'rounds', from: 0, to: 100 },
  y: { label: 'ε', from: 1, to: 5 },
  series: [
    {
      label: 'coalition',
      points: [
        { x: 0, y: 1 },
        { x: 25, y: 2 },
        { x: 100, y: 5 },
      ],
    },
    {
      label: 'floor',
      points: [
        { x: 50, y: 3 },
        { x: 100, y: 3.5 },
      ],
    },
  ],
  ...changes,
});

const unescaped = (text: string): string =>
  text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
const curvesOf = (svg: string): Point[][] =>
  elementsOf(svg)
    .filter(({ name }) => name === 'polyline')
    .map(({ attributes }) =>
      attributes['points']!.split(' ').map((pair) => {
        const [x, y] = pair.split(',').map(Number);
        return { x: x!, y: y! };
      }),
    );
const textsOf = (svg: string) => elementsOf(svg).filter(({ name }) => name === 'text');

describe('geometry', () => {
  const { left, top, width, height, right } = FRAME;

  test('a point lies at its share of the way along both axes, y upwards', () => {
    const [coalition, floor] = curvesOf(lineCharts([chart()], ''));
    expect(coalition).toEqual([
      { x: left, y: top + height },
      { x: left + width / 4, y: top + (height * 3) / 4 },
      { x: left + width, y: top },
    ]);
    expect(floor).toEqual([
      { x: left + width / 2, y: top + height / 2 },
      { x: left + width, y: top + height * (1 - 2.5 / 4) },
    ]);
  });

  test('a second chart stands beside the first, a chart’s width to the right, in a picture as wide as both', () => {
    const svg = lineCharts([chart(), chart()], '');
    const [first, , second] = curvesOf(svg);
    const shift = left + width + right;
    expect(second).toEqual(first!.map(({ x, y }) => ({ x: x + shift, y })));
    const [root] = elementsOf(svg);
    expect(Number(root!.attributes['width'])).toBe(2 * shift);
    expect(root!.attributes['viewBox']).toBe(`0 0 ${2 * shift} ${root!.attributes['height']}`);
  });

  test('tick marks stand where points of their value would', () => {
    const svg = lineCharts([chart()], '');
    for (const at of [0, 20, 40, 60, 80, 100]) {
      const mark = textsOf(svg).find(
        ({ text, attributes }) => text === String(at) && attributes['text-anchor'] === 'middle',
      )!;
      expect(Number(mark.attributes['x'])).toBeCloseTo(left + (width * at) / 100, 2);
    }
    for (const at of [1, 2, 3, 4, 5]) {
      const mark = textsOf(svg).find(
        ({ text, attributes }) => text === String(at) && attributes['text-anchor'] === 'end',
      )!;
      expect(Number(mark.attributes['y']) - 4).toBeCloseTo(top + height * (1 - (at - 1) / 4), 2);
    }
  });

  test('everything lies within the picture', () => {
    const svg = lineCharts([chart(), chart()], '');
    const [root, ...rest] = elementsOf(svg);
    const [wide, high] = [Number(root!.attributes['width']), Number(root!.attributes['height'])];
    for (const { x, y } of curvesOf(svg).flat()) expect(x >= 0 && x <= wide && y >= 0 && y <= high).toBe(true);
    for (const { attributes } of rest.filter(({ name }) => name === 'text' && !name.startsWith('tr')))
      if (attributes['y'] !== undefined) expect(Number(attributes['y'])).toBeLessThan(high);
  });

  test('is linear in both axes, whatever they are', () => {
    const number = fc.double({ min: -1e6, max: 1e6, noNaN: true });
    const span = fc.double({ min: 1e-3, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(number, span, number, span, fc.double({ min: 0, max: 1, noNaN: true }), (x, dx, y, dy, part) => {
        const axes = { x: { label: '', from: x, to: x + dx }, y: { label: '', from: y, to: y + dy } };
        const place = placeOf(axes, 0, { x: x + part * dx, y: y + part * dy });
        expect(place.x).toBeCloseTo(left + part * width, 4);
        expect(place.y).toBeCloseTo(top + (1 - part) * height, 4);
      }),
    );
  });
});

describe('a picture that stands by itself', () => {
  test('is well-formed XML, whatever the labels say', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), fc.string(), (title, name, label) => {
        const { x, series } = chart();
        const svg = lineCharts([chart({ title, x: { ...x, label }, series: [{ ...series[0]!, label: name }] })], title);
        expect(textsOf(svg).some(({ text }) => unescaped(text).length > 0)).toBe(true);
      }),
    );
    const text = '<script>alert("1 & 2")</script> ]]> \u0000 \ud800';
    const titled = elementsOf(lineCharts([chart({ title: text })], text));
    expect(unescaped(titled.find(({ name }) => name === 'title')!.text)).toBe(
      '<script>alert("1 & 2")</script> ]]> \ufffd \ufffd',
    );
    expect(titled.map(({ name }) => name)).not.toContain('script');
  });

  test('the reader of this test refuses what is not well-formed', () => {
    for (const wrong of [
      '<a><b></a></b>',
      '<a>',
      '<a/><b/>',
      '<a>1 & 2</a>',
      '<a x="1" x="2"/>',
      '<a>< b</a>',
      '<a>\u0001</a>',
      'x<a/>',
    ])
      expect(() => elementsOf(wrong), wrong).toThrow();
    expect(elementsOf('<a x="1"><b/>t &amp; u</a>').map(({ name }) => name)).toEqual(['a', 'b']);
  });

  test('fetches nothing and runs nothing', () => {
    const svg = lineCharts([chart(), chart()], 'described');
    const names = new Set(elementsOf(svg).map(({ name }) => name));
    expect([...names].sort()).toEqual(['desc', 'g', 'path', 'polyline', 'rect', 'svg', 'text', 'title']);
    expect(svg.replace('xmlns="http://www.w3.org/2000/svg"', '')).not.toMatch(
      /http|url\(|href|@import|data:|\son[a-z]+=/,
    );
    expect(elementsOf(svg).find(({ name }) => name === 'desc')!.text).toBe('described');
  });

  test('says what each axis measures, and tells curves by colour, by dashes and by name', () => {
    const points = chart().series[0]!.points;
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const svg = lineCharts([chart({ series: names.map((label) => ({ label, points })) })], '');
    const said = textsOf(svg).map(({ text }) => text);
    for (const text of ['ε after each round', 'rounds', 'ε', ...names]) expect(said).toContain(text);
    const curves = elementsOf(svg).filter(({ name }) => name === 'polyline');
    expect(new Set(curves.map(({ attributes }) => attributes['stroke'])).size).toBe(6);
    expect(new Set(curves.map(({ attributes }) => attributes['stroke-dasharray'])).size).toBe(6);
    // the sample beside a name is drawn as its curve is
    const samples = elementsOf(svg).filter(
      ({ name, attributes }) => name === 'path' && attributes['stroke-width'] === '2',
    );
    const look = ({ attributes }: Element) => [attributes['stroke'], attributes['stroke-dasharray']];
    expect(samples.map(look)).toEqual(curves.map(look));
  });

  test('colours stand out on white: contrast of 3 to 1 or more (WCAG 2.2, success criterion 1.4.11)', () => {
    const points = chart().series[0]!.points;
    const svg = lineCharts([chart({ series: Array.from({ length: 6 }, (_, i) => ({ label: `${i}`, points })) })], '');
    for (const { name, attributes } of elementsOf(svg)) {
      if (name !== 'polyline') continue;
      const linear = [1, 3, 5].map((at) => {
        const part = Number.parseInt(attributes['stroke']!.slice(at, at + 2), 16) / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
      });
      const luminance = 0.2126 * linear[0]! + 0.7152 * linear[1]! + 0.0722 * linear[2]!;
      expect(1.05 / (luminance + 0.05), attributes['stroke']!).toBeGreaterThan(3);
    }
  });
});

describe('what cannot be drawn is refused', () => {
  test.each([
    ['a point outside', chart({ y: { label: 'ε', from: 1, to: 4.9 } }), '"coalition" has a point outside the axes'],
    [
      'a point that is no number',
      chart({ series: [{ label: 'nan', points: [{ x: 1, y: Number.NaN }] }] }),
      '"nan" has a point',
    ],
    [
      'an axis without length',
      chart({ x: { label: 'rounds', from: 3, to: 3 } }),
      'axis "rounds" must go from a number to a larger one',
    ],
    ['an endless axis', chart({ y: { label: 'ε', from: 0, to: Infinity } }), 'axis "ε" must go'],
    ['too many curves', chart({ series: Array(7).fill(chart().series[0]) }), 'has 7 curves; 6 can be told apart'],
  ])('%s', (_, wrong, message) => {
    expect(() => lineCharts([wrong], '')).toThrow(RangeError);
    expect(() => lineCharts([wrong], '')).toThrow(message);
  });
});

describe('ticks', () => {
  test.each([
    [0, 5, [0, 1, 2, 3, 4, 5]],
    [0, 105, [0, 20, 40, 60, 80, 100]],
    [0.1, 0.75, [0.2, 0.4, 0.6]],
    [0, 0.6, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]],
    [0.7, 1.3, [0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3]], // 1.3 − 0.7 is a little more than 0.6
    [-3, 3, [-3, -2, -1, 0, 1, 2, 3]],
    [0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [0, 4.2e-6, [0, 1e-6, 2e-6, 3e-6, 4e-6]],
  ])('from %d to %d', (from, to, expected) => {
    expect(ticks({ from, to })).toEqual(expected);
  });

  test('are some six round numbers within the axis, evenly apart', () => {
    const from = fc.double({ min: -1e5, max: 1e5, noNaN: true });
    fc.assert(
      fc.property(from, fc.double({ min: 1e-2, max: 1e6, noNaN: true }), (low, span) => {
        const found = ticks({ from: low, to: low + span });
        expect(found.length).toBeGreaterThanOrEqual(2);
        expect(found.length).toBeLessThanOrEqual(8);
        for (const at of found) expect(at >= low - 1e-6 * span && at <= low + span * (1 + 1e-6)).toBe(true);
        for (const [i, at] of found.slice(1).entries())
          expect((at - found[i]!) / (found[1]! - found[0]!)).toBeCloseTo(1, 6);
      }),
    );
  });
});
